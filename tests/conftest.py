"""Fixtures that every room may use."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import room
from tests.left_out import pytest_runtest_makereport
from tests.servers.flavours import remove_session_directory
from tests.servers.postgres import postgres_servers

__all__ = ["postgres_servers", "pytest_runtest_makereport"]

room.use_for_temporary_files()
# A shell that runs the tests in the background has them ignore Ctrl-C, and so would every command that they start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def tiny_file_system(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 MB."""
    place = tmp_path / "tiny"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("a file system of its own needs the privilege to mount one")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The marches take minutes each: they begin first, so that nobody waits for them alone at the end."""
    items.sort(key=lambda item: "tests/crash/" not in item.nodeid)


def pytest_sessionfinish() -> None:
    remove_session_directory()
