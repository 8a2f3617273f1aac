"""Where everything happens: one directory for servers, repositories and targets, on blocks that were written before.

First writes to a virtual machine's fresh disk can be several times slower than rewrites, and come and go between rounds. So where
it may, the bench works on a file system inside an image that was written once from end to end.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers.flavours import give_to_owner

from bench.processes import machine_cpu_seconds

_QUIET_SHARE = 0.15
_LOOK_SECONDS = 0.5
_PATIENCE_LOOKS = 4
_UNMOUNT_TRIES = 20


@dataclass(slots=True)
class Ground:
    directory: Path
    image: Path | None
    """What the file system lies in; None where it is the machine's own, of which first writes may be slower."""
    busy_before: list[float] = field(default_factory=list)
    """What others used of all cores just before each measured command, where it did not become quiet in time."""
    disturbed: list[float] = field(default_factory=list)
    """What others used of all cores while each measured command ran."""
    measured: int = 0

    def begin_row(self) -> None:
        self.disturbed, self.busy_before, self.measured = [], [], 0

    def new_directory(self, name: str) -> Path:
        """Empty, reachable and writable by the servers' user."""
        path = self.directory / f"{name}-{secrets.token_hex(3)}"
        path.mkdir(mode=0o755)
        give_to_owner(path)
        return path

    def settle(self) -> None:
        """Before a measured command: dirty pages written, no data in the page cache, others quiet if they will be.

        Programs stay in the cache: a cold start of an interpreter is not what is measured.
        """
        subprocess.run(["sync", "-f", str(self.directory)], check=True)
        for path in self.directory.rglob("*"):
            _evict(path)
        if self.image is not None:
            _evict(self.image)
        self.measured += 1
        share = 1.0
        for _ in range(_PATIENCE_LOOKS):
            share = _busy_share()
            if share <= _QUIET_SHARE:
                return
        self.busy_before.append(share)


@contextmanager
def ground(room_bytes: int, below: Path) -> Iterator[Ground]:
    """A directory below ``below`` with room for that many bytes, removed at the end."""
    directory = below / f"understudy-bench-{secrets.token_hex(3)}"
    directory.mkdir(mode=0o755)
    image, mounted = directory / "image", directory / "on"
    mounted.mkdir(mode=0o755)
    is_mounted = _mount_image(image, mounted, room_bytes)
    try:
        yield Ground(mounted, image if is_mounted else None)
    finally:
        if is_mounted:
            _unmount(mounted)
        shutil.rmtree(directory, ignore_errors=True)


def _mount_image(image: Path, mounted: Path, room_bytes: int) -> bool:
    if os.geteuid() != 0:
        return False
    mebibytes = room_bytes // 2**20
    write = ["dd", "if=/dev/zero", f"of={image}", "bs=1M", f"count={mebibytes}", "conv=fsync", "status=none"]
    steps = (
        write,
        ["mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=0", str(image)],
        ["mount", "-o", "loop", str(image), str(mounted)],
    )
    for step in steps:
        if subprocess.run(step, capture_output=True, check=False).returncode != 0:
            image.unlink(missing_ok=True)
            return False
    return True


def _unmount(mounted: Path) -> None:
    """A server that was killed a moment ago may still hold files."""
    pause = threading.Event()
    for _ in range(_UNMOUNT_TRIES):
        if subprocess.run(["umount", str(mounted)], capture_output=True, check=False).returncode == 0:
            return
        pause.wait(_LOOK_SECONDS)
    subprocess.run(["umount", str(mounted)], check=True)


def _evict(path: Path) -> None:
    """Out of the page cache, as far as its pages are clean."""
    try:
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    except OSError:
        return  # a server removed it meanwhile


def _busy_share() -> float:
    before = machine_cpu_seconds()
    threading.Event().wait(_LOOK_SECONDS)
    return (machine_cpu_seconds() - before) / (_LOOK_SECONDS * (os.cpu_count() or 1))
