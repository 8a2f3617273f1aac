"""WAL in a repository: each piece once, without holes, and nothing believed that is not signed."""

import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.repository.sample_keys import fresh_keys
from understudy.adapters.age import choose_sealer
from understudy.adapters.files import FileStore
from understudy.repository.layout import TailSpan, WalKeys
from understudy.repository.wal_archive import PutOutcome, WalArchive
from understudy.repository.wal_contents import WalContents
from understudy.vocabulary.errors import GiveUp, TryAgain
from understudy.vocabulary.identifiers import ResourceName, SystemIdentifier
from understudy.vocabulary.wal import Lsn, Timeline, WalSegment

MIB = 1024 * 1024
KEYS = fresh_keys()
RESOURCE, SYSTEM = ResourceName("orders"), SystemIdentifier("7400000000000000001")
WAL = f"postgres/{RESOURCE}/{SYSTEM}/wal/"


def segment(number, timeline=1):
    return WalSegment(Timeline(timeline), number, MIB)


def content(number):
    return bytes([number % 256]) * MIB


@pytest.fixture
def store(tmp_path):
    return FileStore.create(tmp_path / "store")


def archive_of(store, keys=KEYS, resource=RESOURCE, system=SYSTEM, segment_bytes=MIB):
    return WalArchive(store, choose_sealer(), keys, resource, system, segment_bytes)


@pytest.fixture
def archive(store):
    return archive_of(store)


def code_of(call):
    with pytest.raises(GiveUp) as refused:
        call()
    assert refused.value.hint
    return refused.value.code


def test_a_segment_comes_back_as_it_was(archive, store):
    assert archive.put_segment(segment(3), content(3)) is PutOutcome.STORED
    assert b"".join(archive_of(store).fetch_segment(segment(3))) == content(3)
    assert [each.key for each in store.list()] == [
        f"{WAL}00000001/000000010000000000000003.json",
        f"{WAL}00000001/000000010000000000000003.zst.age",
    ]


def test_the_same_segment_again_is_success(archive, store):
    archive.put_segment(segment(3), content(3))
    before = list(store.list())
    assert archive_of(store).put_segment(segment(3), content(3)) is PutOutcome.ALREADY_THERE
    assert list(store.list()) == before


def test_other_bytes_under_the_same_name_are_a_conflict(archive):
    archive.put_segment(segment(3), content(3))
    assert code_of(lambda: archive.put_segment(segment(3), content(4))) == "wal_conflict"
    assert b"".join(archive.fetch_segment(segment(3))) == content(3)


def test_a_segment_that_was_cut_short_is_refused(archive):
    assert code_of(lambda: archive.put_segment(segment(3), b"x")) == "wal_size_wrong"


def test_a_hole_is_refused(archive, store):
    archive.put_segment(segment(3), content(3))
    archive.put_segment(segment(4), content(4))
    for each in (archive, archive_of(store)):
        assert code_of(lambda each=each: each.put_segment(segment(6), content(6))) == "wal_hole"
        assert code_of(lambda each=each: each.put_tail(segment(6), 0, b"x")) == "wal_hole"
    assert archive.put_segment(segment(5), content(5)) is PutOutcome.STORED


def test_a_segment_before_all_others_is_no_hole(archive):
    archive.put_segment(segment(9), content(9))
    assert archive.put_segment(segment(5), content(5)) is PutOutcome.STORED


def test_a_hole_behind_a_tail_is_a_hole(archive):
    archive.put_tail(segment(3), 0, b"abc")
    assert code_of(lambda: archive.put_segment(segment(4), content(4))) == "wal_hole"


def test_a_declared_gap_is_recorded_and_passed(archive, store):
    archive.put_segment(segment(3), content(3))
    assert archive.put_segment(segment(7), content(7), begin_after_gap=True) is PutOutcome.STORED
    assert archive.put_segment(segment(8), content(8)) is PutOutcome.STORED
    assert b'"after_gap":true' in b"".join(store.read(f"{WAL}00000001/{segment(7).name}.json"))
    assert b'"after_gap":false' in b"".join(store.read(f"{WAL}00000001/{segment(8).name}.json"))
    assert archive.contents().gap_between(segment(3), segment(8)) == segment(4)


