"""What a run gives to the step that it carries out."""

from __future__ import annotations

from typing import Protocol

from understudy.vocabulary.errors import TryAgain
from understudy.vocabulary.json import JsonObject


class Receipts(Protocol):
    """Small files that one step writes and later steps of the same run read back.

    Names are decided in the plan; values flow through here. Each write is atomic and survives the machine: a receipt is also
    what a step looks for before it acts. Receipts are part of the run, never of the repository.
    """

    def read(self, name: str) -> JsonObject | None:
        """The receipt, or None when it was never written."""
        ...

    def write(self, name: str, value: JsonObject) -> None:
        """Written aside, fsynced, renamed. Writing the same name again replaces it."""
        ...


class Progress(Protocol):
    """How far long work has come. Lossy; never evidence."""

    def report(self, activity: str, done: int, total: int | None = None, unit: str = "bytes") -> None: ...

    def held_up(self, reason: TryAgain | None) -> None:
        """What the work waits for although the step goes on trying by itself; None once it is over."""
        ...


class Cancellation(Protocol):
    """Whether a person asked for the end of this run."""

    def raise_if_requested(self) -> None:
        """Raises ``Cancelled`` when asked to stop. Long work calls this between two pieces, where stopping is safe."""
        ...
