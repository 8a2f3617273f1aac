"""What every ``Collection`` and every ``CollectionTarget`` promises."""

import os
import threading

import pytest

from understudy.ports.collection import Entry, EntryKind
from understudy.vocabulary.errors import GiveUp, Refusal, TryAgain
from understudy.vocabulary.identifiers import RunId

MIB = 1024 * 1024
KEYS = ("plain", "with space", "ä/ö/€ 😀", "a/b/c/d.txt", "a/b c/%41?x=1&y#z+", "-rf", "..hidden", "a/.x/...", "é/e\u0301")
RUN, ANOTHER_RUN = RunId("run-1"), RunId("run-2")


class SourceFailed(Exception):
    pass


def broken_source(before: bytes):
    yield before
    raise SourceFailed


def contents(collection) -> dict[str, Entry]:
    """What has content, by key; no key comes twice."""
    found = [each for each in collection.entries() if each.kind is EntryKind.FILE]
    by_key = {each.key: each for each in found}
    assert len(by_key) == len(found)
    return by_key


class CollectionContract:
    """Inherit, and supply ``collection``, which is empty, ``put(key, content)`` and ``remove(key)``, which other programs do."""

    KEYS = KEYS

    @pytest.fixture
    def collection(self):
        raise NotImplementedError

    @pytest.fixture
    def put(self, collection):
        raise NotImplementedError

    @pytest.fixture
    def remove(self, collection):
        raise NotImplementedError

    def test_an_empty_one_has_no_contents(self, collection):
        assert contents(collection) == {}
        assert collection.passed_over() == ()

    def test_keys_of_every_shape_are_listed_once_and_read(self, collection, put):
        for key in self.KEYS:
            put(key, f"content of {key}".encode())
        found = contents(collection)
        assert set(found) == set(self.KEYS)
        for key, entry in found.items():
            content = b"".join(collection.read(entry))
            assert content == f"content of {key}".encode()
            assert entry.size_bytes == len(content)

    def test_an_empty_content_is_a_content(self, collection, put):
        put("empty", b"")
        entry = contents(collection)["empty"]
        assert entry.size_bytes == 0
        assert b"".join(collection.read(entry)) == b""

    def test_large_contents_come_in_bounded_pieces(self, collection, put):
        content = os.urandom(5 * MIB + 17)
        put("large", content)
        pieces = [*collection.read(contents(collection)["large"])]
        assert max(map(len, pieces)) <= MIB
        assert b"".join(pieces) == content

    def test_looking_tells_what_the_listing_tells(self, collection, put):
        put("a/b", b"123")
        listed, seen = contents(collection)["a/b"], collection.look("a/b")
        assert (seen.key, seen.kind, seen.size_bytes, seen.attributes) == ("a/b", EntryKind.FILE, 3, listed.attributes)
        assert collection.look("a/c") is None
        assert collection.look("a/b/c") is None

    def test_a_fingerprint_is_another_one_when_the_content_is(self, collection, put):
        put("a", b"first ")
        before = contents(collection)["a"].fingerprint
        put("a", b"second")
        assert contents(collection)["a"].fingerprint != before

    def test_a_fingerprint_stays_the_same_while_nobody_writes(self, collection, put):
        put("a", b"content")
        waited = threading.Event()
        while collection.look("a").fingerprint != collection.look("a").fingerprint:  # too young to be told by its stamps
            waited.wait(0.01)
        settled = collection.look("a").fingerprint
        assert settled
        b"".join(collection.read(contents(collection)["a"]))
        assert contents(collection)["a"].fingerprint == settled

    def test_what_was_removed_is_gone(self, collection, put, remove):
        put("a", b"content")
        put("b", b"content")
        entry = contents(collection)["a"]
        remove("a")
        with pytest.raises(GiveUp) as refused:
            [*collection.read(entry)]
        assert refused.value.code == "entry_gone"
        assert collection.look("a") is None
        assert set(contents(collection)) == {"b"}

    @pytest.mark.parametrize("later", [b"after!", b"longer than before", b""])
    def test_what_became_another_is_not_read_as_what_was_listed(self, collection, put, later):
        put("a", b"before")
        entry = contents(collection)["a"]
        put("a", later)
        with pytest.raises(TryAgain) as refused:
            [*collection.read(entry)]
        assert refused.value.code == "entry_changed"
        assert b"".join(collection.read(collection.look("a"))) == later

    def test_what_becomes_another_while_it_is_read_is_whole_or_refused(self, collection, put):
        first, second = os.urandom(9 * MIB), os.urandom(9 * MIB)
        put("a", first)
        reading = collection.read(contents(collection)["a"])
        read = next(reading)
        put("a", second)
        try:
            assert b"".join([read, *reading]) == first
        except TryAgain as refused:
            assert refused.code == "entry_changed"

    def test_what_is_removed_while_the_listing_goes_on_is_left_out_or_told(self, collection, put, remove):
        for number in range(20):
            put(f"{number}", b"x")
        listing = collection.entries()
        seen = [next(listing).key]
        for number in range(20):
            remove(f"{number}")
        seen += [each.key for each in listing]
        assert set(seen) <= {".", *map(str, range(20))}

    def test_an_address_has_no_credentials(self, collection):
        assert "://" in collection.url
        assert "@" not in collection.url


