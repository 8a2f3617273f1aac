"""A small disk of a test's own, which can be filled to its last byte."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(place: Path, megabytes: int) -> Iterator[Path]:
    """A disk of that size at ``place``, which is made. Gone afterwards, whoever still holds something there."""
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("a file system of its own needs the privilege to mount one")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
        place.rmdir()


@pytest.fixture
def tiny_file_system(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 MB."""
    with small_disk(tmp_path / "tiny", 16) as place:
        yield place


@contextmanager
def filled(place: Path) -> Iterator[None]:
    """While inside, nothing more goes onto the disk of ``place``."""
    filling = place / "filling"
    with filling.open("wb", buffering=0) as file:
        for piece in (bytes(2**20), bytes(4096)):
            try:
                while True:
                    file.write(piece)
            except OSError as error:
                assert error.errno == errno.ENOSPC
    try:
        yield
    finally:
        filling.unlink()
