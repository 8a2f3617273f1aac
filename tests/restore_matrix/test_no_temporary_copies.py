"""A backup and a restore make no copy of the data on their way, anywhere. PostgreSQL 18."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.restore_matrix.estate import Estate
from tests.restore_matrix.test_peak_memory import MIB, write_noise
from tests.servers.postgres import PostgresServer
from tests.servers.processes import wait_until
from tests.servers.tiny_disk import small_disk

FILES, FILE_BYTES = 4, 32 * MIB
DISK_MEGABYTES = 32
COPY_BYTES = 8 * MIB
"""What a copy of a quarter of one of the files would take."""


class Watch:
    """The most that a look gives while in the ``with``."""

    def __init__(self, look: Callable[[], int]) -> None:
        self._look = look
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.most = 0

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopping.wait(0.01):
            self.most = max(self.most, self._look())


def used_on(disk: Path) -> int:
    """Of the whole file system, so that a file without a name counts, too."""
    found = os.statvfs(disk)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


def size_of(directory: Path) -> int:
    """Each file once, also one that is renamed or linked while it is looked for."""
    sizes: dict[int, int] = {}
    for where, _, names in os.walk(directory):
        for name in names:
            with suppress(FileNotFoundError):
                found = os.lstat(Path(where, name))
                sizes[found.st_ino] = found.st_size
    return sum(sizes.values())


class Protected:
    """A server with 128 MB that do not compress. Its state directory lies on ``disk``."""

    def __init__(self, server: PostgresServer, disk: Path) -> None:
        for number in range(FILES):
            write_noise(server.data / f"noise-{number}", FILE_BYTES)
        self.estate = Estate.around(server, resource={"backup": {"part_size": "32MiB"}})
        stack = json.loads(self.estate.stack_file.read_text())
        stack["state"]["directory"] = str(disk / "state")
        stack["resources"]["orders"]["wal"]["spool"] = str(server.directory / "spool")
        self.estate.stack_file.write_text(json.dumps(stack))
        self.estate.reopen()
        self.disk = disk


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A small one, where programs that are started put temporary files."""
    with small_disk(tmp_path / "disk", DISK_MEGABYTES) as place:
        for name in ("TMPDIR", "TMP", "TEMP"):
            monkeypatch.setenv(name, str(place))
        yield place


@pytest.fixture
def protected(disk: Path) -> Iterator[Protected]:
    with PostgresServer(segment_megabytes=1, fresh=True) as server:
        made = Protected(server, disk)
        yield made
        made.estate.close()


def test_a_backup_and_a_restore_write_the_data_only_where_they_are_to_stay(protected):
    estate = protected.estate
    with Watch(lambda: used_on(protected.disk)) as watch, Watch(lambda: size_of(estate.repository_directory)) as stored:
        estate.command("backup", "orders", "--full")
    assert 0 < watch.most < COPY_BYTES, f"{watch.most / MIB:.0f} MiB beside the repository"
    assert stored.most < size_of(estate.repository_directory) + COPY_BYTES
    (backup,) = estate.backups()
    assert backup.sealed_bytes > FILES * FILE_BYTES
    copy = estate.server.sibling()
    with Watch(lambda: used_on(protected.disk)) as watch, Watch(lambda: size_of(copy.directory)) as written:
        estate.command("restore", "orders", "--to", str(copy.data))
    assert 0 < watch.most < COPY_BYTES, f"{watch.most / MIB:.0f} MiB beside the target"
    assert written.most < size_of(copy.data) + COPY_BYTES
    assert (copy.data / "noise-3").stat().st_size == FILE_BYTES


def test_the_watch_sees_a_temporary_copy_also_without_a_name(disk):
    program = f"import tempfile; copy = tempfile.TemporaryFile(); copy.write(bytes({2 * COPY_BYTES})); copy.flush(); input()"
    with Watch(lambda: used_on(disk)) as watch:
        process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, text=True)
        wait_until(lambda: watch.most > COPY_BYTES, "the copy to be seen")
        process.communicate("\n")