def file_of(key: str, content: bytes = b"") -> Entry:
    return Entry(key, EntryKind.FILE, len(content))


def everything(key: str) -> bool:
    return True


class SharedTargetContract:
    """Of targets that others may write into while a run restores. Inherit beside ``CollectionTargetContract``."""

    def test_what_others_put_there_meanwhile_stays_and_is_named_when_a_run_is_given_up(
        self, target, again, as_collection, put_stray
    ):
        target.claim(RUN)
        target.write(file_of("a/ours"), [b"content"])
        put_stray("a/theirs")
        assert again.abandon(RUN, {"a/ours", "b/not yet written"}.__contains__) == ("a/theirs",)
        assert set(contents(as_collection)) == {"a/theirs"}
        assert again.abandon(RUN, everything) is None

    def test_where_nobody_can_tell_what_is_ours_nothing_is_removed_and_the_mark_stays(self, target, again):
        target.claim(RUN)
        target.write(file_of("a"), [b"content"])

        def away(key):
            raise SourceFailed

        with pytest.raises(SourceFailed):
            again.abandon(RUN, away)
        assert b"".join(again.read_back(file_of("a"))) == b"content"
        assert again.abandon(RUN, everything) == ()

    def test_where_nothing_was_written_nobody_is_asked_what_is_ours(self, target, again):
        def away(key):
            raise SourceFailed

        target.claim(RUN)
        assert again.abandon(RUN, away) == ()


