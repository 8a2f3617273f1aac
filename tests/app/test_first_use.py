"""A repository that is used for the first time by two processes at once."""

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from tests.app.desk import desk
from understudy.adapters.clock.system import SystemClock
from understudy.app.installation import Installation
from understudy.app.repositories import prepare_repository

__all__ = ["desk"]
NOWHERE = SimpleNamespace(replication_url="postgresql://anna@127.0.0.1:1/postgres", port=1, programs="/nowhere")


class StandingClock(SystemClock):
    def now(self):
        return datetime(2026, 11, 23, 3, tzinfo=UTC)


class StoreListedBefore:
    """What lies in ``stack/`` was stored after this process looked."""

    def __init__(self, store):
        self._store = store

    def __getattr__(self, name):
        return getattr(self._store, name)

    def list(self, prefix=""):
        return iter(()) if prefix == "stack/" else self._store.list(prefix)


@pytest.fixture
def two(desk):
    """A control plane, and a command beside it that looked before the other one stored anything."""
    desk.write(NOWHERE)
    serving, command = (replace(Installation.open(desk.stack_file, desk.state), clock=StandingClock()) for _ in range(2))
    command.__dict__["stores"] = {"near": StoreListedBefore(command.stores["near"])}
    return serving, command


def test_two_that_keep_the_same_stack_file_in_the_same_second_keep_it_once(two):
    for each in two:
        prepare_repository(each, "near")
    assert len(list(two[0].stores["near"].list("stack/"))) == 1
