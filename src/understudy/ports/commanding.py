"""Commands of the operator's: what the stack file says is to be run, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True)
class KeptOutput:
    """What a command said, on both of its outputs, as it came. Every secret that the stack knows of is masked in it."""

    head: str
    """How it began; all of it, where nothing was cut."""
    tail: str
    """How it ended; empty where nothing was cut."""
    cut_bytes: int
    """How much between the two was not kept."""


@dataclass(frozen=True, slots=True)
class CommandEnd:
    status: int | None
    """0 where it succeeded, negative for a signal; None: its time was up, and it was ended with all that it had started."""
    took: timedelta
    output: KeptOutput


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the plan adds to a command: in a drill, where the copies are that it shall use."""

    variables: Mapping[str, str]
    """Environment variables in clear, over those of the stack file."""
    directory: str | None = None
    """Where it is started, where the stack file names no directory."""


class OperatorCommand(Protocol):
    """One of them, for one run."""

    @property
    def shown(self) -> str:
        """Its arguments, quoted as for a shell, for people."""
        ...

    @property
    def account(self) -> tuple[int, int] | None:
        """User and group that it runs as; None: ours.

        Raises:
            GiveUp: ``command_user_missing``, ``command_user_not_us``.
        """
        ...

    @property
    def time_limit(self) -> timedelta: ...

    @property
    def try_limit(self) -> timedelta:
        """Of one start of it, where it is started several times; else ``time_limit``."""
        ...

    @property
    def every(self) -> timedelta:
        """Between two starts, where it is started several times."""
        ...

    def require_ready(self) -> str:
        """Whether it could be started, without starting it. Returns where its program was found.

        Raises:
            GiveUp: ``program_missing``, ``program_unusable``, ``directory_missing``, ``command_user_missing``,
                ``command_user_not_us``, ``secret_missing``, ``secret_unreadable``.
        """
        ...

    def left_over(self) -> tuple[int, ...]:
        """Ids of processes that an earlier attempt of this run started it as, or that it started, and that are still there."""
        ...

    def end_left_over(self) -> None:
        """Those are ended: asked first, then killed."""
        ...

    def carry_out(self, surroundings: Surroundings, limit: timedelta) -> CommandEnd:
        """Start it, and wait until it has ended; at the limit it is ended with all that it started.

        What it leaves running goes on. Not to be called again without a person who looked, unless twice is the same as once.

        Raises:
            GiveUp: as ``require_ready`` does; then it was not begun.
            Cancelled: asked for; everything that was started for it is ended.
        """
        ...


class StartedProcesses(Protocol):
    """What commands of this run left running, as far as it can be seen: what wears the run in its environment, and what works in
    the directory.
    """

    def of(self, commands: Sequence[str], directory: str) -> tuple[int, ...]:
        """Ids of the processes that these commands started, and of those that work in the directory or have something in it
        open.
        """
        ...

    def end(self, commands: Sequence[str], directory: str) -> None:
        """Ask them to end, and after some seconds end them."""
        ...

    def reach(self, commands: Sequence[str], places: Sequence[str]) -> tuple[str, ...]:
        """What processes of these commands have open, or work in, within any of the places."""
        ...
