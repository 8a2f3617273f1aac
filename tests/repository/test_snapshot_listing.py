"""The lines of a listing: any name and any attributes come back; anything else is refused."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from understudy.ports.collection import Entry, EntryKind
from understudy.repository.snapshots.keys import part_name
from understudy.repository.snapshots.listing import (
    ListedEntry,
    Placed,
    decode_line,
    decode_listing,
    encode_line,
    encode_listing,
    key_bytes,
)
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import SnapshotLabel
from understudy.vocabulary.sealing import Sealing

LABEL = SnapshotLabel("20261123-030000S")
names = st.one_of(st.binary(max_size=20).map(lambda raw: raw.decode("utf-8", "surrogateescape")), st.text(max_size=20))
attributes = st.dictionaries(names, st.none() | st.booleans() | st.integers() | names | st.lists(names, max_size=2), max_size=2)
placed = st.builds(
    Placed,
    sha256=st.binary(min_size=32, max_size=32).map(bytes.hex),
    part=st.integers(1, 99999).map(lambda number: part_name(LABEL, "7f3a1", number, Sealing.AGE)),
    member=st.integers(1, 10**6),
)
files = st.builds(
    lambda key, size_bytes, fingerprint, extra, place, changed: ListedEntry(
        Entry(key, EntryKind.FILE, size_bytes, fingerprint, attributes=extra), place if size_bytes else None, changed
    ),
    names,
    st.integers(0, 2**63 - 1),
    names,
    attributes,
    placed,
    st.booleans(),
)
others = st.builds(
    lambda key, kind, link, extra: ListedEntry(
        Entry(key, kind, link="" if kind is EntryKind.DIRECTORY else link, attributes=extra), None
    ),
    names,
    st.sampled_from([EntryKind.DIRECTORY, EntryKind.SYMLINK, EntryKind.HARD_LINK]),
    names,
    attributes,
)
listings = st.lists(files | others, max_size=5, unique_by=lambda listed: listed.entry.key).map(
    lambda found: sorted(found, key=lambda listed: key_bytes(listed.entry.key))
)


@settings(max_examples=50)
@given(listings, st.integers(1, 400))
def test_every_entry_comes_back_however_the_stream_is_cut(entries, piece_bytes):
    text = b"".join(encode_listing(entries))
    pieces = [text[at : at + piece_bytes] for at in range(0, len(text), piece_bytes)]
    assert list(decode_listing(pieces)) == entries
    assert text.isascii()


LINE = {
    "key": "a",
    "kind": "file",
    "attributes": {},
    "size_bytes": 1,
    "fingerprint": "",
    "sha256": "0" * 64,
    "part": "20261123-030000S-a1-0001.tar.zst.age",
    "member": 1,
}


def test_the_line_that_the_others_are_changed_from_is_one():
    assert decode_line(json.dumps(LINE).encode()).entry == Entry("a", EntryKind.FILE, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"key": 7},
        {"kind": "socket"},
        {"kind": "directory"},
        {"attributes": []},
        {"size_bytes": -1},
        {"size_bytes": 0},
        {"size_bytes": True},
        {"sha256": "0" * 63},
        {"sha256": None},
        {"part": "../../../postgres/orders"},
        {"part": "x.tar.zst.age"},
        {"member": "1"},
        {"changed_while_read": 1},
        {"colour": "red"},
    ],
)
def test_a_line_of_another_shape_is_refused(change):
    with pytest.raises(GiveUp, match="document_malformed"):
        decode_line(json.dumps(LINE | change).encode())


def test_a_listing_out_of_order_twice_the_same_or_cut_is_refused():
    a, b = (encode_line(ListedEntry(Entry(key, EntryKind.DIRECTORY), None)) for key in "ab")
    assert len(list(decode_listing([a, b]))) == 2
    for pieces in ([b, a], [a, a], [a, b[:-1]]):
        with pytest.raises(GiveUp, match="document_malformed"):
            list(decode_listing(pieces))