def test_a_segment_whose_tail_began_after_a_gap_may_follow_it(archive, store):
    archive.put_segment(segment(3), content(3))
    archive.put_tail(segment(7), 0, b"abc", begin_after_gap=True)
    assert archive_of(store).put_segment(segment(7), content(7)) is PutOutcome.STORED


def test_each_timeline_begins_anew(archive):
    archive.put_segment(segment(3), content(3))
    assert archive.put_segment(segment(9, timeline=2), content(9)) is PutOutcome.STORED


def test_tails_are_put_together_and_padded(archive, store):
    archive.put_tail(segment(3), 0, b"abc")
    archive.put_tail(segment(3), 3, b"defg")
    archive.put_tail(segment(3), 5, b"fghij")
    assert b"".join(archive_of(store).fetch_segment(segment(3))) == b"abcdefghij".ljust(MIB, b"\0")
    assert f"{WAL}00000001/{segment(3).name}.tail/0000000003-0000000007.json" in {each.key for each in store.list()}


def test_the_complete_segment_goes_before_its_tails(archive):
    archive.put_tail(segment(3), 0, content(3)[:100])
    archive.put_segment(segment(3), content(3))
    assert b"".join(archive.fetch_segment(segment(3))) == content(3)
    assert archive.put_tail(segment(3), 100, b"late") is PutOutcome.ALREADY_THERE


def test_the_same_tail_again_is_success_and_another_is_a_conflict(archive):
    archive.put_tail(segment(3), 0, b"abc")
    assert archive.put_tail(segment(3), 0, b"abc") is PutOutcome.ALREADY_THERE
    assert code_of(lambda: archive.put_tail(segment(3), 0, b"abd")) == "wal_conflict"


def test_a_hole_between_tails_is_refused(archive):
    archive.put_tail(segment(3), 0, b"abc")
    assert code_of(lambda: archive.put_tail(segment(3), 4, b"e")) == "wal_hole"
    with pytest.raises(ValueError, match="not a tail"):
        archive.put_tail(segment(3), 3, b"")


def test_tails_that_contradict_one_another_are_refused(archive):
    archive.put_tail(segment(3), 0, b"abc")
    archive.put_tail(segment(3), 2, b"Xd")
    assert code_of(lambda: b"".join(archive.fetch_segment(segment(3)))) == "wal_corrupt"


def test_history_files_are_kept(archive):
    assert archive.put_history(Timeline(2), b"1\t0/3000000\tno recovery target\n") is PutOutcome.STORED
    assert archive.put_history(Timeline(2), b"1\t0/3000000\tno recovery target\n") is PutOutcome.ALREADY_THERE
    assert archive.fetch_history(Timeline(2)) == b"1\t0/3000000\tno recovery target\n"
    assert code_of(lambda: archive.put_history(Timeline(2), b"1\t0/4000000\tanother promotion\n")) == "wal_conflict"
    assert archive.contents().histories == (2,)


def test_what_is_not_there_is_missing(archive):
    assert code_of(lambda: b"".join(archive.fetch_segment(segment(3)))) == "wal_missing"
    assert code_of(lambda: archive.fetch_history(Timeline(5))) == "wal_missing"


class StoreThatDies:
    """A real store, whose process dies before the n-th put."""

    def __init__(self, store, puts):
        self._store, self._puts = store, puts

    def put(self, key, chunks):
        if self._puts == 0:
            raise TryAgain("store_unreachable", found="died")
        self._puts -= 1
        return self._store.put(key, chunks)

    def __getattr__(self, name):
        return getattr(self._store, name)


