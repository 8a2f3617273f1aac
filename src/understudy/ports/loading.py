"""What takes back what a dump wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class Loader(Protocol):
    """Of one resource, for one run."""

    def left_over(self) -> tuple[int, ...]:
        """Ids of processes that an earlier attempt of this run began to load with, and that are still at work."""
        ...

    def end_left_over(self) -> None:
        """Those are ended."""
        ...

    def load(self, content: Path) -> None:
        """Hand the file over, and wait until it is taken in. Not to be called again without a person who looked, unless loading
        twice is the same as once.

        Raises:
            GiveUp: ``load_failed``, ``load_timed_out``: it may have been taken in in part. ``load_undeclared``,
                ``program_missing``, ``program_unusable``, ``directory_missing``, ``secret_missing``: it was not begun.
            Cancelled: asked for; everything that was started for it is ended.
        """
        ...
