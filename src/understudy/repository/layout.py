"""The keys of everything in a repository. Nobody else puts a key together.

A suffix is the decode pipeline: ``.tar.zst.age`` is undone by ``age -d | zstd -d | tar x``, ``.tar.zst.gpg`` by ``gpg -d``
in place of the first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from understudy.vocabulary.identifiers import BackupLabel, ResourceName, RunId, SystemIdentifier
from understudy.vocabulary.sealing import Sealing
from understudy.vocabulary.wal import Timeline, WalSegment, history_file_name, is_segment_name, timeline_of_history_file

FORMAT_VERSION = 1
"""Of everything below the repository's address. Raised only when an older program would misread what a newer one wrote."""
NEWEST_FORMAT_VERSION = 2
"""Of what is read: that of the description of a repository which is not sealed with age."""

DESCRIPTION_KEY = "repository.json"
RECOVERY_PAGE_KEY = "RECOVERY.md"
EPOCH_PREFIX = "controller/"
EVIDENCE_PREFIX = "evidence/"
STACK_PREFIX = "stack/"
QUARANTINE_PREFIX = "quarantine/"

SIDECAR_SUFFIX = ".json"
SUMS_NAME = "SHA256SUMS"
MANIFEST_NAME = "backup.json"

_TAIL_SIDECAR = re.compile(r"^(\d{10})-(\d{10})\.json$")
_PART_NAME = re.compile(r"^(base|\d+)-[0-9A-Za-z-]+-\d{4,}\.tar\.zst\.(age|gpg)$")
_SERVER_MANIFEST_NAME = re.compile(r"^backup_manifest(-[0-9A-Za-z-]+)?\.zst\.(age|gpg)$")
_ATTEMPT = re.compile(r"^[0-9A-Za-z-]+$")
_STACK_STEM = re.compile(r"^stack/(\d{8}T\d{6}Z)-([0-9a-f]{64})$")
_QUARANTINE_KEY = re.compile(r"^quarantine/[^/]+/(\d{8}T\d{6}Z-[0-9A-Za-z-]+?)(\.lifted)?\.json$")
_EPOCH_KEY = re.compile(r"^controller/(\d{8})\.json$")


def sealed_suffix(sealing: Sealing) -> str:
    return f".zst.{sealing}"


def part_suffix(sealing: Sealing) -> str:
    return f".tar{sealed_suffix(sealing)}"


def stack_suffix(sealing: Sealing) -> str:
    return f".yaml{sealed_suffix(sealing)}"


def sealing_told_by(key: str) -> Sealing | None:
    """What the name says that the object is sealed with; None where it says nothing."""
    return next((each for each in Sealing if key.endswith(sealed_suffix(each))), None)


def server_manifest_name(sealing: Sealing, attempt: str | None = None) -> str:
    """``attempt``: where an earlier one holds the plain name."""
    return f"backup_manifest{'' if attempt is None else f'-{attempt}'}{sealed_suffix(sealing)}"


def resource_prefix(resource: ResourceName) -> str:
    return f"postgres/{resource}/"


def cluster_prefix(resource: ResourceName, system_identifier: SystemIdentifier) -> str:
    return f"{resource_prefix(resource)}{system_identifier}/"


def wal_prefix(resource: ResourceName, system_identifier: SystemIdentifier) -> str:
    return f"{cluster_prefix(resource, system_identifier)}wal/"


def backups_prefix(resource: ResourceName, system_identifier: SystemIdentifier) -> str:
    return f"{cluster_prefix(resource, system_identifier)}backups/"


def backup_prefix(resource: ResourceName, system_identifier: SystemIdentifier, label: BackupLabel) -> str:
    return f"{backups_prefix(resource, system_identifier)}{label}/"


def stack_stem(written: str, digest: str) -> str:
    """Without suffix: the file is ``stack_suffix``, the signed note of it ``.json``.

    Args:
        written: As ``20261123T030000Z``.
        digest: The SHA-256 of the stack file, hexadecimal.
    """
    return f"{STACK_PREFIX}{written}-{digest}"


def parts_of_stack_stem(stem: str) -> tuple[str, str] | None:
    """``written`` and ``digest``; None where it is no stem of a stack file."""
    found = _STACK_STEM.match(stem)
    return (found.group(1), found.group(2)) if found else None


def evidence_key(run: RunId, sealing: Sealing) -> str:
    """A run's evidence, filed by the year that its id begins with."""
    return f"{EVIDENCE_PREFIX}{run[:4]}/{run}.json{sealed_suffix(sealing)}"


def epoch_key(epoch: int) -> str:
    return f"{EPOCH_PREFIX}{epoch:08d}.json"


