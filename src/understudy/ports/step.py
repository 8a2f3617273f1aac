"""The unit of work that a run is made of."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Protocol

from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import StepKey
from understudy.vocabulary.phases import Phase

if TYPE_CHECKING:
    from understudy.ports.world import World


class Step(Protocol):
    """One effect: what you would rerun alone at three in the morning.

    A step is a frozen value. It looks before it acts, so that running it twice is the same as once. It names resources;
    ``World`` resolves the names, so no address, path of a program or password is part of it.
    """

    PHASE: ClassVar[Phase]
    """Where what it takes counts, when the run is a recovery."""

    @property
    def key(self) -> StepKey:
        """Stable and readable, unique in its plan: ``orders/restore-base-backup``."""
        ...

    @property
    def time_limit(self) -> timedelta:
        """After so long the runner stops trying again and calls the step failed."""
        ...

    def run(self, world: World) -> Evidence:
        """Do it, and say what was seen.

        Raises:
            TryAgain: a passing fault; the runner calls again after the delay, within the time limit.
            GiveUp: a final fault, with code, finding, expectation and hint.
            Cancelled: noticed ``world.cancellation``.
        """
        ...