class StoreThatReplaces:
    """As S3 services that overlook conditions: while one puts, a rival puts everything, and the first then replaces it."""

    tells_rivals_apart = False

    def __init__(self, store, rival):
        self._store, self._rival = store, rival

    def put(self, key, chunks):
        content = b"".join(chunks)
        if self._rival is not None:
            rival, self._rival = self._rival, None
            rival(StoreThatReplaces(self._store, None))
        if self._store.head(key) is not None:
            self._store.delete(key)
        return self._store.put(key, [content])

    def __getattr__(self, name):
        return getattr(self._store, name)


@pytest.mark.parametrize("what", ["segment", "tail", "history"])
def test_two_that_store_the_same_at_once_never_mix_data_and_sidecar_where_the_store_cannot_tell_them_apart(store, what):
    def put(through):
        archive = archive_of(through)
        if what == "segment":
            archive.put_segment(segment(3), content(3))
        elif what == "tail":
            archive.put_tail(segment(3), 0, content(3)[:100])
        else:
            archive.put_history(Timeline(2), b"1\t0/3000000\tno recovery target\n")

    put(StoreThatReplaces(store, put))
    archive = archive_of(store)
    if what == "history":
        assert archive.fetch_history(Timeline(2)) == b"1\t0/3000000\tno recovery target\n"
    else:
        assert b"".join(archive.fetch_segment(segment(3)))[:100] == content(3)[:100]


@pytest.mark.parametrize("deaths", [[0], [1], [1, 1, 1]])
def test_an_attempt_that_died_is_no_obstacle(store, deaths):
    for puts in deaths:
        with pytest.raises(TryAgain):
            archive_of(StoreThatDies(store, puts)).put_segment(segment(3), content(3))
        assert archive_of(store).contents().segments == ()
        assert code_of(lambda: b"".join(archive_of(store).fetch_segment(segment(3)))) == "wal_missing"
    assert archive_of(store).put_segment(segment(3), content(3)) is PutOutcome.STORED
    assert b"".join(archive_of(store).fetch_segment(segment(3))) == content(3)
    assert archive_of(store).contents().segments == (segment(3),)


def test_an_attempt_that_died_between_tail_and_sidecar_is_no_obstacle(store):
    with pytest.raises(TryAgain):
        archive_of(StoreThatDies(store, 1)).put_tail(segment(3), 0, b"abc")
    assert archive_of(store).put_tail(segment(3), 0, b"abc") is PutOutcome.STORED
    assert b"".join(archive_of(store).fetch_segment(segment(3)))[:4] == b"abc\0"


