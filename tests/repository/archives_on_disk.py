"""A base backup that ``pg_basebackup -Ft`` left on disk, as the stream that packing reads. For tests only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.servers.postgres import PostgresServer
from understudy.ports.database import ArchiveStream, BackupStart, BackupStop
from understudy.vocabulary.wal import Lsn, Timeline

PIECE_BYTES = 64 * 1024


@dataclass
class ArchivesOnDisk:
    directory: Path
    piece_bytes: int = PIECE_BYTES
    stopped: bool = False

    @property
    def start(self) -> BackupStart:
        return BackupStart(Lsn(0), Timeline(1), (), sum(path.stat().st_size for path in self.directory.glob("*.tar")))

    @property
    def tablespace_oid(self) -> str:
        """Of the only tablespace."""
        (archive,) = self.directory.glob("[0-9]*.tar")
        return archive.stem

    def archives(self) -> Iterator[ArchiveStream]:
        for path in sorted(self.directory.glob("*.tar")):
            oid = int(path.stem) if re.fullmatch(r"\d+", path.stem) else None
            yield ArchiveStream(oid, self._pieces(path))

    def manifest(self) -> Iterator[bytes]:
        return self._pieces(self.directory / "backup_manifest")

    def stop(self) -> BackupStop:
        self.stopped = True
        return BackupStop(Lsn(0), Timeline(1))

    def _pieces(self, path: Path) -> Iterator[bytes]:
        with path.open("rb") as file:
            while piece := file.read(self.piece_bytes):
                yield piece


def base_backup(server: PostgresServer, name: str, *options: str, parent: str | None = None) -> ArchivesOnDisk:
    """Take one with the server's own program into ``<server>/<name>``."""
    directory = server.new_directory(name)
    incremental = ["--incremental", str(server.directory / parent / "backup_manifest")] if parent else []
    server.program("pg_basebackup", "-D", str(directory), "-Ft", "-X", "none", "-c", "fast", "--no-sync", *incremental, *options)
    return ArchivesOnDisk(directory)
