"""PostgreSQL's own ``backup_manifest``: every file of a base backup with its size and CRC32C.

Source: PostgreSQL manual, "Backup Manifest Format". Version 1 (13 to 16) and version 2 (17 on, with the system identifier).
WAL and the manifest itself are not listed; ``backup_label``, ``tablespace_map`` and ``INCREMENTAL.*`` files are.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import SystemIdentifier
from understudy.vocabulary.wal import Lsn, Timeline

_CHECKSUM_LINE = b'"Manifest-Checksum"'


@dataclass(frozen=True, slots=True)
class ManifestFile:
    size_bytes: int
    crc32c: int

    def __str__(self) -> str:
        return f"{self.size_bytes} bytes with CRC32C {self.crc32c:08x}"


@dataclass(frozen=True, slots=True)
class WalRange:
    """The WAL that a backup needs on one timeline."""

    timeline: Timeline
    start: Lsn
    end: Lsn


@dataclass(frozen=True, slots=True)
class ServerManifest:
    version: int
    system_identifier: SystemIdentifier | None
    """None in version 1."""
    files: Mapping[str, ManifestFile]
    """By path relative to the data directory; files of a tablespace as ``pg_tblspc/<oid>/…``. Bytes that are not UTF-8 are
    kept as surrogates, as ``os.fsdecode`` does."""
    wal_ranges: tuple[WalRange, ...]

    def compare(self, found: Mapping[str, ManifestFile]) -> None:
        """Whether exactly the listed files were found, each with its size and checksum.

        Raises:
            GiveUp: ``backup_file_missing``, ``backup_file_unexpected``, ``backup_file_differs``, for the first such file.
        """
        for path, listed in self.files.items():
            seen = found.get(path)
            if seen is None:
                raise _other_file("missing", f"{path!r} is in the server's manifest but not in the backup", str(listed))
            if seen != listed:
                raise _other_file("differs", f"{path!r} came as {seen}", str(listed))
        if len(found) > len(self.files):
            surplus = next(path for path in found if path not in self.files)
            raise _other_file("unexpected", f"{surplus!r} is in the backup", "only files that the server's manifest lists")


def manifest_path(tablespace_oid: int | None, path: str) -> str:
    """How the manifest names the member ``path`` of a tablespace's archive, or of the data directory's (None)."""
    return path if tablespace_oid is None else f"pg_tblspc/{tablespace_oid}/{path}"


def parse_server_manifest(content: bytes) -> ServerManifest:
    """Verify the manifest's own checksum, then read it. Memory: the text and about 200 bytes for each file.

    Raises:
        GiveUp: ``manifest_corrupt`` (its checksum or form), ``manifest_unsupported`` (another version or another algorithm
            than CRC32C).
    """
    _verify_checksum(content)
    try:
        # Each file's object is reduced while the text is being read: 100,000 of them as dicts would take 100 MB.
        fields = json.loads(content, object_hook=_reduce)
        version = fields["PostgreSQL-Backup-Manifest-Version"]
        identifier = fields.get("System-Identifier")
        listed, wal_ranges = fields["Files"], tuple(fields["WAL-Ranges"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _corrupt(f"unreadable: {error!r}") from error
    if version not in (1, 2):
        raise _unsupported(f"version {version}", "version 1 or 2")
    files = dict(listed)
    if len(files) != len(listed):
        raise _corrupt("a file is listed twice")
    system_identifier = None if identifier is None else SystemIdentifier(str(identifier))
    return ServerManifest(version, system_identifier, files, wal_ranges)


def _reduce(fields: dict[str, str | int]) -> object:
    if "Size" in fields:
        if fields.get("Checksum-Algorithm") != "CRC32C":
            raise _unsupported(f"files with the checksum {fields.get('Checksum-Algorithm')}", "CRC32C for every file")
        return _path(fields), ManifestFile(int(fields["Size"]), _crc32c(str(fields["Checksum"])))
    if "Start-LSN" in fields:
        start, end = Lsn.parse(str(fields["Start-LSN"])), Lsn.parse(str(fields["End-LSN"]))
        return WalRange(Timeline(int(fields["Timeline"])), start, end)
    return fields


def _path(fields: dict[str, str | int]) -> str:
    encoded = fields.get("Encoded-Path")
    path = str(fields["Path"]) if encoded is None else os.fsdecode(bytes.fromhex(str(encoded)))
    # Files that an incremental backup no longer lists are removed by these paths.
    if path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f"a path outside the data directory: {path!r}")
    return path


def _crc32c(text: str) -> int:
    # The server prints the four bytes as they lie in its memory, and every platform that it is built for today is little-endian.
    digits = bytes.fromhex(text)
    if len(digits) != 4:
        raise ValueError(f"not a CRC32C: {text!r}")
    return int.from_bytes(digits, "little")


def _verify_checksum(content: bytes) -> None:
    """The last line holds the SHA-256 of everything before it."""
    at = content.rfind(_CHECKSUM_LINE)
    if at < 0:
        raise _corrupt("its last line, the checksum, is missing")
    found = hashlib.sha256(memoryview(content)[:at]).hexdigest()
    try:
        stated = json.loads(b"{" + content[at:])["Manifest-Checksum"]
    except (ValueError, KeyError) as error:
        raise _corrupt("its last line is damaged") from error
    if not (isinstance(stated, str) and hmac.compare_digest(found.encode(), stated.encode())):
        raise _corrupt(f"its SHA-256 is {found}, its last line says {stated}")


def _other_file(how: str, found: str, expected: str) -> GiveUp:
    return GiveUp(
        f"backup_file_{how}",
        found=found,
        expected=expected,
        hint="the files changed between the server's disk and here: check the server's disks and memory, then use another backup",
    )


def _corrupt(found: str) -> GiveUp:
    return GiveUp(
        "manifest_corrupt",
        found=f"backup_manifest: {found}",
        expected="the manifest as the server wrote it",
        hint="use another backup, or the same one from another repository",
    )


def _unsupported(found: str, expected: str) -> GiveUp:
    return GiveUp(
        "manifest_unsupported",
        found=f"backup_manifest: {found}",
        expected=expected,
        hint="this backup was made by a newer PostgreSQL or by another program: upgrade Understudy",
    )
