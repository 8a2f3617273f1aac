"""Packing a base backup while it streams: the server's archives in, sealed parts in the store out.

The calling thread reads the server, splits archives at member boundaries and computes each file's CRC32C (at 27 GB/s it is not
worth a thread). Compressing, sealing and storing happen in the threads of ``part_uploads`` and ``sealing``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import google_crc32c

from understudy.ports.database import BackupStart, BackupStop, BaseBackupStream
from understudy.ports.running import Cancellation, Progress
from understudy.repository.at_once import parts_packed, processors
from understudy.repository.layout import server_manifest_name
from understudy.repository.manifests import PartEntry
from understudy.repository.part_uploads import PackingPlace, PartUploads
from understudy.repository.server_manifest import ManifestFile, ServerManifest, manifest_path, parse_server_manifest
from understudy.repository.tar_stream import MemberKind, TarMember, read_members
from understudy.vocabulary.errors import GiveUp

DEFAULT_PART_BYTES = 256 * 1024 * 1024
INCREMENTAL_PART_BYTES = 32 * 1024 * 1024
"""Smaller, because an incremental backup that fits into one part is unpacked by one thread alone."""


@dataclass(frozen=True, slots=True)
class PackedBackup:
    start: BackupStart
    stop: BackupStop
    parts: tuple[PartEntry, ...]
    server_manifest: PartEntry
    """As it was stored."""
    manifest: ServerManifest
    """What it says."""
    plain_bytes: int
    """Of all parts together, as tar."""


def pack_base_backup(
    stream: BaseBackupStream,
    place: PackingPlace,
    *,
    progress: Progress,
    cancellation: Cancellation,
    part_bytes: int = DEFAULT_PART_BYTES,
    parts_at_once: int | None = None,
) -> PackedBackup:
    """Store everything that the stream holds, check it against the server's manifest, and end the backup on the server.

    A part is a complete tar of about ``part_bytes`` of one tablespace or of the data directory; a file is never split, so a
    part can grow to the largest file. Parts already stored stay in the store when this raises: they are no backup until a
    manifest names them. Memory is bounded as ``at_once`` says, and
    300 bytes for each file.

    Args:
        parts_at_once: None for what processors and memory allow.

    Raises:
        GiveUp: ``backup_file_missing``, ``backup_file_unexpected``, ``backup_file_differs``, ``manifest_corrupt``; what the
            stream, the sealer and the store raise.
        TryAgain: what they raise.
        Cancelled: asked for between two pieces.
    """
    files: dict[str, ManifestFile] = {}
    at_once = parts_at_once or parts_packed(processors())
    with PartUploads(place, part_bytes, stream.start.estimated_bytes, progress, cancellation, at_once) as parts:
        for archive in stream.archives():
            for member, content in read_members(archive.chunks):
                parts.begin_member(archive.tablespace_oid, member)
                checksum = _pass_on(member, content, parts)
                if member.kind is MemberKind.FILE:
                    _remember(files, manifest_path(archive.tablespace_oid, member.path), member.size_bytes, checksum)
        entries = parts.finish()
    text = b"".join(stream.manifest())
    manifest = parse_server_manifest(text)
    manifest.compare(files)
    stored = _store_manifest(place, text)
    return PackedBackup(stream.start, stream.stop(), entries, stored, manifest, parts.passed_bytes)


def _store_manifest(place: PackingPlace, text: bytes) -> PartEntry:
    """Under its plain name, or under one of this attempt where an earlier attempt left the plain one behind."""
    name = server_manifest_name(place.sealer.sealing)
    try:
        sealed = place.store_sealed(name, [text])
    except GiveUp as error:
        if error.code != "object_exists":
            raise
        name = server_manifest_name(place.sealer.sealing, place.attempt)
        sealed = place.store_sealed(name, [text])
    return PartEntry(name, sealed.sealed_bytes, sealed.sealed_sha256, sealed.plain_bytes, None, 1)


def _pass_on(member: TarMember, content: Iterator[bytes], parts: PartUploads) -> int:
    """Send the member's content and padding on; returns the content's CRC32C."""
    checksum = 0
    for piece in content:
        checksum = google_crc32c.extend(checksum, piece)
        parts.send(piece)
    parts.send(bytes(member.padding_bytes))
    return checksum


def _remember(files: dict[str, ManifestFile], path: str, size_bytes: int, checksum: int) -> None:
    if path in files:
        raise GiveUp(
            "backup_file_unexpected",
            found=f"{path!r} came twice",
            expected="each file once",
            hint="take the backup again; if it happens again, report it with the server's version",
        )
    files[path] = ManifestFile(size_bytes, checksum)