def epoch_of(key: str) -> int | None:
    found = _EPOCH_KEY.match(key)
    return int(found.group(1)) if found else None


def quarantine_prefix(resource: ResourceName) -> str:
    return f"{QUARANTINE_PREFIX}{resource}/"


def quarantine_key(resource: ResourceName, name: str, *, lifted: bool = False) -> str:
    """``name``: the moment of the cut-off and the run that set it, such as ``20261123T030000Z-20261124-081500-1f3c``."""
    return f"{quarantine_prefix(resource)}{name}{'.lifted' if lifted else ''}{SIDECAR_SUFFIX}"


def parts_of_quarantine_key(key: str) -> tuple[str, bool] | None:
    """The name, and whether the key is that of its lifting; None where it is neither."""
    found = _QUARANTINE_KEY.match(key)
    return (found.group(1), found.group(2) is not None) if found else None


def part_name(attempt: str, number: int, tablespace_oid: int | None = None, *, sealing: Sealing) -> str:
    """A part's file name: ``base-<attempt>-0001.tar.zst.age``, or with the tablespace's oid in place of ``base``.

    The attempt makes the name unique, because a part that an interrupted attempt left behind is never overwritten.
    """
    if not _ATTEMPT.match(attempt):
        raise ValueError(f"not an attempt: {attempt!r}; expected letters, digits and hyphens")
    return f"{'base' if tablespace_oid is None else tablespace_oid}-{attempt}-{number:04d}{part_suffix(sealing)}"


def is_part_name(name: str, tablespace_oid: int | None) -> bool:
    """Whether ``name`` is what ``part_name`` makes for the data directory (None) or this tablespace."""
    found = _PART_NAME.match(name)
    return found is not None and found.group(1) == ("base" if tablespace_oid is None else str(tablespace_oid))


def is_server_manifest_name(name: str) -> bool:
    """``backup_manifest.zst.age``, with ``-<attempt>`` before the suffix where an earlier attempt holds the plain name."""
    return bool(_SERVER_MANIFEST_NAME.match(name))


@dataclass(frozen=True, slots=True)
class WalKeys:
    """The keys below one cluster's ``wal/``."""

    prefix: str

    def segment(self, segment: WalSegment) -> str:
        """Without suffix: data is ``.zst.age`` or ``.zst.gpg``, the sidecar ``.json``."""
        return f"{self.timeline(segment.timeline)}{segment.name}"

    def timeline(self, timeline: Timeline) -> str:
        return f"{self.prefix}{timeline:08X}/"

    def tails(self, segment: WalSegment) -> str:
        return f"{self.segment(segment)}.tail/"

    def tail(self, segment: WalSegment, start: int, stop: int) -> str:
        """Byte offsets within the segment, ``[start, stop)``; ten decimal digits, so that listings are in order."""
        return f"{self.tails(segment)}{start:010d}-{stop:010d}"

    def history(self, timeline: Timeline) -> str:
        return f"{self.prefix}{history_file_name(timeline)}"

    def owner(self, key: str, segment_bytes: int) -> WalSegment | None:
        """The segment that the object belongs to: its data under whatever name, its sidecar, a tail of it. None for any other."""
        folder, _, rest = key.removeprefix(self.prefix).partition("/")
        name, dot, _ = rest.partition(".")
        if not key.startswith(self.prefix) or not dot or not is_segment_name(name) or not name.startswith(folder):
            return None
        return WalSegment.parse(name, segment_bytes)

    def recognise(self, key: str, segment_bytes: int) -> WalSegment | TailSpan | Timeline | None:
        """What a sidecar's key stands for; a number is the timeline that a history file begins. None for any other key."""
        path = key.removeprefix(self.prefix).removesuffix(SIDECAR_SUFFIX)
        if path == key or not key.endswith(SIDECAR_SUFFIX):
            return None
        folder, slash, rest = path.partition("/")
        if not slash:
            return timeline_of_history_file(path)
        if is_segment_name(rest):
            return WalSegment.parse(rest, segment_bytes) if rest.startswith(folder) else None
        name, marker, span = rest.partition(".tail/")
        found = _TAIL_SIDECAR.match(span + SIDECAR_SUFFIX)
        if not marker or not found or not is_segment_name(name) or not name.startswith(folder):
            return None
        return TailSpan(WalSegment.parse(name, segment_bytes), int(found.group(1)), int(found.group(2)))


@dataclass(frozen=True, slots=True, order=True)
class TailSpan:
    """A piece of a segment that was not complete yet: its bytes ``[start, stop)``."""

    segment: WalSegment
    start: int
    stop: int
