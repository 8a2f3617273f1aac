"""One program, started in a session of its own, watched until it ends, and ended with all that it started where it must be."""

from __future__ import annotations

import os
import selectors
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import IO, TypedDict, cast

from understudy.adapters.streams.leftovers import MARK_VARIABLE, end_marked
from understudy.adapters.streams.workplace import Workplace
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.secret import Secret

PIECE_BYTES = 256 * 1024
_LOOK_EVERY_SECONDS = 0.2
_WORDS_BYTES = 4096
_WORDS_LINES = 5
_INHERITED = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ", "LANG", "LANGUAGE")
_HIDDEN = "(a secret)"


class RunAs(TypedDict, total=False):
    """The arguments of ``subprocess`` that change the user; empty when there is nothing to change."""

    user: int
    group: int
    extra_groups: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A command line, and all that it is started with."""

    arguments: tuple[str, ...]
    environment: Mapping[str, Secret] = field(default_factory=dict)
    """Beside the few variables that every program is given."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """The same, of what is no secret; over those."""
    directory: str = "/"
    time_limit: timedelta
    mark: str
    run_as: RunAs = field(default_factory=RunAs)

    @property
    def name(self) -> str:
        """For messages: arguments may be long, and hold what is nobody's business."""
        return self.arguments[0]

    def full_environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name in _INHERITED or name.startswith("LC_")}
        own = {name: value.reveal() for name, value in self.environment.items()}
        return {**kept, **own, **self.variables, MARK_VARIABLE: self.mark}

    def without_secrets(self, words: str) -> str:
        for secret in sorted((value.reveal() for value in self.environment.values()), key=len, reverse=True):
            words = words.replace(secret, _HIDDEN) if secret else words
        return words


@dataclass(frozen=True, slots=True)
class ProgramEnd:
    status: int | None
    """As ``subprocess`` has it, negative for a signal; None: the time was up, and it was ended."""
    words: str
    """The last lines that it said, on one line, without the values of secrets; empty where it said nothing."""

    @property
    def told(self) -> str:
        """How it ended, for people."""
        if self.status is None:
            how = "was ended, because its time was up"
        else:
            how = f"ended with {self.status}" if self.status >= 0 else f"was ended by signal {-self.status}"
        return f"{how}: {self.words}" if self.words else f"{how}, without a word"


def run_program(
    program: Program,
    workplace: Workplace,
    *,
    takes: int | None = None,
    gives: Callable[[bytes], None] | None = None,
    hears: Callable[[bytes], None] | None = None,
    pass_fds: Sequence[int] = (),
) -> ProgramEnd:
    """Start it, and wait until it has ended and everything that it wrote was taken.

    Args:
        takes: A handle that it reads as its standard input; None: there is nothing to read.
        gives: Takes what it writes to its standard output; None: that counts among its words.
        hears: Is told all of its words, as they come; of them the end alone is kept otherwise.

    Raises:
        GiveUp: ``program_missing``, ``program_unusable``, ``directory_missing``.
        Cancelled: asked for. Then, as where ``gives`` raises, it is ended with all that it started.
    """
    child = _start(program, takes, gives is not None, pass_fds)
    watch = _Watch(program, workplace, child, gives, hears)
    try:
        return watch.until_it_ends()
    except BaseException:
        watch.end_all()
        raise
    finally:
        watch.close()


def _start(program: Program, takes: int | None, gives: bool, pass_fds: Sequence[int]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            program.arguments,
            stdin=subprocess.DEVNULL if takes is None else takes,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if gives else subprocess.STDOUT,
            bufsize=0,
            cwd=program.directory,
            env=program.full_environment(),
            start_new_session=True,
            pass_fds=pass_fds,
            **program.run_as,
        )
    except OSError as error:
        raise _cannot_start(program, error) from error


