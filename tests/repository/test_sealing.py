"""Objects stored in one stream and read back with every digest checked."""

import hashlib
import os

import pytest

from understudy.adapters.age import choose_sealer, new_identity
from understudy.adapters.files import FileStore
from understudy.repository.sealing import check_sealed, read_sealed, store_sealed
from understudy.vocabulary.errors import GiveUp

SEALER = choose_sealer()
IDENTITY, RECIPIENT = new_identity()
PLAIN = os.urandom(2_500_000)


@pytest.fixture
def root(tmp_path):
    FileStore.create(tmp_path / "store")
    return tmp_path / "store"


@pytest.fixture
def store(root):
    return FileStore(root)


def stored(store, plain=PLAIN):
    return store_sealed(store, SEALER, "part.zst.age", [plain[:77], plain[77:]], [RECIPIENT], digest_plain=True)


def code_of_reading(store, identity=IDENTITY, sealed_sha256=None):
    with pytest.raises(GiveUp) as refused:
        for _ in read_sealed(store, SEALER, "part.zst.age", identity, sealed_sha256):
            pass
    return refused.value.code


def test_sizes_and_digests_are_those_of_what_was_stored(store, root):
    sealed = stored(store)
    on_disk = (root / "part.zst.age").read_bytes()
    assert (sealed.plain_bytes, sealed.plain_sha256) == (len(PLAIN), hashlib.sha256(PLAIN).hexdigest())
    assert (sealed.sealed_bytes, sealed.sealed_sha256) == (len(on_disk), hashlib.sha256(on_disk).hexdigest())
    assert b"".join(read_sealed(store, SEALER, "part.zst.age", IDENTITY, sealed.sealed_sha256)) == PLAIN
    assert check_sealed(store, "part.zst.age", sealed.sealed_sha256) == len(on_disk)


def test_the_plain_digest_is_made_only_when_asked_for(store):
    assert store_sealed(store, SEALER, "a", [b"x"], [RECIPIENT]).plain_sha256 is None


def test_an_empty_stream_is_stored_and_read(store):
    sealed = store_sealed(store, SEALER, "part.zst.age", [], [RECIPIENT])
    assert sealed.plain_bytes == 0
    assert list(read_sealed(store, SEALER, "part.zst.age", IDENTITY, sealed.sealed_sha256)) == []


def test_a_part_cut_short_is_refused(store, root):
    sealed = stored(store)
    content = (root / "part.zst.age").read_bytes()
    for length in (0, 100, 1_000_000, len(content) - 1):
        (root / "part.zst.age").write_bytes(content[:length])
        assert code_of_reading(store, sealed_sha256=sealed.sealed_sha256) == "part_corrupt"
        assert code_of_reading(store) == "part_corrupt"


@pytest.mark.parametrize("at", [0, 180, 1_000_000, -1])
def test_a_flipped_bit_is_refused(store, root, at):
    sealed = stored(store)
    content = bytearray((root / "part.zst.age").read_bytes())
    content[at] ^= 4
    (root / "part.zst.age").write_bytes(content)
    assert code_of_reading(store, sealed_sha256=sealed.sealed_sha256) == "part_corrupt"
    with pytest.raises(GiveUp) as refused:
        check_sealed(store, "part.zst.age", sealed.sealed_sha256)
    assert refused.value.code == "part_corrupt"


def test_another_valid_part_in_its_place_is_refused(store, root):
    """age opens it: only the digest tells that it is not the one."""
    sealed = stored(store)
    (root / "part.zst.age").unlink()
    stored(store, b"sealed by somebody who knows the recipient")
    assert code_of_reading(store, sealed_sha256=sealed.sealed_sha256) == "part_corrupt"


def test_the_wrong_key_stays_the_wrong_key(store):
    sealed = stored(store)
    assert code_of_reading(store, new_identity()[0], sealed.sealed_sha256) == "wrong_key"


def test_an_absent_part_is_missing(store):
    assert code_of_reading(store) == "object_missing"


def test_sealed_bytes_that_are_no_zstd_are_refused(store):
    store.put("part.zst.age", SEALER.seal([b"not zstd"], [RECIPIENT]))
    assert code_of_reading(store) == "part_corrupt"


def test_a_taken_key_is_refused_without_reading_the_source(store):
    stored(store)

    def never():
        raise AssertionError("read although the key is taken")
        yield b""

    with pytest.raises(GiveUp) as refused:
        store_sealed(store, SEALER, "part.zst.age", never(), [RECIPIENT])
    assert refused.value.code == "object_exists"


def test_reading_can_be_left_early(store):
    stored(store, bytes(30_000_000))
    reading = read_sealed(store, SEALER, "part.zst.age", IDENTITY)
    assert next(reading)
    reading.close()
