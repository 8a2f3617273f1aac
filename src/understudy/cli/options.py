"""Options that most commands share, and what leads another command to the same stack."""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click

from understudy.vocabulary.errors import Refusal, UnderstudyError

if TYPE_CHECKING:
    from understudy.app.installation import Installation

P = ParamSpec("P")
R = TypeVar("R")

_STACK_FILE = "understudy.yaml"
_NAMED_COMMAND = re.compile(
    r"\bunderstudy (?:check|status|drills?|forecast|recover|runs(?! as\b)|show|approve|cancel|resume"
    r"|evidence (?:verify|export|report|incident)|findings (?:add|list|close)|document plan|readiness|quarantine list"
    r"|(?:backups?|verify|expire|restore|diff|quarantine lift|warm-copy (?:seed|show))(?: [a-z][\w-]*(?= --|[;,.)`]|$))?)\b"
    r"(?: (?:\d{8}-\d{6}-[0-9a-f]+|[A-Z]{2,}\b"
    r"|(?:database_corruption|data_loss|storage_loss|complete_failure|security_incident|application_failure)\b"
    r"|--(?:full|take-over|deep|dry-run|quarantined)\b"
    r"|--(?!stack |state )[a-z-]+ (?:[A-Z]{2,}\b|\d{8}-\d{6}\w*)))*"
)
"""A command in a sentence, up to where the sentence may go on. A word in lower case is a resource's name where only an option or
a stop follows it. ``serve`` is what runs, not what to type, wherever a hint speaks of it."""


def stack_options(command: Callable[P, R]) -> Callable[P, R]:
    """``--stack`` and ``--state``: which stack file, and where this control plane keeps what it remembers.

    Below, nobody knows how they were given. So what an error's hint says to type is made to lead there here.
    """

    @functools.wraps(command)
    def carried_out(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except UnderstudyError as error:
            error.hint = on_this_stack(error.hint)
            raise

    with_state = click.option(
        "--state",
        type=click.Path(file_okay=False, path_type=Path),
        envvar="UNDERSTUDY_STATE",
        help="State directory; overrides the stack file's.",
    )(carried_out)
    return click.option(
        "--stack",
        "-f",
        "stack_file",
        type=click.Path(dir_okay=False, path_type=Path),
        envvar="UNDERSTUDY_STACK",
        default=_STACK_FILE,
        show_default=True,
        help="Stack file.",
    )(with_state)


def json_option(command: Callable[P, R]) -> Callable[P, R]:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")(command)


def yes_option(command: Callable[P, R]) -> Callable[P, R]:
    return click.option("--yes", is_flag=True, help="Agree beforehand to everything that would be asked.")(command)


def stack_arguments() -> list[str]:
    """What leads another command to the stack and the state of this one; nothing where the defaults do, or there is no stack."""
    context = click.get_current_context(silent=True)
    if context is None or "stack_file" not in context.params:
        return []
    stack_file, state = context.params["stack_file"], context.params["state"]
    return [
        *(["--stack", str(stack_file)] if str(stack_file) != _STACK_FILE else []),
        *(["--state", str(state)] if state is not None else []),
    ]


def command_on(verb: str, *arguments: str) -> str:
    """What a person types to do that, from the same directory and in a shell where nothing else is set."""
    return shlex.join(["understudy", verb, *arguments, *stack_arguments()])


def on_this_stack(text: str) -> str:
    """The text with each command that it names leading to the stack of this one. Twice is the same as once."""
    arguments = shlex.join(stack_arguments())
    if not arguments:
        return text

    def led(named: re.Match[str]) -> str:
        leads = text[named.end() :].startswith((" --stack ", " --state "))
        return named.group() if leads else f"{named.group()} {arguments}"

    return _NAMED_COMMAND.sub(led, text)


def looked_at(stack_file: Path, state: Path | None) -> Installation:
    """As ``opened``; nothing is made."""
    from understudy.app.installation import Installation
    from understudy.stack.loader import load_stack

    return Installation.looked_at(load_stack(stack_file), state)


def opened_with_runs(stack_file: Path, state: Path | None) -> Installation:
    """As ``opened``, for who names a run: where nothing was ever recorded, nothing is made either.

    Raises:
        Refusal: ``run_unknown``.
    """
    installation = looked_at(stack_file, state)
    if not (installation.state / "state.db").exists():
        raise Refusal(
            "run_unknown",
            found=f"nothing is recorded in {installation.state}",
            expected="the state directory that the run was begun with",
            hint="name it with --state, or the stack file that leads there with --stack",
        )
    return installation


def opened(stack_file: Path, state: Path | None) -> Installation:
    from understudy.app.installation import Installation

    return Installation.open(stack_file, state)
