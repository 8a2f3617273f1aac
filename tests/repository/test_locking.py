"""What is locked anew: all that a restore reads, whichever backup or snapshot stored it, and nothing that it does not."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.repository.sample_backups import sample_backup
from tests.repository.test_catalog import FIRST, FULL, ORDERS, SECOND, SYSTEM, repository_of, stored_backup
from understudy.adapters.files import FileStore
from understudy.repository.layout import WalKeys, backup_prefix, epoch_key, wal_prefix
from understudy.repository.locking import Locked, keys_of_backup, keys_of_the_way_in, renew_locks
from understudy.vocabulary.errors import Cancelled, GiveUp
from understudy.vocabulary.identifiers import BackupLabel
from understudy.vocabulary.locking import Lock, LockMode, LockRule
from understudy.vocabulary.wal import Timeline

NOW = datetime(2026, 11, 28, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def store(tmp_path):
    return FileStore.create(tmp_path / "store")


def below(store, label):
    return {each.key for each in store.list(backup_prefix(ORDERS, SYSTEM, BackupLabel(label)))}


def test_an_incremental_backup_has_all_that_it_stands_on_and_its_own_wal_locked_and_nothing_else(store):
    repository = repository_of(store)
    for label, parent in ((FULL, None), (FIRST, FULL), (SECOND, FIRST)):
        repository.write_backup_manifest(stored_backup(store, label, parent, timeline=2))
    backup = repository.backup(ORDERS, SYSTEM, BackupLabel(FIRST))
    paths = WalKeys(wal_prefix(ORDERS, SYSTEM))
    (own, *_) = backup.own_wal()
    wanted = {f"{paths.segment(own)}.0011aabb.zst.age", f"{paths.segment(own)}.json", f"{paths.history(Timeline(2))}.json"}
    others = {
        f"{paths.tail(own, 0, 100)}.json",
        f"{paths.segment(backup.own_wal()[-1].following)}.json",
        f"{paths.history(Timeline(3))}.json",
    }
    for key in wanted | others:
        store.put(key, [b"x"])
    assert {*keys_of_backup(store, repository, backup)} == below(store, FULL) | below(store, FIRST) | wanted


def test_tails_are_locked_where_they_are_all_there_is_of_a_segment(store):
    repository = repository_of(store)
    repository.write_backup_manifest(stored_backup(store))
    backup = sample_backup()
    paths = WalKeys(wal_prefix(ORDERS, SYSTEM))
    tail = paths.tail(backup.own_wal()[-1], 0, 100)
    store.put(f"{tail}.json", [b"x"])
    assert f"{tail}.json" in {*keys_of_backup(store, repository, backup)}


def test_a_backup_that_stands_on_what_is_gone_is_not_said_to_be_locked(store):
    repository = repository_of(store)
    repository.write_backup_manifest(stored_backup(store, FIRST, FULL))
    with pytest.raises(GiveUp) as broken:
        list(keys_of_backup(store, repository, repository.backup(ORDERS, SYSTEM, BackupLabel(FIRST))))
    assert broken.value.code == "chain_broken"


def test_the_way_in_is_the_description_the_page_and_the_newest_claim(store):
    repository_of(store).create("id-1", NOW)
    for epoch in (1, 2):
        store.put(epoch_key(epoch), [b"x"])
    assert {*keys_of_the_way_in(store)} == {"repository.json", "RECOVERY.md", epoch_key(2)}


class LockingStore:
    """As far as locks go."""

    def __init__(self, held=()):
        self.held = dict(held)
        self.asked = []

    def renew_lock(self, key):
        self.asked.append(key)
        return Lock(LockMode.COMPLIANCE, self.held.get(key, NOW + 30 * DAY))


class Unheard:
    def report(self, *_):
        return

    def raise_if_requested(self):
        return


def test_what_is_told_is_the_lock_that_runs_out_first_and_nothing_is_asked_twice():
    store = LockingStore({"b": NOW + 29 * DAY})
    told = renew_locks(store, ["a", "b", "c", "a"], progress=Unheard(), cancellation=Unheard())
    assert told == Locked(3, Lock(LockMode.COMPLIANCE, NOW + 29 * DAY))
    assert sorted(store.asked) == ["a", "b", "c"]


def test_whoever_asks_for_the_end_is_heard_between():
    class Asked(Unheard):
        def raise_if_requested(self):
            raise Cancelled

    with pytest.raises(Cancelled):
        renew_locks(LockingStore(), ["a"], progress=Unheard(), cancellation=Asked())


@pytest.mark.parametrize("period", [timedelta(hours=1), 30 * DAY, 3000 * DAY])
def test_a_lock_lasts_longer_than_its_period_so_that_it_is_not_renewed_each_time(period):
    rule = LockRule(LockMode.GOVERNANCE, period)
    lock = rule.lock_from(NOW)
    assert rule.is_met(lock, NOW)
    assert rule.is_met(lock, NOW + rule.margin)
    assert not rule.is_met(lock, NOW + rule.margin + timedelta(seconds=2))
    assert not rule.is_met(None, NOW)
    assert timedelta(0) < rule.margin <= 10 * DAY
