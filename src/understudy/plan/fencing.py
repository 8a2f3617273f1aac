"""What must be out of a real recovery's way, and what is asked of a person before anything is touched."""

from __future__ import annotations

from dataclasses import dataclass

from understudy.plan.landing import ask_to_move
from understudy.ports.database import Presence
from understudy.steps.fence_old_server import FenceOldServer
from understudy.steps.old_server import AddressAnswer, found_at, in_the_way, require_gone
from understudy.vocabulary.recovery_target import RecoveryTarget


@dataclass(frozen=True, slots=True)
class OldServerFacts:
    """What was seen before anybody was asked."""

    runs_here: bool = False
    """A server runs in the recovery directory."""
    holds_something: bool = False
    """The recovery directory is there and not empty."""
    answers: tuple[AddressAnswer, ...] = ()
    """Of each address; but not of what may be the server in the recovery directory, which the fence stops first."""

    @property
    def lives(self) -> bool:
        """It runs here, or answers for itself at an address."""
        return self.runs_here or any(
            answer.presence is Presence.LISTENING and not answer.stranger and not answer.fault for answer in self.answers
        )


def question(
    fence: FenceOldServer, target: RecoveryTarget, seen: OldServerFacts, address_to_move: str | None, *, set_aside: bool
) -> str:
    """In the words of what is there, so that whoever agrees knows what ends, what is moved, and what is lost.

    Raises:
        Refusal: ``address_taken``, ``old_server_not_fenced``: nobody needs to be asked.
    """
    require_gone(seen.answers, fence.system_identifier, fence.override_by)
    directory, resource = fence.place.directory, fence.resource
    if seen.runs_here:
        text = f"A server runs in {directory}: stop it for good and recover {resource} to {target}?"
    else:
        text = f"Nothing runs in {directory}. Recover {resource} there, to {target}?"
    if set_aside and seen.holds_something:
        text += " What stands in the directory is set aside beside it, not removed."
    for answer in in_the_way(seen.answers):
        text += f" By {fence.override_by}'s word it does not matter that {found_at(answer)}; what is written there is lost."
    if address_to_move is not None:
        text += f" {ask_to_move(address_to_move, fence.place.port)}"
    return text
