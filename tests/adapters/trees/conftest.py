"""Places for trees: on a file system that takes extended attributes, which those in memory do from Linux 6.6 on."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import room
from tests.adapters.trees.unprivileged import NOBODY

_ON_DISK = Path("/var/tmp")


def takes_attributes(directory: Path) -> bool:
    try:
        os.setxattr(directory, "user.tried", b"")
        os.removexattr(directory, "user.tried")
    except OSError:
        return False
    return True


def removed(directory: Path) -> None:
    """Also where what was restored is closed to us."""
    for where, _, _ in os.walk(directory):
        Path(where).chmod(0o700)
    shutil.rmtree(directory)


@pytest.fixture
def tmp_path(tmp_path: Path) -> Iterator[Path]:
    if takes_attributes(tmp_path):
        yield tmp_path
        return
    directory = Path(tempfile.mkdtemp(dir=_ON_DISK, prefix="ust-tree-"))
    yield directory
    removed(directory)


@pytest.fixture
def own_directory() -> Iterator[Path]:
    """A directory of the user whom ``as_nobody`` makes us, reachable for them; pytest's own are not."""
    directory = room.new_path("tree")
    directory.mkdir(mode=0o755)
    if not takes_attributes(directory):
        directory.rmdir()
        directory = _ON_DISK / directory.name
        directory.mkdir(mode=0o755)
    if os.geteuid() == 0:
        os.chown(directory, NOBODY, NOBODY)
    yield directory
    removed(directory)
