"""A small base backup made of given files, with a true manifest unless a test changes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import google_crc32c

from tests.repository.test_tar_stream import archive, cut
from understudy.ports.database import ArchiveStream, BackupStart, BackupStop
from understudy.vocabulary.wal import Lsn, Timeline

Members = Mapping[str, bytes | str | None]
"""Bytes: a file; None: a directory; text: a symbolic link to it."""


@dataclass
class SyntheticBackup:
    base: Members
    tablespaces: Mapping[int, Members] = field(default_factory=dict)
    listed: Mapping[str, bytes] | None = None
    """What the manifest says in place of the truth."""
    start_lsn: str = "0/2000028"
    breaks_after_bytes: int | None = None
    breaks_with: Exception | None = None
    stopped: bool = False

    @property
    def start(self) -> BackupStart:
        return BackupStart(Lsn.parse(self.start_lsn), Timeline(1), (), None)

    def archives(self) -> Iterator[ArchiveStream]:
        for oid, members in [*self.tablespaces.items(), (None, self.base)]:
            yield ArchiveStream(oid, self._breaking(cut(archive(*members.items()), 32768)))

    def manifest(self) -> Iterator[bytes]:
        yield manifest_text(self.files if self.listed is None else self.listed, self.start_lsn)

    def stop(self) -> BackupStop:
        self.stopped = True
        return BackupStop(Lsn.parse(self.start_lsn) + 1, Timeline(1))

    @property
    def files(self) -> dict[str, bytes]:
        found = {path: content for path, content in self.base.items() if isinstance(content, bytes)}
        for oid, members in self.tablespaces.items():
            found |= {f"pg_tblspc/{oid}/{path}": content for path, content in members.items() if isinstance(content, bytes)}
        return found

    def _breaking(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        passed = 0
        for piece in pieces:
            passed += len(piece)
            if self.breaks_with is not None and passed > (self.breaks_after_bytes or 0):
                raise self.breaks_with
            yield piece


def manifest_text(files: Mapping[str, bytes], start_lsn: str = "0/2000028") -> bytes:
    lines = ",\n".join(
        json.dumps({"Path": path, "Size": len(content), "Checksum-Algorithm": "CRC32C", "Checksum": _crc32c(content)})
        for path, content in files.items()
    )
    ranges = f'{{ "Timeline": 1, "Start-LSN": "{start_lsn}", "End-LSN": "0/F000000" }}'
    text = f'{{ "PostgreSQL-Backup-Manifest-Version": 1,\n"Files": [\n{lines}],\n"WAL-Ranges": [\n{ranges}\n],\n'
    return f'{text}"Manifest-Checksum": "{hashlib.sha256(text.encode()).hexdigest()}"}}\n'.encode()


def _crc32c(content: bytes) -> str:
    return google_crc32c.value(content).to_bytes(4, "little").hex()
