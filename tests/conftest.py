"""Fixtures that every room may use."""

import gc
import signal

import pytest

from tests import room
from tests.left_out import pytest_runtest_makereport
from tests.servers.flavours import remove_session_directory
from tests.servers.postgres import postgres_servers
from tests.servers.programs import end_prepared_process
from tests.servers.tiny_disk import tiny_file_system

__all__ = ["postgres_servers", "pytest_runtest_makereport", "tiny_file_system"]

_RARELY = 100_000

room.use_for_temporary_files()
# A shell that runs the tests in the background has them ignore Ctrl-C, and so would every command that they start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The marches take minutes each: they begin first, so that nobody waits for them alone at the end."""
    items.sort(key=lambda item: "tests/crash/" not in item.nodeid)


def pytest_collection_finish() -> None:
    """What was collected stays to the end: nobody need look through it again and again."""
    gc.freeze()
    gc.set_threshold(_RARELY)


def pytest_sessionfinish() -> None:
    end_prepared_process()
    remove_session_directory()
