"""The manual's page about the command line, made from the commands themselves, so that it can't be wrong.

python -m understudy.cli.reference docs
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click

from understudy.cli.exit_codes import CODES, MEANINGS
from understudy.cli.main import cli

PAGE_FILE = "cli.md"
_PROGRAM = "understudy"

_INTRODUCTION = """\
# The command line

*This page is generated from the commands: `python -m understudy.cli.reference docs`.*

- `--json` prints one JSON object on standard output. Progress, questions and errors go to standard error.
- Times are ISO 8601 with an offset: `2026-11-23T03:00:00+00:00`.
- A secret never stands on a command line, only where it is found: `env:NAME` or `file:/path`.
- While `understudy serve` runs, other commands hand their runs over to it and watch; otherwise they carry them out themselves.
- An error has a stable code, says what was found and what was expected, and what to do.
"""


def page() -> str:
    """The whole page, in Markdown."""
    sections = [_INTRODUCTION, _exit_codes(), *(_section(path, command) for path, command in commands())]
    return "\n".join(sections)


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with the words that call it, groups before what is in them."""
    yield from _below(_PROGRAM, cli)


def _below(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=path)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            if found is not None:
                yield from _below(f"{path} {name}", found)


def _exit_codes() -> str:
    rows = [f"| {code.value} | {meaning} |" for code, meaning in MEANINGS.items()]
    named: dict[int, list[str]] = {}
    for error, code in CODES.items():
        named.setdefault(code.value, []).append(f"`{error}`")
    lines = [f"- {value}: {', '.join(sorted(errors))}" for value, errors in sorted(named.items())]
    return "\n".join(
        [
            "## Exit codes",
            "",
            "| Code | Meaning |",
            "|---|---|",
            *rows,
            "",
            "Errors that end with one of their own; every other refusal ends with 5, every other failure with 1:",
            "",
            *lines,
            "",
        ]
    )


def _section(path: str, command: click.Command) -> str:
    context = click.Context(command, info_name=path)
    parts = [f"## {path}", "", f"    {path} {' '.join(command.collect_usage_pieces(context))}", "", _plain(command.help)]
    options = [record for param in command.get_params(context) if (record := _record(param, context)) is not None]
    if options:
        parts += ["", "| Option | Meaning |", "|---|---|", *options]
    if command.epilog:
        parts += ["", "```text", _plain(command.epilog), "```"]
    return "\n".join([*parts, ""])


def _record(param: click.Parameter, context: click.Context) -> str | None:
    """One row; None for arguments, which the usage line names, and for the help option, which every command has."""
    found = param.get_help_record(context)
    if found is None or not isinstance(param, click.Option) or "--help" in param.opts:
        return None
    names, meaning = found
    environment = f" Environment: `{param.envvar}`." if isinstance(param.envvar, str) else ""
    return f"| `{_cell(names)}` | {_cell(meaning)}{environment} |"


def _plain(text: str | None) -> str:
    """Without click's marks for paragraphs that it must not wrap."""
    return textwrap.dedent((text or "").replace("\b\n", "")).strip()


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main(directory: Path) -> None:
    """Write the page anew."""
    (directory / PAGE_FILE).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
