"""Stored WAL is read back, several objects at once; what is wrong with one hides nothing of the others."""

import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.repository.sample_backups import sample_backup
from tests.repository.test_wal_archive import KEYS, MIB, WAL, archive_of, content, segment
from understudy.adapters.files import FileStore
from understudy.repository.wal_reading import read_wal
from understudy.vocabulary.errors import TryAgain
from understudy.vocabulary.wal import Timeline

BACKUP = sample_backup(start_lsn=segment(3).start, stop_lsn=segment(4).start, segment_bytes=MIB)
SEALED = ".zst.age"


class Archive:
    """Segments 2 to 9, of which 2 lies before the backup; a tail of 9 from before it was complete; two tails of 10."""

    def __init__(self, directory: Path) -> None:
        self.store = FileStore.create(directory)
        archive = archive_of(self.store)
        archive.put_tail(segment(9), 0, b"early", begin_after_gap=True)
        for number in range(2, 10):
            archive.put_segment(segment(number), content(number), begin_after_gap=True)
        archive.put_tail(segment(10), 0, b"abc")
        archive.put_tail(segment(10), 3, b"def")
        archive.put_history(Timeline(2), b"1\t0/500000\tx\n")

    def read(self, passed=lambda done, total: None, **options):
        archive = archive_of(self.store, replace(KEYS, identity=None))
        return read_wal(archive, archive.contents(), [BACKUP], passed, **({"histories": True} | options))

    def path(self, name: str) -> str:
        return f"{WAL}{name}{SEALED}"


@pytest.fixture
def stored(tmp_path):
    return Archive(tmp_path / "store")


def flip(store, key):
    stored = bytearray(b"".join(store.read(key)))
    stored[len(stored) // 2] ^= 1
    store.delete(key)
    store.put(key, [bytes(stored)])


def test_all_that_lies_behind_the_backup_is_read_and_nothing_before_it(stored):
    stored.store.delete(stored.path(f"00000001/{segment(2).name}"))
    seen = []
    read = stored.read(lambda done, total: seen.append((done, total)))
    assert read.faults == ()
    assert (read.segments, read.objects) == (8, 7 + 3 + 1)
    assert max(seen) == (7 * MIB + 5 + 6, 7 * MIB + 5 + 6)


@pytest.mark.parametrize(
    ("name", "object_named"),
    [
        (f"00000001/{segment(5).name}", segment(5).name),
        (f"00000001/{segment(10).name}.tail/0000000003-0000000006", f"{segment(10).name}, bytes 3 to 6"),
        ("00000002.history", "00000002.history"),
    ],
)
def test_each_damaged_object_is_named_and_the_others_are_read(stored, name, object_named):
    flip(stored.store, stored.path(name))
    stored.store.delete(stored.path(f"00000001/{segment(7).name}"))
    read = stored.read()
    assert {(fault.key, fault.code) for fault in read.faults} == {(object_named, "wal_corrupt"), (segment(7).name, "wal_corrupt")}
    assert all(fault.found and fault.expected and fault.hint for fault in read.faults)
    assert read.objects == 9


def test_a_damaged_piece_that_no_restore_reads_any_more_is_told_as_such(stored):
    flip(stored.store, stored.path(f"00000001/{segment(9).name}.tail/0000000000-0000000005"))
    (fault,) = stored.read().faults
    assert (fault.code, fault.key) == ("wal_corrupt", f"{segment(9).name}, bytes 0 to 5")
    assert "no restore reads" in fault.hint


def test_what_was_removed_after_it_was_listed_is_told_as_missing(stored):
    archive = archive_of(stored.store)
    contents = archive.contents()
    stored.store.delete(f"{WAL}00000001/{segment(5).name}.json")
    (fault,) = read_wal(archive, contents, [BACKUP], lambda *_: None, histories=False).faults
    assert (fault.code, fault.key) == ("wal_missing", segment(5).name)


class Watched:
    """A store that tells of each sealed object before it is read."""

    def __init__(self, store, before):
        self._store = store
        self._before = before

    def __getattr__(self, name):
        return getattr(self._store, name)

    def read(self, key, offset=0):
        if key.endswith(SEALED):
            self._before(key)
        return self._store.read(key, offset)


def test_several_are_read_at_once(stored):
    meeting = threading.Barrier(2)

    def meet(key):
        if segment(3).name in key or segment(4).name in key:
            meeting.wait(60)

    stored.store = Watched(stored.store, meet)
    assert stored.read().faults == ()


def test_a_store_that_goes_away_midway_is_one_fault_for_each_at_work_and_ends_it(stored):
    asked = []

    def unplugged(key):
        asked.append(key)
        raise TryAgain("store_unreachable", found="no answer", after=timedelta(seconds=5))

    stored.store = Watched(stored.store, unplugged)
    read = stored.read()
    assert {fault.code for fault in read.faults} == {"store_unreachable"}
    assert (read.objects, len(read.faults)) == (0, len(asked))
    assert len(asked) < 11


class Stopped(Exception):
    """What a person does who wants no more of it."""


def test_it_ends_early_where_it_is_told_to_and_leaves_no_thread(stored):
    read = []

    def stop(done, total):
        raise Stopped

    stored.store = Watched(stored.store, read.append)
    with pytest.raises(Stopped):
        stored.read(stop)
    assert len(read) < 11
    assert not any(thread.name.startswith("check wal") for thread in threading.enumerate())
