"""A run as it goes: a live line a step on a terminal, one line at each ending elsewhere, nothing with ``--json``."""

from __future__ import annotations

import getpass
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import click

from understudy.app.carrying_out import Declined
from understudy.app.run_view import RunView
from understudy.cli.options import command_on, on_this_stack
from understudy.cli.printing import duration, explained, folded, say, waiting_since, width_of, write_over
from understudy.plan.following import DAMAGE, DAMAGED_COPIES, REPLANNED_AS_FULL, TARGET_NOT_REACHED
from understudy.records.run import RecordedError, StepRecord, StepState
from understudy.vocabulary.identifiers import Person, RunId, StepKey
from understudy.vocabulary.sizes import readable_size

_FOLLOWS_FROM_ANOTHER = ("predecessor_failed", "cancelled")
"""Said once already, where it began."""

_INSTEAD = (
    ((TARGET_NOT_REACHED,), "the target may lie before that backup: the next older one is tried"),
    ((*DAMAGE, *DAMAGED_COPIES), "that backup will not do: the next sound one is tried"),
    (REPLANNED_AS_FULL, "a full backup is taken in its place"),
)

_STEP_COLUMNS = 40
_ANSWER_COLUMNS = len(" [y/N]: ") + 1
"""With the answer itself."""

_MOMENT = timedelta(seconds=3)
_PATIENCE_SECONDS = 1.0
_BELOW = " " * 12
"""What is said of a step stands below its name."""

_MARKS = {
    StepState.SUCCEEDED: ("done", "green"),
    StepState.SKIPPED: ("skipped", "yellow"),
    StepState.FAILED: ("FAILED", "red"),
    StepState.CANCELLED: ("cancelled", "yellow"),
}


class TerminalWatcher:
    """Prints to standard error, so that standard output stays for what was asked for."""

    def __init__(self, *, yes: bool = False, quiet: bool = False) -> None:
        self._yes = yes
        self._quiet = quiet
        self._live = sys.stderr.isatty() and not quiet
        self._told: set[StepKey] = set()
        self._told_waiting: dict[StepKey, set[str]] = {}
        self._told_put_off: set[str] = set()
        self._line = ""
        self.run: RunId | None = None
        """The run that was shown last."""

    def show(self, view: RunView) -> None:
        is_new, self.run = self.run != view.run.run, view.run.run
        if self._quiet:
            return
        if is_new:
            self._announce(view)
        for step in view.steps:
            if step.state.is_final and step.key not in self._told:
                self._told.add(step.key)
                self._print(_ended(step, _widest(view)))
            elif not step.state.is_final:
                self._tell_of_wait(step, view.seen)
        self._tell_put_off(view)
        running = [step for step in view.steps if not step.state.is_final and step.started is not None]
        self._progress(" · ".join(_under_way(step, view.seen) for step in running))

    def clear(self) -> None:
        """The live line away, so that something else can be said there."""
        self._progress("")

    def ask(self, step: StepRecord) -> Person | Declined | None:
        question = step.approval_question or str(step.key)
        person = Person(getpass.getuser())
        if self._yes:
            return person
        self._progress("")
        if not sys.stdin.isatty():
            say("nobody can be asked here (standard input is no terminal), so the run waits until somebody agrees", err=True)
            say(f"waiting: {question}", err=True)
            click.echo(f"  agree with: {command_on('approve', step.run)}", err=True)  # each in one piece, to be copied
            click.echo(f"  or end it:  {command_on('cancel', step.run)}", err=True)
            return None
        if click.confirm(room_for_the_answer(question, width_of(sys.stderr)), err=True):
            return person
        click.echo(f"not agreed to: {step.run} is cancelled", err=True)
        return Declined(person)

    def _announce(self, view: RunView) -> None:
        self._told.clear()
        self._told_waiting.clear()
        self._told_put_off.clear()
        self._print(f"run {view.run.run}" + (f", follows {view.run.follows}, which did not succeed" if view.run.follows else ""))
        if view.follows is not None and (why := _what_is_tried_instead(view.follows)):
            self._print(f"{_BELOW}{why}")
        for question in (step.approval_question for step in view.steps if step.approval is not None):
            self._print(f"  agreed    {question}".replace("\n", f"\n{_BELOW}"))

    def _tell_of_wait(self, step: StepRecord, seen: datetime) -> None:
        """Each reason once, not at every try; and that it is over, where the reason was told."""
        error = step.held_up_by
        if error is None:
            if self._told_waiting.pop(step.key, None):
                self._print(f"  {'goes on'.ljust(9)} {step.key}")
        elif _waits_long(step, seen) and error.code not in self._told_waiting.setdefault(step.key, set()):
            self._told_waiting[step.key].add(error.code)
            self._print(_waiting(step, error))

    def _tell_put_off(self, view: RunView) -> None:
        error = view.put_off
        if error is not None and error.code not in self._told_put_off:
            self._told_put_off.add(error.code)
            self._print("\n".join([f"  {_waiting_mark()} for what is to follow {view.run.run}", *explained(error, _BELOW)]))

    def _print(self, line: str) -> None:
        self._progress("")
        say(line, err=True)

    def _progress(self, line: str) -> None:
        if self._live and line != self._line:
            write_over(_cut(line))
            self._line = line


