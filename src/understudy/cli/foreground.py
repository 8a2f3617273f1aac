"""A run in front of a person: the watcher of it, and what is said when Ctrl-C or SIGTERM ends the command before the run."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from understudy.cli.options import command_on
from understudy.cli.printing import say
from understudy.cli.watching import TerminalWatcher
from understudy.records.run import StepState
from understudy.vocabulary.identifiers import RunId

if TYPE_CHECKING:
    from understudy.app.installation import Installation


@contextmanager
def watched(installation: Installation, *, yes: bool = False, quiet: bool = False) -> Iterator[TerminalWatcher]:
    """For a run that is carried out here, or by ``serve`` and followed here.

    Ended by Ctrl-C or SIGTERM, it says on standard error what becomes of the run; the command then ends with 130.
    """
    watcher = TerminalWatcher(yes=yes, quiet=quiet)
    try:
        with _interrupted_by_sigterm():
            yield watcher
    except (KeyboardInterrupt, click.Abort):
        if watcher.run is not None:
            watcher.clear()
            if sys.stderr.isatty():
                click.echo("", err=True)  # behind the ^C
            say(_what_becomes_of(installation, watcher.run), err=True)
        raise


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """As by Ctrl-C: what is under way is left where it can be gone on with."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _what_becomes_of(installation: Installation, run: RunId) -> str:
    """One line, with the commands to type next."""
    from understudy.app.carrying_out import is_to_be_followed, serving_pid

    def command(verb: str) -> str:
        return command_on(verb, run)

    records = installation.past  # a connection of its own: the other one may have been interrupted in the middle of something
    state = records.run(run).state
    followed = is_to_be_followed(records, run)
    if state.is_final and not followed:
        return f"run {run} has ended: {state} ({command('show')})"
    if serving_pid(installation.state) is not None:
        return (
            f"run {run} goes on: understudy serve carries it out. How it goes: {command('show')}; "
            f"to follow it again: {command('resume')}; to end it: {command('cancel')}"
        )
    if followed:
        stands = f"{state}, and another one is to follow it"
    else:
        under_way = [step.key for step in records.steps(run) if step.state is StepState.RUNNING]
        stands = f"interrupted{f' in {under_way[0]}' if under_way else ''}"
    return f"run {run} is {stands}. To go on: {command('resume')}; to end it: {command('cancel')}"
