"""Each example of ``--help`` is a command line that its command takes as it stands."""

import re
import shlex

import click
import pytest
from click.testing import CliRunner

from understudy.cli.exit_codes import ExitCode
from understudy.cli.main import cli
from understudy.cli.reference import commands
from understudy.vocabulary.errors import UnderstudyError

ONLY_PARSED = ("demo", "serve")
"""What these do once they have understood is not done here: their own tests do it."""
SIGNER = "A" * 43 + "="
_REMARK = re.compile(r" {2,}.*")


def examples_of(epilog):
    """The command lines below the word, up to an empty line, without the remarks beside them, and those below, which are indented
    further; what stands before the program's name is the shell's.
    """
    block = (epilog or "").partition("Example")[2].partition("\n")[2].partition("\n\n")[0]
    for line in re.sub(r"\\\n +", "", block).splitlines():
        if line.strip() and not line.startswith("   "):
            yield _REMARK.sub("", line.strip())


EXAMPLES = sorted({each for _, command in commands() for each in examples_of(command.epilog)})


@pytest.fixture
def type_in(tmp_path, monkeypatch):
    """Where nothing is: no stack file, no variable. The answer is the program's own, or click's about the line itself."""
    for name in ("UNDERSTUDY_STACK", "ORDERS_URL", "S3_KEY", "S3_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UNDERSTUDY_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    for name in ONLY_PARSED:
        monkeypatch.setattr(cli.get_command(click.Context(cli), name), "callback", lambda **_: None)

    def typed(line):
        words = [SIGNER if word == "$KEY" else word for word in shlex.split(line)]
        return CliRunner().invoke(cli, words[words.index("understudy") + 1 :])

    return typed


@pytest.mark.parametrize("line", EXAMPLES)
def test_an_example_is_understood_and_reaches_its_command(type_in, line):
    done = type_in(line)
    assert isinstance(done.exception, UnderstudyError) or done.exit_code != ExitCode.USAGE, done.output


def test_every_command_has_an_example_and_a_line_that_goes_on_is_one():
    assert all(any(examples_of(command.epilog)) for _, command in commands() if not isinstance(command, click.Group))
    [long] = [line for line in EXAMPLES if "s3://" in line]
    assert long.endswith("--secret-key env:S3_SECRET")


@pytest.mark.parametrize(
    "line",
    ["understudy backup", "understudy verify --deep orders each part", "understudy restore orders --to x --time yesterday"],
)
def test_a_line_that_no_command_takes_is_found(type_in, line):
    """Negative control."""
    done = type_in(line)
    assert not isinstance(done.exception, UnderstudyError) and done.exit_code == ExitCode.USAGE
