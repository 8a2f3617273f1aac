"""A run as it goes: a live line a step on a terminal, one line at each ending elsewhere, nothing with ``--json``."""

from __future__ import annotations

import getpass
import sys
import threading
from datetime import timedelta

import click

from understudy.app.carrying_out import Declined, RunView
from understudy.cli.printing import duration, folded, say, width_of
from understudy.records.run import RecordedError, StepRecord, StepState
from understudy.vocabulary.identifiers import Person, RunId, StepKey
from understudy.vocabulary.sizes import readable_size

_FOLLOWS_FROM_ANOTHER = ("predecessor_failed", "cancelled")
"""Said once already, where it began."""

_MOMENT = timedelta(seconds=3)

_MARKS = {
    StepState.SUCCEEDED: ("done", "green"),
    StepState.SKIPPED: ("skipped", "yellow"),
    StepState.FAILED: ("FAILED", "red"),
    StepState.UNKNOWN: ("UNKNOWN", "red"),
    StepState.CANCELLED: ("cancelled", "yellow"),
}


class TerminalWatcher:
    """Prints to standard error, so that standard output stays for what was asked for."""

    def __init__(self, *, yes: bool = False, quiet: bool = False) -> None:
        self._yes = yes
        self._quiet = quiet
        self._live = sys.stderr.isatty() and not quiet
        self._told: set[StepKey] = set()
        self._told_waiting: set[tuple[StepKey, str]] = set()
        self._announced: RunId | None = None
        self._line = ""

    def show(self, view: RunView) -> None:
        if self._quiet:
            return
        if self._announced != view.run.run:
            self._announced = view.run.run
            self._told.clear()
            self._told_waiting.clear()
            self._print(
                f"run {view.run.run}" + (f", follows {view.run.follows}, which did not succeed" if view.run.follows else "")
            )
            for question in (step.approval_question for step in view.steps if step.approval is not None):
                self._print(f"  agreed    {question}")
        for step in view.steps:
            if step.state.is_final and step.key not in self._told:
                self._told.add(step.key)
                self._print(_ended(step))
            elif step.error is not None and _waits_long(step) and (step.key, step.error.code) not in self._told_waiting:
                self._told_waiting.add((step.key, step.error.code))
                self._print(_tried_again(step, step.error))
        running = [step for step in view.steps if not step.state.is_final and step.started is not None]
        self._progress(" · ".join(_under_way(step) for step in running))

    def ask(self, step: StepRecord) -> Person | Declined | None:
        question = step.approval_question or str(step.key)
        person = Person(getpass.getuser())
        if self._yes:
            return person
        self._progress("")
        if not sys.stdin.isatty():
            say(f"waiting: {question}\n  agree with: understudy approve {step.run}", err=True)
            say(f"  or end it:  understudy cancel {step.run}", err=True)
            return None
        if click.confirm(folded(question, width_of(sys.stderr), hang=0), err=True):
            return person
        click.echo(f"not agreed to: {step.run} is cancelled", err=True)
        return Declined(person)

    def _print(self, line: str) -> None:
        self._progress("")
        say(line, err=True)

    def _progress(self, line: str) -> None:
        if self._live and line != self._line:
            click.echo(f"\r\033[K{_cut(line)}", nl=False, err=True)
            self._line = line


def _cut(line: str) -> str:
    """A line that is written over must not be folded by the terminal."""
    return line[: (width_of(sys.stderr) or 80) - 1]


def _ended(step: StepRecord) -> str:
    word, colour = _MARKS[step.state]
    took = duration(step.ended - step.started) if step.ended and step.started else ""
    mark = click.style(word.ljust(9), fg=colour) if sys.stderr.isatty() else word.ljust(9)
    lines = [f"  {mark} {str(step.key).ljust(40)} {took}".rstrip()]
    if step.error is not None and step.error.code not in _FOLLOWS_FROM_ANOTHER:
        lines += _explained(step.error)
    elif step.error is None and step.evidence is not None and step.evidence.hint:
        lines.append(f"            note: {step.evidence.hint}")
    return "\n".join(lines)


def _waits_long(step: StepRecord) -> bool:
    """Whether a step that is tried again has been at it for longer than what passes by itself in a moment."""
    return step.again_at is not None and step.started is not None and step.again_at - step.started >= _MOMENT


def _tried_again(step: StepRecord, error: RecordedError) -> str:
    mark = click.style("waiting".ljust(9), fg="yellow") if sys.stderr.isatty() else "waiting".ljust(9)
    return "\n".join([f"  {mark} {step.key}", *_explained(error)])


def _explained(error: RecordedError) -> list[str]:
    lines = [f"            {error.code}: {error.found}"]
    lines += [f"            expected: {error.expected}"] if error.expected else []
    return lines + ([f"            hint: {error.hint}"] if error.hint else [])


def _under_way(step: StepRecord) -> str:
    text = f"  … {step.key}"
    progress = step.progress
    if progress is None:
        return text
    if progress.unit == "bytes":
        of = f" of {readable_size(progress.total)}" if progress.total else ""
        return f"{text}: {progress.activity} {readable_size(progress.done)}{of}"
    return f"{text}: {progress.activity} {progress.done}/{progress.total or '?'} {progress.unit}"


class ProgressLine:
    """One line on a terminal that says how far long work has come; nothing elsewhere. Told from several threads."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._live = sys.stderr.isatty() and not quiet
        self._writing = threading.Lock()
        self._line = ""

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *_: object) -> None:
        if self._line:
            click.echo("\r\033[K", nl=False, err=True)

    def report(self, activity: str, done: int, total: int) -> None:
        line = _cut(f"{activity}: {readable_size(done)} of {readable_size(total)}")
        with self._writing:
            if self._live and line != self._line:
                click.echo(f"\r\033[K{line}", nl=False, err=True)
                self._line = line
