"""What every ``ObjectStore`` promises."""

import hashlib
import os
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from understudy.ports.object_store import ObjectStore, StoredObject
from understudy.vocabulary.errors import GiveUp

MIB = 1024 * 1024


class SourceFailed(Exception):
    pass


def broken_source(before: bytes):
    yield before
    raise SourceFailed


class ObjectStoreContract:
    """Inherit, and supply ``store``: an empty store; where that is no directory, ``put_stray``, too."""

    @pytest.fixture
    def store(self) -> ObjectStore:
        raise NotImplementedError

    @pytest.fixture
    def put_stray(self, store):
        """Puts an empty object there, under whatever name, as another program would."""

        def put(name):
            path = Path(urlsplit(store.url).path) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

        return put

    def test_what_was_put_is_read_back(self, store):
        chunks = [b"one ", b"", b"two ", b"three"]
        written = store.put("a/b/c.txt", iter(chunks))
        assert b"".join(store.read("a/b/c.txt")) == b"one two three"
        assert (written.key, written.size_bytes) == ("a/b/c.txt", 13)
        assert written.sha256 == hashlib.sha256(b"one two three").hexdigest()

    def test_an_empty_object_is_an_object(self, store):
        assert store.put("empty", []).size_bytes == 0
        assert list(store.read("empty")) == []
        assert store.head("empty") == StoredObject("empty", 0)

    def test_large_objects_stream_in_and_out_in_bounded_pieces(self, store):
        block = os.urandom(3 * MIB)
        written = store.put("large", (block for _ in range(13)))
        digest = hashlib.sha256()
        for piece in store.read("large"):
            assert 0 < len(piece) <= MIB
            digest.update(piece)
        assert written.size_bytes == 39 * MIB
        assert digest.hexdigest() == written.sha256 == hashlib.sha256(block * 13).hexdigest()

    def test_reading_begins_at_the_offset(self, store):
        content = os.urandom(100_000)
        store.put("ranged", [content])
        assert b"".join(store.read("ranged", 40_000)) == content[40_000:]
        assert b"".join(store.read("ranged", 100_000)) == b""

    def test_nothing_is_ever_overwritten(self, store):
        store.put("taken", [b"first"])
        with pytest.raises(GiveUp) as refused:
            store.put("taken", [b"second"])
        assert refused.value.code == "object_exists"
        assert b"".join(store.read("taken")) == b"first"

    def test_a_taken_key_is_refused_before_the_source_is_read(self, store):
        store.put("taken", [b"first"])
        with pytest.raises(GiveUp) as refused:
            store.put("taken", broken_source(b"x"))
        assert refused.value.code == "object_exists"

    def test_a_source_that_fails_leaves_nothing(self, store):
        for size in (10, 20 * MIB):
            with pytest.raises(SourceFailed):
                store.put("half", broken_source(b"x" * size))
        assert store.head("half") is None
        assert list(store.list()) == []

    def test_nothing_shows_before_it_is_whole(self, store):
        seen = []

        def watched():
            yield b"x" * (17 * MIB)
            seen.append((store.head("slow"), list(store.list())))
            yield b"y"

        store.put("slow", watched())
        assert seen == [(None, [])]
        assert store.head("slow") == StoredObject("slow", 17 * MIB + 1)

    def test_a_missing_object_is_missing(self, store):
        store.put("there/1", [b""])
        assert store.head("there") is None
        assert store.head("there/2") is None
        assert store.head("nowhere/at/all") is None
        with pytest.raises(GiveUp) as refused:
            list(store.read("nowhere"))
        assert refused.value.code == "object_missing"

    def test_listings_are_by_prefix_and_in_order_of_key(self, store):
        keys = ["a-b", "a.b", "a/b", "a/c/d", "a0", "b", "a/c.json", "a/c/e"]
        for key in keys:
            store.put(key, [key.encode()])
        assert [each.key for each in store.list()] == sorted(keys)
        assert [each.key for each in store.list("a/")] == ["a/b", "a/c.json", "a/c/d", "a/c/e"]
        assert [each.key for each in store.list("a/c")] == ["a/c.json", "a/c/d", "a/c/e"]
        assert list(store.list("a/c/d")) == [StoredObject("a/c/d", 5)]
        assert list(store.list("nothing/here")) == []

    def test_folders_are_the_names_directly_below(self, store):
        for key in ("p/1/x", "p/1/y/z", "p/2/x/deep/down", "p/file", "q/3/x"):
            store.put(key, [b""])
        assert list(store.folders("p/")) == ["1", "2"]
        assert list(store.folders("")) == ["p", "q"]
        assert list(store.folders("none/")) == []
        store.delete("p/2/x/deep/down")
        assert list(store.folders("p/")) == ["1"]

    def test_what_another_program_left_there_under_no_name_of_ours_is_not_shown(self, store, put_stray):
        store.put("a/b/x", [b""])
        for stray in ("a/b (copy)/x", "a/b/x (1)", "a/ä/x", "notes (old)"):
            put_stray(stray)
        assert [each.key for each in store.list()] == ["a/b/x"]
        assert [each.key for each in store.list("a/b")] == ["a/b/x"]
        assert list(store.folders("a/")) == ["b"]

    def test_deleting_is_final_and_repeatable(self, store):
        store.put("gone/1", [b"x"])
        store.put("gone/2", [b"x"])
        store.delete("gone/1")
        store.delete("gone/1")
        store.delete("never/was")
        assert [each.key for each in store.list()] == ["gone/2"]
        store.put("gone/1", [b"new"])
        assert b"".join(store.read("gone/1")) == b"new"

    def test_nothing_is_locked_unless_a_rule_says_so(self, store):
        store.put("free", [b"x"])
        assert store.lock_rule is None
        assert (store.lock_of("free"), store.renew_lock("free"), store.lock_of("nowhere")) == (None, None, None)
        store.delete("free")
        assert store.head("free") is None

    def test_probing_leaves_nothing_behind(self, store):
        assert store.probe() == store.probe()
        assert list(store.list()) == []

    def test_a_key_that_leaves_the_store_is_refused(self, store):
        for key in ("", "/etc/passwd", "../up", "a/../b", "a//b", "a/", "a b", "ä", "a\n", ".."):
            with pytest.raises(ValueError, match="not a key"):
                store.put(key, [b""])

    def test_the_address_names_no_credentials(self, store):
        assert "://" in store.url
        assert "@" not in store.url

    def test_objects_put_side_by_side_do_not_mix(self, store):
        def put(number):
            store.put(f"side/{number}", [bytes([number]) * MIB] * 2)

        threads = [threading.Thread(target=put, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for number in range(4):
            assert b"".join(store.read(f"side/{number}")) == bytes([number]) * (2 * MIB)
