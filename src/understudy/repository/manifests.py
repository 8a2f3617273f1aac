"""What a backup consists of: the signed ``backup.json``, written last. Without it there is no backup."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from understudy.ports.database import Tablespace
from understudy.repository.documents import Fields
from understudy.repository.layout import (
    FORMAT_VERSION,
    MANIFEST_NAME,
    backup_prefix,
    is_part_name,
    is_server_manifest_name,
)
from understudy.repository.signing import malformed
from understudy.vocabulary.identifiers import BackupKind, BackupLabel, BackupOrigin, ResourceName, RunId, SystemIdentifier
from understudy.vocabulary.json import JsonObject
from understudy.vocabulary.wal import Lsn, Timeline, WalSegment, segments_covering

DOCUMENT = "understudy/backup"


@dataclass(frozen=True, slots=True)
class PartEntry:
    """One sealed object of a backup. ``name`` is relative to the backup's folder."""

    name: str
    sealed_bytes: int
    sealed_sha256: str
    plain_bytes: int
    """Of the tar archive, before compression."""
    tablespace_oid: int | None
    """None: it unpacks into the data directory."""
    files: int

    def to_json(self) -> JsonObject:
        return {
            "name": self.name,
            "sealed_bytes": self.sealed_bytes,
            "sealed_sha256": self.sealed_sha256,
            "plain_bytes": self.plain_bytes,
            "tablespace_oid": self.tablespace_oid,
            "files": self.files,
        }

    @classmethod
    def from_fields(cls, fields: Fields) -> PartEntry:
        entry = cls(
            name=fields.text("name"),
            sealed_bytes=fields.number("sealed_bytes"),
            sealed_sha256=fields.digest("sealed_sha256"),
            plain_bytes=fields.number("plain_bytes"),
            tablespace_oid=fields.optional_number("tablespace_oid"),
            files=fields.number("files"),
        )
        fields.finish()
        return entry


def sums_text(entries: Iterable[PartEntry]) -> bytes:
    """The content of ``SHA256SUMS``, as ``sha256sum --check`` reads it: every part, then the server's manifest."""
    return "".join(f"{entry.sealed_sha256}  {entry.name}\n" for entry in entries).encode()


