"""One controller per repository: the one that holds the highest epoch. Whoever writes looks first, and again while it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from understudy.ports.clock import Clock
from understudy.ports.object_store import ObjectStore
from understudy.ports.world import Keys
from understudy.repository.documents import Fields
from understudy.repository.layout import EPOCH_PREFIX, FORMAT_VERSION, epoch_key, epoch_of
from understudy.repository.signing import Signer, malformed, read_document
from understudy.vocabulary.errors import GiveUp, Refusal
from understudy.vocabulary.json import JsonObject

DOCUMENT = "understudy/controller"
LOOK_AGAIN_SECONDS = 5.0
"""A controller that is superseded ships WAL for so long still, which harms nothing: WAL that is there already is left as it is.
Each look is a listing and a reading; one with every object would cost more than the shipping does."""


@dataclass(frozen=True, slots=True)
class ControllerEpoch:
    number: int
    controller: str
    """The controller's own random name."""
    claimed: datetime


def current_epoch(store: ObjectStore, keys: Keys) -> ControllerEpoch | None:
    """The newest claim; None before the first.

    Raises:
        GiveUp: the newest claim is not trusted or damaged. It is not skipped: an older one would give way to two controllers.
    """
    numbers = [number for found in store.list(EPOCH_PREFIX) if (number := epoch_of(found.key)) is not None]
    if not numbers:
        return None
    number = max(numbers)
    document = read_document(b"".join(store.read(epoch_key(number))), keys.trusted_signers)
    fields = Fields.of(document, DOCUMENT)
    epoch = ControllerEpoch(fields.number("epoch"), fields.text("controller"), fields.moment("claimed"))
    fields.finish()
    if epoch.number != number:
        raise malformed(f"the claim of epoch {epoch.number} under {epoch_key(number)}", "the one that its key says")
    return epoch


def claim_epoch(store: ObjectStore, keys: Keys, controller: str, now: datetime) -> ControllerEpoch:
    """Become the repository's controller; nothing changes for the one that is.

    Raises:
        GiveUp: ``epoch_taken``: another one claimed the same epoch at the same moment; and as ``current_epoch`` does.
    """
    current = current_epoch(store, keys)
    if current is not None and current.controller == controller:
        return current
    epoch = ControllerEpoch(1 if current is None else current.number + 1, controller, now)
    document: JsonObject = {
        "document": DOCUMENT,
        "format_version": FORMAT_VERSION,
        "epoch": epoch.number,
        "controller": controller,
        "claimed": now.isoformat(),
    }
    try:
        store.put(epoch_key(epoch.number), [Signer.of(keys).seal_document(document)])
    except GiveUp as error:
        if error.code != "object_exists":
            raise
    # A store without conditional puts may have let a rival overwrite it: what lies there now decides.
    there = current_epoch(store, keys)
    if there is None or there.controller != controller:
        raise GiveUp(
            "epoch_taken",
            found=f"{store.url} was claimed by {there.controller if there else 'nobody'} meanwhile",
            expected=f"epoch {epoch.number} for {controller}",
            hint="two controllers start on one repository; stop one of them, then try again",
        )
    return there


def require_epoch(store: ObjectStore, keys: Keys, controller: str) -> ControllerEpoch:
    """The current epoch, if it is this controller's.

    Raises:
        Refusal: ``controller_superseded``.
    """
    current = current_epoch(store, keys)
    if current is None or current.controller != controller:
        holder = f"controller {current.controller} since {current.claimed.isoformat()}" if current else "no controller"
        raise Refusal(
            "controller_superseded",
            found=f"{store.url} belongs to {holder}",
            expected=f"this controller, {controller}",
            hint="only one controller may write to a repository. If the other one works, stop this one; if it is gone for good "
            "(its state directory was lost), take its place: understudy backup RESOURCE --take-over (or recover … --take-over)",
        )
    return current


class OwnClaim:
    """This controller's claim on a repository, for what writes often: looked at again at most every few seconds."""

    def __init__(self, store: ObjectStore, keys: Keys, controller: str, clock: Clock) -> None:
        self._store = store
        self._keys = keys
        self._controller = controller
        self._clock = clock
        self._looked: float | None = None

    def require(self) -> None:
        """Raises as ``require_epoch`` does."""
        now = self._clock.monotonic_seconds()
        if self._looked is None or now - self._looked >= LOOK_AGAIN_SECONDS:
            require_epoch(self._store, self._keys, self._controller)
            self._looked = now
