"""Help and manual say what the commands are."""

import subprocess
import sys
from pathlib import Path

import click
import pytest

from understudy.cli.exit_codes import MEANINGS, ExitCode
from understudy.cli.main import cli
from understudy.cli.reference import PAGE_FILE, commands, page

DOCS = Path(__file__).parent.parent.parent / "docs"
COMMANDS = [pytest.param(path, command, id=path) for path, command in commands() if not isinstance(command, click.Group)]
HEAVY = ("pydantic", "psycopg", "dbos", "cryptography", "zstandard", "boto3", "yaml", "pyrage", "croniter", "fastapi")
ANSWERS_NOTHING = {"understudy serve": "it goes on until it is stopped, and what it has to tell is a log"}


def test_the_manuals_page_is_what_the_commands_say():
    expected = page()
    assert (DOCS / PAGE_FILE).read_text() == expected, "write it anew: python -m understudy.cli.reference docs"


@pytest.mark.parametrize(("path", "command"), COMMANDS)
def test_every_command_explains_itself_and_has_examples(path, command):
    assert command.help
    assert "Example" in (command.epilog or "")
    assert path in command.epilog
    for param in command.params:
        if isinstance(param, click.Option):
            assert param.help, f"{path} {param.name}"


@pytest.mark.parametrize(("path", "command"), COMMANDS)
def test_help_is_printed_by_every_command(path, command):
    done = subprocess.run(
        [sys.executable, "-m", "understudy.cli.main", *path.split()[1:], "--help"], capture_output=True, text=True, check=True
    )
    assert "Usage:" in done.stdout
    assert "--help" in done.stdout


@pytest.mark.parametrize(("path", "command"), [*commands()])
def test_nothing_in_a_help_is_wider_than_a_small_terminal(path, command):
    text = command.get_help(click.Context(command, info_name=path, terminal_width=80, max_content_width=80))
    assert [line for line in text.splitlines() if len(line) > 80] == []
    assert "\b" not in text


def test_every_command_that_answers_anything_answers_in_json_where_it_is_asked_to():
    without = {path for path, command in commands() if not isinstance(command, click.Group) and not takes(command, "as_json")}
    assert without == set(ANSWERS_NOTHING)


def takes(command, name):
    return any(param.name == name for param in command.params)


def test_every_exit_code_has_a_meaning():
    assert set(MEANINGS) == set(ExitCode)


def test_the_list_of_commands_imports_nothing_heavy():
    """What makes ``understudy --help`` slow is what it imports; time itself says nothing on a busy machine."""
    code = (
        "import sys; from understudy.cli.main import cli; cli.main(['--help'], standalone_mode=False);"
        "print(sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not [name for name in HEAVY if f"'{name}'" in done.stderr]
    assert all(name in done.stdout for name in cli.list_commands(click.Context(cli)))


def test_the_help_of_a_command_does_not_start_the_engine():
    code = (
        "import sys; from understudy.cli.main import cli; cli.main(['status', '--help'], standalone_mode=False);"
        "print(sorted({name.partition('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'dbos'" not in done.stderr