def sums_digest(entries: Iterable[PartEntry]) -> str:
    """What ``BackupManifest.sums_sha256`` holds."""
    return hashlib.sha256(sums_text(entries)).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupManifest:
    """One complete backup. ``kind`` follows from the label."""

    label: BackupLabel
    resource: ResourceName
    system_identifier: SystemIdentifier
    server_version_number: int
    """As ``server_version_num``: 150018, 180004."""
    timeline: Timeline
    start_lsn: Lsn
    stop_lsn: Lsn
    """Consistent from here on: every WAL segment from start to stop is in the repository."""
    start_time: datetime
    stop_time: datetime
    parent: BackupLabel | None
    """The backup that an incremental one was taken against; None for a full one."""
    tablespaces: tuple[Tablespace, ...]
    segment_bytes: int
    data_checksums: bool
    parts: tuple[PartEntry, ...]
    backup_manifest: PartEntry
    """The server's own manifest (CRC32C of each file), sealed."""
    sums_sha256: str
    """Of ``SHA256SUMS``."""
    compression: str
    """For people: ``zstd-3``."""
    stack_digest: str
    """SHA-256 of the stack file that this backup was taken under."""
    understudy_version: str
    run: RunId
    origin: BackupOrigin | None = None
    """None: written before this was told."""
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        _require(self.sums_sha256 == sums_digest(self.entries), "sums_sha256 does not fit the parts")
        _require((self.parent is None) == (self.kind is BackupKind.FULL), "only an incremental backup has a parent")
        _require(self.parent is None or self.parent.chain == self.label.chain, "the parent is of another chain")
        _require(self.parent != self.label, "a backup is its own parent")
        _require(self.start_lsn <= self.stop_lsn, "the backup stops before it starts")
        _require(self.start_time.tzinfo is not None and self.stop_time.tzinfo is not None, "a time without offset")
        _require(
            is_server_manifest_name(self.backup_manifest.name), f"{self.backup_manifest.name!r} is no name of a server's manifest"
        )
        _require(len({part.name for part in self.entries}) == len(self.entries), "one name stands for two parts")
        oids = {tablespace.oid for tablespace in self.tablespaces}
        for part in self.parts:
            _require(is_part_name(part.name, part.tablespace_oid), f"{part.name!r} is no name of a part")
            _require(part.tablespace_oid in oids | {None}, f"{part.name} is of a tablespace that is not listed")

    @property
    def kind(self) -> BackupKind:
        return self.label.kind

    @property
    def key(self) -> str:
        """Where it lies itself."""
        return backup_prefix(self.resource, self.system_identifier, self.label) + MANIFEST_NAME

    @property
    def server_major(self) -> int:
        return self.server_version_number // 10000

    @property
    def entries(self) -> tuple[PartEntry, ...]:
        """Every sealed object: the parts and the server's manifest."""
        return (*self.parts, self.backup_manifest)

    @property
    def plain_bytes(self) -> int:
        return sum(part.plain_bytes for part in self.parts)

    @property
    def sealed_bytes(self) -> int:
        return sum(entry.sealed_bytes for entry in self.entries)

    def own_wal(self) -> list[WalSegment]:
        """The segments from its start to its stop: without them it is inconsistent."""
        return segments_covering(self.timeline, self.start_lsn, self.stop_lsn, self.segment_bytes)

    def to_json(self) -> JsonObject:
        told = {} if self.origin is None else {"origin": str(self.origin)}
        return {
            "document": DOCUMENT,
            "format_version": self.format_version,
            "label": str(self.label),
            "kind": str(self.kind),
            "resource": self.resource,
            "system_identifier": self.system_identifier,
            "server_version_number": self.server_version_number,
            "timeline": self.timeline,
            "start_lsn": str(self.start_lsn),
            "stop_lsn": str(self.stop_lsn),
            "start_time": self.start_time.isoformat(),
            "stop_time": self.stop_time.isoformat(),
            "parent": None if self.parent is None else str(self.parent),
            "tablespaces": [{"oid": each.oid, "name": each.name, "location": each.location} for each in self.tablespaces],
            "segment_bytes": self.segment_bytes,
            "data_checksums": self.data_checksums,
            "parts": [part.to_json() for part in self.parts],
            "backup_manifest": self.backup_manifest.to_json(),
            "sums_sha256": self.sums_sha256,
            "compression": self.compression,
            "stack_digest": self.stack_digest,
            "understudy_version": self.understudy_version,
            "run": self.run,
            **told,
        }

    @classmethod
    def from_json(cls, document: JsonObject) -> BackupManifest:
        """Strictly: nothing missing, nothing unknown, every part in its range.

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
    def _read(cls, fields: Fields) -> BackupManifest:
        parent = fields.optional_text("parent")
        kind = fields.text("kind")
        manifest = cls(
            label=BackupLabel(fields.text("label")),
            resource=ResourceName(fields.text("resource")),
            system_identifier=SystemIdentifier(fields.text("system_identifier")),
            server_version_number=fields.number("server_version_number"),
            timeline=Timeline(fields.number("timeline")),
            start_lsn=Lsn.parse(fields.text("start_lsn")),
            stop_lsn=Lsn.parse(fields.text("stop_lsn")),
            start_time=fields.moment("start_time"),
            stop_time=fields.moment("stop_time"),
            parent=None if parent is None else BackupLabel(parent),
            tablespaces=tuple(_tablespace(each) for each in fields.members("tablespaces")),
            segment_bytes=fields.number("segment_bytes"),
            data_checksums=fields.flag("data_checksums"),
            parts=tuple(PartEntry.from_fields(each) for each in fields.members("parts")),
            backup_manifest=PartEntry.from_fields(fields.member("backup_manifest")),
            sums_sha256=fields.digest("sums_sha256"),
            compression=fields.text("compression"),
            stack_digest=fields.text("stack_digest"),
            understudy_version=fields.text("understudy_version"),
            run=RunId(fields.text("run")),
            origin=BackupOrigin(fields.text("origin")) if fields.has("origin") else None,
        )
        fields.finish()
        _require(kind == manifest.kind, f"kind {kind!r} does not fit the label")
        return manifest


def _tablespace(fields: Fields) -> Tablespace:
    tablespace = Tablespace(fields.number("oid"), fields.text("name"), fields.text("location"))
    fields.finish()
    return tablespace


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ValueError(otherwise)