class CollectionTargetContract:
    """Inherit, and supply ``target``, where nothing lies, ``again``, the same place opened anew, ``as_collection``, which reads
    what lies there, and ``put_stray(key)``, which another program does.
    """

    KEYS = KEYS

    @pytest.fixture
    def target(self):
        raise NotImplementedError

    @pytest.fixture
    def again(self, target):
        raise NotImplementedError

    @pytest.fixture
    def as_collection(self, target):
        raise NotImplementedError

    @pytest.fixture
    def put_stray(self, target):
        raise NotImplementedError

    def test_what_was_written_lies_there_and_nothing_else(self, target, as_collection):
        target.claim(RUN)
        written = {key: f"content of {key}".encode() for key in self.KEYS}
        for key, content in written.items():
            target.write(file_of(key, content), [content[:3], b"", content[3:]])
        target.finish([file_of(key, content) for key, content in written.items()], RUN)
        assert {key: b"".join(as_collection.read(each)) for key, each in contents(as_collection).items()} == written

    def test_what_was_written_is_read_back(self, target):
        target.claim(RUN)
        content = os.urandom(3 * MIB + 1)
        target.write(file_of("a/b", content), [content[:MIB], content[MIB:]])
        pieces = [*target.read_back(file_of("a/b", content))]
        assert max(map(len, pieces)) <= MIB
        assert b"".join(pieces) == content

    def test_what_is_not_there_is_not_read_back(self, target):
        target.claim(RUN)
        target.write(file_of("a/b"), [])
        for key in ("a/c", "b", "a/b/c", "a"):
            with pytest.raises(GiveUp) as refused:
                [*target.read_back(file_of(key))]
            assert refused.value.code == "entry_gone"

    def test_an_empty_content_is_written(self, target):
        target.claim(RUN)
        target.write(file_of("empty"), [])
        assert [*target.read_back(file_of("empty"))] == []

    def test_twice_is_the_same_as_once(self, target, again, as_collection):
        entry = file_of("a/b", b"content")
        for each in (target, target, again):
            each.claim(RUN)
            each.write(entry, [b"content"])
            each.flush()
        target.finish([entry], RUN)
        again.finish([entry], RUN)
        assert {key: b"".join(as_collection.read(each)) for key, each in contents(as_collection).items()} == {"a/b": b"content"}

    def test_the_later_content_stays(self, target):
        target.claim(RUN)
        target.write(file_of("a", b"first"), [b"first"])
        target.write(file_of("a", b"second"), [b"second"])
        assert b"".join(target.read_back(file_of("a"))) == b"second"

    @pytest.mark.parametrize("size", [10, 20 * MIB])
    def test_a_content_that_breaks_off_is_not_written(self, target, as_collection, size):
        target.claim(RUN)
        target.write(file_of("before", b"kept"), [b"kept"])
        for key in ("half", "before"):
            with pytest.raises(SourceFailed):
                target.write(file_of(key), broken_source(b"x" * size))
        target.finish([file_of("before")], RUN)
        assert {key: b"".join(as_collection.read(each)) for key, each in contents(as_collection).items()} == {"before": b"kept"}

    def test_what_others_put_there_is_no_place_to_restore_into(self, target, put_stray):
        put_stray("stray")
        with pytest.raises(Refusal) as refused:
            target.claim(RUN)
        assert refused.value.code == "target_not_empty"

    def test_what_another_run_claimed_is_not_claimed_or_finished_again(self, target, again):
        target.claim(RUN)
        target.write(file_of("a"), [])
        for use in (lambda: again.claim(ANOTHER_RUN), lambda: again.finish([file_of("a")], ANOTHER_RUN)):
            with pytest.raises(Refusal) as refused:
                use()
            assert refused.value.code == "target_not_empty"
        again.claim(RUN)

    def test_what_is_given_up_is_gone_and_free_and_nobody_elses_is_touched(self, target, again):
        target.claim(RUN)
        for name in ("a", "b/c", "b/d"):
            target.write(file_of(name), [b"content"])
        assert again.abandon(ANOTHER_RUN, everything) is None
        assert b"".join(target.read_back(file_of("b/c"))) == b"content"
        assert again.abandon(RUN, everything) == ()
        assert again.abandon(RUN, everything) is None
        again.claim(ANOTHER_RUN)
        with pytest.raises(GiveUp, match="entry_gone"):
            b"".join(again.read_back(file_of("b/c")))

    def test_what_is_finished_is_nobodys_to_claim_or_give_up(self, target, again):
        target.claim(RUN)
        target.write(file_of("a"), [])
        target.finish([file_of("a")], RUN)
        assert again.abandon(RUN, everything) is None
        with pytest.raises(Refusal) as refused:
            again.claim(RUN)
        assert refused.value.code == "target_not_empty"

    def test_what_is_written_side_by_side_does_not_mix(self, target):
        target.claim(RUN)
        failed = []

        def write(number):
            try:
                for again in range(3):
                    target.write(file_of(f"deep/er/{number}/{again}"), [bytes([number]) * 1000] * 100)
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed
        for number in range(6):
            for again in range(3):
                assert b"".join(target.read_back(file_of(f"deep/er/{number}/{again}"))) == bytes([number]) * 100_000

    def test_nothing_falls_short_where_nothing_was_asked_for(self, target):
        target.claim(RUN)
        target.write(file_of("a"), [])
        target.finish([file_of("a")], RUN)
        assert target.fell_short() == ()

    def test_an_address_has_no_credentials(self, target):
        assert "://" in target.url
        assert "@" not in target.url
