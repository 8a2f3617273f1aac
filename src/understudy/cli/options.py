"""Options that most commands share."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click

from understudy.vocabulary.errors import Refusal

if TYPE_CHECKING:
    from understudy.app.installation import Installation

P = ParamSpec("P")
R = TypeVar("R")

_STACK_FILE = "understudy.yaml"


def stack_options(command: Callable[P, R]) -> Callable[P, R]:
    """``--stack`` and ``--state``: which stack file, and where this control plane keeps what it remembers."""
    command = click.option(
        "--state",
        type=click.Path(file_okay=False, path_type=Path),
        envvar="UNDERSTUDY_STATE",
        help="State directory; overrides the stack file's.",
    )(command)
    return click.option(
        "--stack",
        "-f",
        "stack_file",
        type=click.Path(dir_okay=False, path_type=Path),
        envvar="UNDERSTUDY_STACK",
        default=_STACK_FILE,
        show_default=True,
        help="Stack file.",
    )(command)


def json_option(command: Callable[P, R]) -> Callable[P, R]:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")(command)


def yes_option(command: Callable[P, R]) -> Callable[P, R]:
    return click.option("--yes", is_flag=True, help="Agree beforehand to everything that would be asked.")(command)


def stack_arguments() -> list[str]:
    """What leads another command to the stack and the state of this one; nothing where the defaults do."""
    given = click.get_current_context().params
    stack_file, state = given["stack_file"], given["state"]
    return [
        *(["--stack", str(stack_file)] if str(stack_file) != _STACK_FILE else []),
        *(["--state", str(state)] if state is not None else []),
    ]


def command_on(verb: str, run: str) -> str:
    """What a person types to do that to the run, from the same directory and in a shell where nothing else is set."""
    return shlex.join(["understudy", verb, run, *stack_arguments()])


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