def _cannot_start(program: Program, error: OSError) -> GiveUp:
    if isinstance(error, FileNotFoundError | NotADirectoryError) and not os.path.isdir(program.directory):  # noqa: PTH112
        return GiveUp(
            "directory_missing",
            found=f"{program.directory}, where {program.name} is to be started: {error.strerror}",
            expected="a directory of this host",
            hint="make it, or correct directory in the stack file",
        )
    if isinstance(error, FileNotFoundError):
        return program_missing(program.name)
    return program_unusable(program.name, str(error.strerror))


def program_unusable(name: str, why: str) -> GiveUp:
    return GiveUp(
        "program_unusable",
        found=f"{name} cannot be started: {why}",
        expected="a program that the user that understudy runs as may start",
        hint=f"look at it with: ls -l $(command -v {name})",
    )


def program_missing(name: str, hint: str = "") -> GiveUp:
    return GiveUp(
        "program_missing",
        found=f"no program {name} in {os.environ.get('PATH', os.defpath)}" if "/" not in name else f"{name} does not exist",
        expected="a program of this host",
        hint=hint or "install it, or name it by its whole path in the stack file",
    )


class _Watch:
    def __init__(
        self,
        program: Program,
        workplace: Workplace,
        child: subprocess.Popen[bytes],
        gives: Callable[[bytes], None] | None,
        hears: Callable[[bytes], None] | None,
    ) -> None:
        self._program = program
        self._workplace = workplace
        self._child = child
        self._gives = gives
        self._hears = hears
        self._words = bytearray()
        self._selector = selectors.DefaultSelector()
        self._handle = os.pidfd_open(child.pid)
        self._selector.register(self._handle, selectors.EVENT_READ, "ended")
        self._pipes = {"output": cast(IO[bytes], child.stdout)}
        if gives is not None:
            self._pipes["words"] = cast(IO[bytes], child.stderr)
        for name, pipe in self._pipes.items():
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, selectors.EVENT_READ, name)
        self._open = set(self._pipes)
        self._running = True

    def until_it_ends(self) -> ProgramEnd:
        clock = self._workplace.clock
        deadline = clock.monotonic_seconds() + self._program.time_limit.total_seconds()
        while self._running or (self._gives is not None and "output" in self._open):
            self._workplace.cancellation.raise_if_requested()
            if clock.monotonic_seconds() >= deadline:
                self.end_all()
                return ProgramEnd(None, self._last_words())
            for key, _ in self._selector.select(_LOOK_EVERY_SECONDS):
                self._take(key.data)
        while any(self._take(name) for name in sorted(self._open)):
            pass  # what it said last; who goes on beyond it may hold the pipe open
        return ProgramEnd(self._child.wait(), self._last_words())

    def _take(self, name: str) -> bool:
        """Whether something came."""
        if name == "ended":
            self._running = False
            self._selector.unregister(self._handle)
            return False
        pipe = self._pipes[name]
        try:
            piece = os.read(pipe.fileno(), PIECE_BYTES)
        except BlockingIOError:
            return False
        if not piece:
            self._open.discard(name)
            self._selector.unregister(pipe)
        elif name == "output" and self._gives is not None:
            self._gives(piece)
        else:
            if self._hears is not None:
                self._hears(piece)
            self._words += piece
            del self._words[:-_WORDS_BYTES]
        return bool(piece)

    def end_all(self) -> None:
        end_marked(self._program.mark, self._workplace.clock, session=self._child.pid)
        self._child.wait()  # only now: until it is reaped, nobody else is given its id

    def close(self) -> None:
        self._selector.close()
        os.close(self._handle)
        for pipe in self._pipes.values():
            with suppress(OSError):
                pipe.close()

    def _last_words(self) -> str:
        lines = [each.strip() for each in self._words.decode(errors="replace").splitlines() if each.strip()]
        words = " / ".join(lines[-_WORDS_LINES:])
        return self._program.without_secrets("".join(each if each.isprintable() else " " for each in words))
