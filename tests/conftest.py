"""Fixtures that every room may use."""

from tests.servers.flavours import remove_session_directory
from tests.servers.postgres import postgres_servers

__all__ = ["postgres_servers"]


def pytest_sessionfinish() -> None:
    remove_session_directory()