def room_for_the_answer(question: str, columns: int | None) -> str:
    """Folded so that what is asked behind it stays on its last line."""
    width = None if columns is None else max(columns - _ANSWER_COLUMNS, 1)
    return "\n".join(folded(line, width, hang=2 if line.startswith("- ") else 0) for line in question.split("\n"))


def _what_is_tried_instead(ended: RunView) -> str:
    """Why a run is followed by another; its error was told whole where it failed."""
    for codes, instead in _INSTEAD:
        if (error := ended.failure(*codes)) is not None:
            return f"{instead} ({error.code})"
    return ""


def _cut(line: str) -> str:
    """A line that is written over must not be folded by the terminal."""
    columns = (width_of(sys.stderr) or 80) - 1
    if len(line) <= columns:
        return line
    kept = line[: columns - 1]
    return f"{kept if line[columns - 1] == ' ' else kept.rpartition(' ')[0].rstrip()}…"


def _widest(view: RunView) -> int:
    return max(_STEP_COLUMNS, *(len(step.key) for step in view.steps))


def _ended(step: StepRecord, columns: int) -> str:
    word, colour = _MARKS[step.state]
    took = duration(step.ended - step.started) if step.ended and step.started else ""
    mark = click.style(word.ljust(9), fg=colour) if sys.stderr.isatty() else word.ljust(9)
    lines = [f"  {mark} {str(step.key).ljust(columns)} {took}".rstrip()]
    if step.error is not None and step.error.code not in _FOLLOWS_FROM_ANOTHER:
        lines += explained(step.error, _BELOW)
    elif step.error is None and step.evidence is not None and step.evidence.hint:
        lines.append(f"{_BELOW}note: {on_this_stack(step.evidence.hint)}")
    return "\n".join(lines)


def _waiting_mark() -> str:
    return click.style("waiting".ljust(9), fg="yellow") if sys.stderr.isatty() else "waiting".ljust(9)


def _waits_long(step: StepRecord, seen: datetime) -> bool:
    """Whether it has waited, or will have waited, for longer than what passes by itself in a moment."""
    return step.held_up_since is not None and max(seen, step.again_at or seen) - step.held_up_since >= _MOMENT


def _waiting(step: StepRecord, error: RecordedError) -> str:
    since = waiting_since(step.held_up_since, step.again_at)
    return "\n".join([f"  {_waiting_mark()} {str(step.key).ljust(_STEP_COLUMNS)} {since}", *explained(error, _BELOW)])


def _under_way(step: StepRecord, seen: datetime) -> str:
    text = f"  … {step.key}"
    error, progress = step.held_up_by, step.progress
    if error is not None and step.held_up_since is not None and _waits_long(step, seen):
        left = f", next try in {duration(step.again_at - seen)}" if step.again_at is not None and step.again_at > seen else ""
        return f"{text}: waiting for {duration(seen - step.held_up_since)} ({error.code}){left}"
    if progress is None:
        return text
    if progress.unit == "bytes":
        of = f" of {readable_size(progress.total)}" if progress.total and progress.done <= progress.total else ""
        return f"{text}: {progress.activity} {readable_size(progress.done)}{of}"
    return f"{text}: {progress.activity} {progress.done}/{progress.total or '?'} {progress.unit}"


@contextmanager
def said_when_long(what: str, *, quiet: bool = False) -> Iterator[None]:
    """One line on a terminal while something takes longer than a moment; nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield
        return
    said = threading.Event()

    def tell() -> None:
        said.set()
        write_over(_cut(f"  … {what}"))

    timer = threading.Timer(_PATIENCE_SECONDS, tell)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        if said.is_set():
            write_over("")


class ProgressLine:
    """One line on a terminal that says how far long work has come; nothing elsewhere. Told from several threads."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._live = sys.stderr.isatty() and not quiet
        self._writing = threading.Lock()
        self._line = ""
        self._done: dict[str, int] = {}

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(self, *_: object) -> None:
        if self._line:
            write_over("")

    def report(self, activity: str, done: int, total: int) -> None:
        line = _cut(f"{activity}: {readable_size(done)} of {readable_size(total)}")
        with self._writing:
            if done < self._done.get(activity, 0):  # told by a thread that was slower
                return
            self._done[activity] = done
            if self._live and line != self._line:
                write_over(line)
                self._line = line
