"""The stack files that are kept in a repository: which ran last, and by whose word."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from understudy.adapters.age import choose_sealer, new_identity
from understudy.adapters.files.file_store import FileStore
from understudy.ports.world import Keys
from understudy.repository.sealing import read_sealed
from understudy.repository.signing import Signer, new_signing_key
from understudy.repository.stack_files import keep_stack_file, kept_stack_files, read_note
from understudy.vocabulary.errors import GiveUp

NOW = datetime(2026, 11, 23, 3, tzinfo=UTC)


@pytest.fixture
def kept(tmp_path):
    identity, recipient = new_identity()
    store, key = FileStore.create(tmp_path / "near"), new_signing_key()
    keys = Keys((recipient,), identity, key, frozenset())

    def keep(text, at=NOW):
        keep_stack_file(store, choose_sealer(), keys, text, sha256(text).hexdigest(), "near", at)
        return kept_stack_files(store)

    keep.store, keep.identity, keep.signer = store, identity, Signer(key).public_key
    return keep


def text_of(kept, file):
    return b"".join(read_sealed(kept.store, choose_sealer(), file.key, kept.identity))


def test_what_ran_last_is_the_newest_also_where_it_ran_before(kept):
    kept(b"first")
    kept(b"second", NOW + timedelta(seconds=1))
    found = kept(b"first", NOW + timedelta(seconds=2))
    assert [text_of(kept, each) for each in found] == [b"first", b"second", b"first"]


def test_twice_is_the_same_as_once(kept):
    assert kept(b"first") == kept(b"first", NOW + timedelta(hours=1))
    assert len(kept(b"first")) == 1


def test_a_clock_that_was_set_back_stores_nothing_again_and_again(kept):
    kept(b"first")
    kept(b"second", NOW + timedelta(hours=1))
    for minute in range(3):
        found = kept(b"first", NOW + timedelta(minutes=minute))
    assert len(found) == 2


def test_the_note_says_who_went_by_it_and_what_that_called_the_repository(kept):
    [file] = kept(b"first")
    note = read_note(kept.store, file)
    assert (note.signer, note.repository) == (kept.signer, "near")


def test_what_an_earlier_version_kept_without_a_note_gets_one(kept):
    [file] = kept(b"first")
    kept.store.delete(file.note_key)
    assert not kept_stack_files(kept.store)[0].noted
    [file] = kept(b"first", NOW + timedelta(days=1))
    assert file.noted and read_note(kept.store, file).signer == kept.signer


def test_a_note_that_was_moved_to_another_key_or_changed_is_refused(kept):
    [file] = kept(b"first")
    other = replace(file, written="20261124T030000Z")
    kept.store.put(other.note_key, [b"".join(kept.store.read(file.note_key))])
    with pytest.raises(GiveUp, match="document_malformed"):
        read_note(kept.store, other)
    changed = b"".join(kept.store.read(file.note_key)).replace(b'"near"', b'"far"')
    third = replace(file, written="20261125T030000Z")
    kept.store.put(third.note_key, [changed])
    with pytest.raises(GiveUp, match="signature_wrong"):
        read_note(kept.store, third)


def test_what_others_put_beside_them_is_no_stack_file(kept):
    [file] = kept(b"first")
    for key in ("stack/notes.txt", f"stack/20261399T000000Z-{file.digest}.yaml.zst.age", "stack/x.json"):
        kept.store.put(key, [b"x"])
    assert kept_stack_files(kept.store) == (file,)