@pytest.mark.parametrize("suffix", [".json", ".zst.age"])
@pytest.mark.parametrize("harm", ["flip", "cut", "empty"])
def test_damage_is_noticed_wherever_it_is(archive, store, tmp_path, suffix, harm):
    archive.put_segment(segment(3), os.urandom(MIB))
    path = tmp_path / "store" / f"{WAL}00000001/{segment(3).name}{suffix}"
    stored = bytearray(path.read_bytes())
    if harm == "flip":
        stored[len(stored) // 2] ^= 1
    path.write_bytes({"flip": stored, "cut": stored[: len(stored) // 2], "empty": b""}[harm])
    assert code_of(lambda: b"".join(archive_of(store).fetch_segment(segment(3)))) == "wal_corrupt"


def test_a_sidecar_whose_data_is_gone_is_damage_not_the_end_of_wal(archive, store):
    archive.put_segment(segment(3), content(3))
    store.delete(f"{WAL}00000001/{segment(3).name}.zst.age")
    assert code_of(lambda: b"".join(archive.fetch_segment(segment(3)))) == "wal_corrupt"


def test_what_a_stranger_signed_is_refused(store):
    archive_of(store, fresh_keys()).put_segment(segment(3), content(3))
    assert code_of(lambda: b"".join(archive_of(store).fetch_segment(segment(3)))) == "wal_corrupt"


def test_an_object_moved_to_another_key_is_refused(archive, store, tmp_path):
    archive.put_segment(segment(3), content(3))
    folder = tmp_path / "store" / f"{WAL}00000001"
    for suffix in (".json", ".zst.age"):
        (folder / f"{segment(4).name}{suffix}").write_bytes((folder / f"{segment(3).name}{suffix}").read_bytes())
    assert code_of(lambda: b"".join(archive.fetch_segment(segment(4)))) == "wal_corrupt"
    foreign = archive_of(store, system=SystemIdentifier("7400000000000000002"))
    (tmp_path / "store/postgres/orders").joinpath("7400000000000000002").symlink_to("7400000000000000001")
    assert code_of(lambda: b"".join(foreign.fetch_segment(segment(3)))) == "wal_corrupt"


def test_without_the_identity_wal_can_be_written_and_not_read(store):
    writer = archive_of(store, replace(KEYS, identity=None))
    writer.put_segment(segment(3), content(3))
    assert writer.put_segment(segment(3), content(3)) is PutOutcome.ALREADY_THERE
    assert code_of(lambda: b"".join(writer.fetch_segment(segment(3)))) == "identity_missing"
    reader = archive_of(store, replace(KEYS, identity=fresh_keys().identity))
    assert code_of(lambda: b"".join(reader.fetch_segment(segment(3)))) == "wrong_key"


def test_without_a_signing_key_nothing_counts(store):
    writer = archive_of(store, replace(KEYS, signing_key=None))
    assert code_of(lambda: writer.put_segment(segment(3), content(3))) == "signing_key_missing"
    assert archive_of(store).contents().segments == ()


def test_the_contents_are_what_has_a_sidecar(archive, store):
    archive.put_segment(segment(3), content(3))
    archive.put_segment(segment(4), content(4))
    archive.put_tail(segment(5), 0, b"abc")
    archive.put_segment(segment(5, timeline=2), content(5))
    archive.put_history(Timeline(2), b"1\t0/500000\tx\n")
    store.put(f"{WAL}00000001/{segment(6).name}.zst.age", [b"no sidecar"])
    contents = archive_of(store).contents()
    assert contents.segments == (segment(3), segment(4), segment(5, timeline=2))
    assert contents.tails == (TailSpan(segment(5), 0, 3),)
    assert contents.tail_reaches() == {segment(5): 3}
    assert contents.timelines() == (1, 2)
    assert contents.reaches(Timeline(1)) == segment(5).start + 3
    assert contents.reaches(Timeline(2)) == segment(5, timeline=2).end
    assert contents.reaches(Timeline(3)) is None
    assert contents.holds(segment(4))
    assert not contents.holds(segment(5))
    assert contents.gap_between(segment(3), segment(5)) is None
    assert contents.gap_between(segment(3), segment(6)) == segment(5)
    assert contents.gap_between(segment(2), segment(3)) == segment(2)


@given(st.sets(st.integers(0, 30)), st.integers(0, 30), st.integers(0, 30))
def test_the_first_missing_segment_is_found(numbers, first, last):
    contents = WalContents(MIB, tuple(segment(number) for number in sorted(numbers)), (), ())
    missing = [number for number in range(first, last + 1) if number not in numbers]
    expected = segment(missing[0]) if missing else None
    assert contents.gap_between(segment(first), segment(last)) == expected


@given(st.integers(1, 2**31), st.integers(0, 2**36), st.integers(0, 10**9), st.integers(1, 10**9))
def test_every_key_is_recognised_as_what_it_was_made_of(timeline, number, start, size):
    keys = WalKeys(WAL)
    own = WalSegment(Timeline(timeline), number, MIB)
    assert keys.recognise(keys.segment(own) + ".json", MIB) == own
    assert keys.recognise(keys.tail(own, start, start + size) + ".json", MIB) == TailSpan(own, start, start + size)
    assert keys.recognise(keys.history(Timeline(timeline)) + ".json", MIB) == timeline
    for data in (keys.segment(own), keys.tail(own, start, start + size), keys.history(Timeline(timeline))):
        assert keys.recognise(data + ".zst.age", MIB) is None
    assert own.start <= Lsn(own.start.position)
