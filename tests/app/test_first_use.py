"""A repository that is used for the first time by two processes at once."""

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

from tests.app.desk import desk
from understudy.adapters.clock.system import SystemClock
from understudy.app.installation import Installation
from understudy.app.repositories import prepare_repository
from understudy.repository.layout import DESCRIPTION_KEY
from understudy.vocabulary.identifiers import RepositoryName

__all__ = ["desk"]
NEAR = RepositoryName("near")
NOWHERE = SimpleNamespace(replication_url="postgresql://anna@127.0.0.1:1/postgres", port=1, programs="/nowhere")


class StandingClock(SystemClock):
    def now(self):
        return datetime(2026, 11, 23, 3, tzinfo=UTC)


class StoreLookedAtBefore:
    """The first look at anything was before another process stored it."""

    def __init__(self, store):
        self._store = store
        self._looked_at = set()

    def __getattr__(self, name):
        return getattr(self._store, name)

    def head(self, key):
        return None if self._is_first_look("head", key) else self._store.head(key)

    def read(self, key, offset=0):
        missed = key == DESCRIPTION_KEY and self._is_first_look("read", key)
        return self._store.read("missing.json" if missed else key, offset)

    def list(self, prefix=""):
        return iter(()) if self._is_first_look("list", prefix) else self._store.list(prefix)

    def _is_first_look(self, *at):
        first = at not in self._looked_at
        self._looked_at.add(at)
        return first


def test_two_processes_that_both_find_a_new_repository_empty_in_the_same_second_make_one_of_it(desk):
    """``serve``, and the first command beside it."""
    desk.write(NOWHERE)
    serving, command = (replace(Installation.open(desk.stack_file, desk.state), clock=StandingClock()) for _ in range(2))
    command.__dict__["stores"] = {NEAR: StoreLookedAtBefore(command.stores[NEAR])}
    made = prepare_repository(serving, NEAR).describe()
    seen = desk.state / "repositories" / NEAR
    seen.unlink()
    assert prepare_repository(command, NEAR).describe() == made
    assert seen.read_text() == made.repository_id
    file, note = sorted(found.key for found in serving.stores[NEAR].list("stack/"))[::-1]
    assert (file.endswith(".yaml.zst.age"), note.endswith(".json")) == (True, True)
