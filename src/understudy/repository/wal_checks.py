"""Whether the WAL behind a backup is there without a hole, and can be decoded. Faults are values."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence

from understudy.repository.backup_checks import ObjectFault
from understudy.repository.manifests import BackupManifest
from understudy.repository.replay_path import path_over
from understudy.repository.wal_archive import WalArchive, WalContents
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import SystemIdentifier
from understudy.vocabulary.wal import Lsn, Timeline, TimelineFork, WalSegment

_LONG_PAGE_HEADER = struct.Struct("<HHIQI4xQII")
"""``XLogLongPageHeaderData`` (``access/xlog_internal.h``) on the little-endian machines that PostgreSQL is run on: magic, info,
timeline, page address, remaining length, system identifier, segment size, block size."""


def wal_of_backup(
    contents: WalContents, histories: Mapping[Timeline, Sequence[TimelineFork]], backup: BackupManifest, *, goes_on: bool
) -> Iterator[ObjectFault]:
    """From the backup's start to its stop, without which it is none; then, if it ``goes_on``, to the newest that is there."""
    missing = contents.lacking_of(backup.own_wal(), backup.stop_lsn)
    if missing is not None:
        yield _hole(missing, f"{backup.label} needs it, and cannot be restored without", "use another backup or repository")
        return
    if not goes_on:
        return
    for timeline in _ends(contents, histories, backup.timeline):
        try:
            path_over(contents, histories.get(timeline, ()), backup.timeline, backup.start_lsn, timeline)
        except GiveUp as error:
            yield ObjectFault.of(f"wal of timeline {timeline}", error)


def _ends(contents: WalContents, histories: Mapping[Timeline, Sequence[TimelineFork]], own: Timeline) -> Iterator[Timeline]:
    """The timelines that replay of the backup may follow: its own, and those that descend from it."""
    for timeline in contents.timelines():
        if timeline == own or any(fork.parent == own for fork in histories.get(timeline, ())):
            yield timeline


def decode_segment(archive: WalArchive, segment: WalSegment, system_identifier: SystemIdentifier) -> ObjectFault | None:
    """Open it, compare every digest, and see that its first page is of this cluster and of this place in the WAL.

    Raises as ``WalArchive.fetch_segment`` does.
    """
    header = b""
    for piece in archive.fetch_segment(segment):
        header += piece[: _LONG_PAGE_HEADER.size - len(header)]
    _, _, _, address, _, system, segment_bytes, _ = _LONG_PAGE_HEADER.unpack(header)
    if (address, str(system), segment_bytes) == (segment.start.position, system_identifier, segment.size_bytes):
        return None
    return ObjectFault(
        segment.name,
        "wal_of_another",
        f"a first page at {Lsn(address)} of cluster {system}, segments of {segment_bytes} bytes",
        f"{segment.start} of cluster {system_identifier}, segments of {segment.size_bytes} bytes",
        "these bytes were signed, so the host that wrote them was at fault: use another repository, and take a full backup",
    )


def _hole(segment: WalSegment, why: str, hint: str) -> ObjectFault:
    return ObjectFault(segment.name, "wal_missing", f"WAL segment {segment.name} is not there: {why}", "every segment", hint)
