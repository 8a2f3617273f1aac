"""The stack files that ran, each sealed; and beside it a signed note, which says that one of our signers went by it.

Whoever has no stack file yet may believe one that is kept here only by that note: anybody can seal to public keys.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from understudy.ports.object_store import ObjectStore
from understudy.ports.sealer import Sealer
from understudy.ports.world import Keys
from understudy.repository.documents import Fields
from understudy.repository.layout import (
    FORMAT_VERSION,
    SIDECAR_SUFFIX,
    STACK_PREFIX,
    parts_of_stack_stem,
    sealing_told_by,
    stack_stem,
    stack_suffix,
)
from understudy.repository.sealing import store_sealed
from understudy.repository.signing import Signer, parse_json, verify
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.json import JsonObject
from understudy.vocabulary.sealing import Sealing

DOCUMENT = "understudy/stack-file"
_WRITTEN = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True)
class KeptStackFile:
    written: str
    """As in its key: ``20261123T030000Z``."""
    digest: str
    """SHA-256 of the text, as its key says."""
    noted: bool
    """Whether a note of it is there; what that is worth, ``read_note`` says."""
    sealing: Sealing = Sealing.AGE

    @property
    def key(self) -> str:
        return stack_stem(self.written, self.digest) + stack_suffix(self.sealing)

    @property
    def note_key(self) -> str:
        return stack_stem(self.written, self.digest) + SIDECAR_SUFFIX

    @property
    def written_at(self) -> datetime:
        return datetime.fromisoformat(self.written)


@dataclass(frozen=True, slots=True)
class StackFileNote:
    repository: str
    """What the stack file calls the repository in which the note lies."""
    signer: str


def kept_stack_files(store: ObjectStore) -> tuple[KeptStackFile, ...]:
    """Newest first, by the time in their keys. Raises as the store does."""
    keys = {found.key for found in store.list(STACK_PREFIX)}
    kept = []
    for key in keys:
        sealing = sealing_told_by(key)
        if sealing is None:
            continue
        stem = key.removesuffix(stack_suffix(sealing))
        parts = parts_of_stack_stem(stem)
        if parts is not None and _is_moment(parts[0]):
            kept.append(KeptStackFile(*parts, stem + SIDECAR_SUFFIX in keys, sealing))
    return tuple(sorted(kept, key=lambda each: (each.written, each.digest), reverse=True))


def keep_stack_file(
    store: ObjectStore, sealer: Sealer, keys: Keys, text: bytes, digest: str, repository: str, now: datetime
) -> None:
    """So that the newest one is that which ran last. Twice is the same as once.

    ``repository``: what the stack file calls the place, so that a copy of it elsewhere can be told to be that one.
    """
    kept = kept_stack_files(store)
    known = next((each for each in kept if each.digest == digest), None)
    fresh = KeptStackFile(f"{now.astimezone(UTC):{_WRITTEN}}", digest, False, sealer.sealing)
    # By a clock that was set back it would never become the newest, and be stored again each time.
    if known is None or (known != kept[0] and fresh.written > kept[0].written):
        _unless_there(lambda: store_sealed(store, sealer, fresh.key, [text], keys.recipients))
        known = fresh
    if not known.noted:
        note = Signer.of(keys).seal_document(_note(known, repository))
        _unless_there(lambda: store.put(known.note_key, [note]))


def read_note(store: ObjectStore, kept: KeptStackFile) -> StackFileNote:
    """With the key that it is signed by, once that signature fits. Whether that key is to be believed, the caller knows.

    Raises:
        GiveUp: ``object_missing``, ``signature_missing``, ``signature_wrong``, ``document_malformed``.
        Refusal: ``format_newer``.
    """
    envelope = parse_json(b"".join(store.read(kept.note_key)))
    signature = envelope.get("signature")
    signer = str(signature.get("signer")) if isinstance(signature, dict) else ""
    fields = Fields.of(verify(envelope, {signer}), DOCUMENT)
    fields.expect(written=kept.written, sha256=kept.digest)
    note = StackFileNote(fields.text("repository"), signer)
    fields.finish()
    return note


def _note(kept: KeptStackFile, repository: str) -> JsonObject:
    return {
        "document": DOCUMENT,
        "format_version": FORMAT_VERSION,
        "written": kept.written,
        "sha256": kept.digest,
        "repository": repository,
    }


def _is_moment(written: str) -> bool:
    try:
        datetime.fromisoformat(written)
    except ValueError:
        return False
    return True


def _unless_there(store_it: Callable[[], object]) -> None:
    """Stored by another process, in the same second."""
    try:
        store_it()
    except GiveUp as error:
        if error.code != "object_exists":
            raise
