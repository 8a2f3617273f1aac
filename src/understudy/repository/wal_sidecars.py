"""The signed document beside each WAL object. The object counts once it exists."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from understudy.repository.documents import Fields
from understudy.repository.layout import FORMAT_VERSION
from understudy.repository.signing import malformed
from understudy.vocabulary.identifiers import ResourceName, SystemIdentifier
from understudy.vocabulary.json import JsonObject
from understudy.vocabulary.wal import Timeline, WalSegment, history_file_name

DOCUMENT = "understudy/wal"


class WalKind(StrEnum):
    SEGMENT = "segment"
    TAIL = "tail"
    HISTORY = "history"


@dataclass(frozen=True, slots=True)
class WalSubject:
    """Which piece of whose WAL: all that a sidecar's key says."""

    resource: ResourceName
    system_identifier: SystemIdentifier
    kind: WalKind
    timeline: Timeline
    name: str
    """The segment's or the history file's."""
    segment_bytes: int
    start: int
    """Byte offset within the segment; 0 but for tails."""
    stop: int
    """Byte offset behind the last; the number of bytes for a history file."""


@dataclass(frozen=True, slots=True)
class WalOwner:
    """Whose WAL it is."""

    resource: ResourceName
    system_identifier: SystemIdentifier
    segment_bytes: int

    def segment(self, segment: WalSegment) -> WalSubject:
        return self._subject(WalKind.SEGMENT, segment.timeline, segment.name, 0, segment.size_bytes)

    def tail(self, segment: WalSegment, start: int, stop: int) -> WalSubject:
        return self._subject(WalKind.TAIL, segment.timeline, segment.name, start, stop)

    def history(self, timeline: Timeline, size_bytes: int) -> WalSubject:
        return self._subject(WalKind.HISTORY, timeline, history_file_name(timeline), 0, size_bytes)

    def _subject(self, kind: WalKind, timeline: Timeline, name: str, start: int, stop: int) -> WalSubject:
        return WalSubject(self.resource, self.system_identifier, kind, timeline, name, self.segment_bytes, start, stop)


@dataclass(frozen=True, slots=True)
class WalSidecar:
    """``data`` is the name of the sealed object, in the sidecar's own folder; digests are SHA-256 in hexadecimal."""

    subject: WalSubject
    data: str
    plain_sha256: str
    sealed_bytes: int
    sealed_sha256: str
    after_gap: bool
    """The segment before this one is known to be lost: replay cannot pass from there to here."""

    @property
    def plain_bytes(self) -> int:
        return self.subject.stop - self.subject.start

    def to_json(self) -> JsonObject:
        subject = self.subject
        return {
            "document": DOCUMENT,
            "format_version": FORMAT_VERSION,
            "resource": subject.resource,
            "system_identifier": subject.system_identifier,
            "kind": str(subject.kind),
            "timeline": subject.timeline,
            "name": subject.name,
            "segment_bytes": subject.segment_bytes,
            "start": subject.start,
            "stop": subject.stop,
            "data": self.data,
            "plain_sha256": self.plain_sha256,
            "sealed_bytes": self.sealed_bytes,
            "sealed_sha256": self.sealed_sha256,
            "after_gap": self.after_gap,
        }

    @classmethod
    def from_json(cls, document: JsonObject) -> WalSidecar:
        """Strictly.

        Raises:
            GiveUp: ``document_malformed``.
            Refusal: ``format_newer``.
        """
        fields = Fields.of(document, DOCUMENT)
        try:
            subject = WalSubject(
                resource=ResourceName(fields.text("resource")),
                system_identifier=SystemIdentifier(fields.text("system_identifier")),
                kind=WalKind(fields.text("kind")),
                timeline=Timeline(fields.number("timeline")),
                name=fields.text("name"),
                segment_bytes=fields.number("segment_bytes"),
                start=fields.number("start"),
                stop=fields.number("stop"),
            )
        except ValueError as error:
            raise malformed(f"{DOCUMENT}: {error}") from error
        sidecar = cls(
            subject=subject,
            data=fields.text("data"),
            plain_sha256=fields.digest("plain_sha256"),
            sealed_bytes=fields.number("sealed_bytes"),
            sealed_sha256=fields.digest("sealed_sha256"),
            after_gap=fields.flag("after_gap"),
        )
        fields.finish()
        if subject.stop < subject.start or "/" in sidecar.data:
            raise malformed(f"{DOCUMENT}: bytes [{subject.start}, {subject.stop}) in {sidecar.data!r}")
        return sidecar
