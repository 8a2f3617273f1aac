"""What a snapshot consists of: the signed ``snapshot.json``, written last. Without it there is no snapshot."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from understudy.repository.documents import Fields
from understudy.repository.layout import FORMAT_VERSION
from understudy.repository.signing import malformed
from understudy.repository.snapshots.keys import PARTS_FROM_A_SNAPSHOT, SnapshotKeys, is_listing_name, label_of_part
from understudy.vocabulary.identifiers import BackupOrigin, ResourceName, RunId, SnapshotLabel
from understudy.vocabulary.json import JsonObject

DOCUMENT = "understudy/snapshot"


@dataclass(frozen=True, slots=True)
class SealedPart:
    """One sealed object: a part, by its name in the folder of parts, or a listing, by its name in the snapshot's folder."""

    name: str
    sealed_bytes: int
    sealed_sha256: str
    plain_bytes: int
    """Before compression: of the tar archive, or of the lines."""

    def to_json(self) -> JsonObject:
        return {
            "name": self.name,
            "sealed_bytes": self.sealed_bytes,
            "sealed_sha256": self.sealed_sha256,
            "plain_bytes": self.plain_bytes,
        }

    @classmethod
    def from_fields(cls, fields: Fields) -> SealedPart:
        part = cls(
            fields.text("name"), fields.number("sealed_bytes"), fields.digest("sealed_sha256"), fields.number("plain_bytes")
        )
        fields.finish()
        return part


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotManifest:
    """One complete snapshot. It lies open in the repository, so it holds no names of what was kept: they are in the listing."""

    label: SnapshotLabel
    kind: str
    """Of the resource: ``files``, ``bucket``."""
    resource: ResourceName
    source: str
    """Where it was read, to show to people."""
    start_time: datetime
    """By the controller's clock. Whatever was not changed after it is in the snapshot as it was then."""
    stop_time: datetime
    """When the last content had been read."""
    listing: SealedPart
    parts: tuple[SealedPart, ...]
    """Ascending by name: every part that the listing refers to, also those that earlier snapshots stored."""
    entries: int
    """Lines of the listing."""
    content_bytes: int
    """Of all contents, one for each name, as they would be restored."""
    stored_bytes: int
    """Sealed, what this snapshot added: its own parts and its listing."""
    changed_while_read: int
    """How many contents were changed each time they were read; the listing marks them."""
    left_out: int
    """How many were changed so often that they are not in the snapshot at all."""
    passed_over: int
    """How many cannot be kept (sockets, devices); 101: more than a hundred."""
    compression: str
    """For people: ``zstd-3``."""
    stack_digest: str
    """SHA-256 of the stack file that this snapshot was taken under."""
    understudy_version: str
    run: RunId
    origin: BackupOrigin
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        keys = SnapshotKeys(self.kind, self.resource)
        _require(keys.kind == self.kind, "no kind")
        _require(is_listing_name(self.listing.name), f"{self.listing.name!r} is no name of a listing")
        _require(self.start_time.tzinfo is not None and self.stop_time.tzinfo is not None, "a time without offset")
        _require(self.start_time <= self.stop_time, "the snapshot stops before it starts")
        names = [part.name for part in self.parts]
        _require(all(a < b for a, b in pairwise(names)), "the parts are not ascending by name")
        for name in names:
            _require(label_of_part(name) is not None, f"{name!r} is no name of a part")

    @property
    def keys(self) -> SnapshotKeys:
        return SnapshotKeys(self.kind, self.resource)

    @property
    def sealed_bytes(self) -> int:
        """Of everything that a restore of the whole reads."""
        return self.listing.sealed_bytes + sum(part.sealed_bytes for part in self.parts)

    def objects(self) -> tuple[tuple[str, SealedPart], ...]:
        """Every sealed object with its key in the repository: the listing, then the parts."""
        keys = self.keys
        return (
            (keys.in_folder(self.label, self.listing.name), self.listing),
            *((keys.part(part.name), part) for part in self.parts),
        )

    def sums_text(self) -> bytes:
        """The content of ``SHA256SUMS``, as ``sha256sum --check`` reads it there: the listing, then the parts."""
        lines = [f"{self.listing.sealed_sha256}  {self.listing.name}\n"]
        lines += [f"{part.sealed_sha256}  {PARTS_FROM_A_SNAPSHOT}{part.name}\n" for part in self.parts]
        return "".join(lines).encode()

    def sums_sha256(self) -> str:
        return hashlib.sha256(self.sums_text()).hexdigest()

    def to_json(self) -> JsonObject:
        return {
            "document": DOCUMENT,
            "format_version": self.format_version,
            "label": str(self.label),
            "kind": self.kind,
            "resource": self.resource,
            "source": self.source,
            "start_time": self.start_time.isoformat(),
            "stop_time": self.stop_time.isoformat(),
            "listing": self.listing.to_json(),
            "parts": [part.to_json() for part in self.parts],
            "sums_sha256": self.sums_sha256(),
            "entries": self.entries,
            "content_bytes": self.content_bytes,
            "stored_bytes": self.stored_bytes,
            "changed_while_read": self.changed_while_read,
            "left_out": self.left_out,
            "passed_over": self.passed_over,
            "compression": self.compression,
            "stack_digest": self.stack_digest,
            "understudy_version": self.understudy_version,
            "run": self.run,
            "origin": str(self.origin),
        }

    @classmethod
    def from_json(cls, document: JsonObject) -> SnapshotManifest:
        """Strictly: nothing missing, nothing unknown.

        Raises:
            GiveUp: ``document_malformed``.
            Refusal: ``format_newer``.
        """
        fields = Fields.of(document, DOCUMENT)
        try:
            return cls._read(fields)
        except ValueError as error:
            raise malformed(f"{DOCUMENT}: {error}") from error

    @classmethod
    def _read(cls, fields: Fields) -> SnapshotManifest:
        sums_sha256 = fields.digest("sums_sha256")
        manifest = cls(
            label=SnapshotLabel(fields.text("label")),
            kind=fields.text("kind"),
            resource=ResourceName(fields.text("resource")),
            source=fields.text("source"),
            start_time=fields.moment("start_time"),
            stop_time=fields.moment("stop_time"),
            listing=SealedPart.from_fields(fields.member("listing")),
            parts=tuple(SealedPart.from_fields(each) for each in fields.members("parts")),
            entries=fields.number("entries"),
            content_bytes=fields.number("content_bytes"),
            stored_bytes=fields.number("stored_bytes"),
            changed_while_read=fields.number("changed_while_read"),
            left_out=fields.number("left_out"),
            passed_over=fields.number("passed_over"),
            compression=fields.text("compression"),
            stack_digest=fields.text("stack_digest"),
            understudy_version=fields.text("understudy_version"),
            run=RunId(fields.text("run")),
            origin=BackupOrigin(fields.text("origin")),
        )
        fields.finish()
        _require(sums_sha256 == manifest.sums_sha256(), "sums_sha256 does not fit the parts")
        return manifest


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ValueError(otherwise)
