import os
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.repository.test_tar_stream import cut
from understudy.repository.incremental_files import (
    IncrementalParent,
    apply_incremental,
    full_path,
    parent_in_label,
    without_parent_lines,
)
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.wal import Lsn, Timeline

BLOCK = 64
"""Small blocks keep the cases readable; the format is the same."""


def incremental(truncated_blocks: int, blocks: dict[int, bytes], *, magic: int = 0xD3AE1F0D) -> bytes:
    header = struct.pack(f"<III{len(blocks)}I", magic, len(blocks), truncated_blocks, *blocks)
    if blocks:
        header += bytes(-len(header) % BLOCK)
    return header + b"".join(blocks.values())


def block(number: int) -> bytes:
    return bytes([number % 255 + 1]) * BLOCK


def applied(parent: bytes, *increments: bytes, piece: int = 1000) -> bytes:
    descriptor = os.memfd_create("relation")
    try:
        os.write(descriptor, parent)
        for content in increments:
            apply_incremental(descriptor, "base/5/INCREMENTAL.1", len(content), cut(content, piece), BLOCK)
        return os.pread(descriptor, 1024 * 1024, 0)
    finally:
        os.close(descriptor)


relations = st.integers(0, 40).map(lambda count: b"".join(block(100 + number) for number in range(count)))
increments = st.builds(
    lambda truncated, numbers: (truncated, {number: block(number) for number in numbers}),
    st.integers(0, 40),
    st.lists(st.integers(0, 50), unique=True, max_size=30),
)


@given(relations, st.lists(increments, min_size=1, max_size=3), st.integers(1, 500))
def test_every_block_is_the_increments_the_parents_or_zero(parent, chain, piece):
    expected = [parent[at : at + BLOCK] for at in range(0, len(parent), BLOCK)]
    for truncated, blocks in chain:
        length = max(truncated, max(blocks, default=-1) + 1)
        kept = expected[:truncated]
        kept += [bytes(BLOCK)] * (length - len(kept))
        expected = [blocks.get(number, kept[number]) for number in range(length)]
    assert applied(parent, *(incremental(*each) for each in chain), piece=piece) == b"".join(expected)


@given(relations, increments)
def test_applying_the_same_increment_again_changes_nothing(parent, change):
    content = incremental(*change)
    assert applied(parent, content, content) == applied(parent, content)


def test_an_empty_increment_only_fixes_the_length():
    parent = block(1) + block(2) + block(3)
    assert applied(parent, incremental(3, {})) == parent
    assert applied(parent, incremental(1, {})) == block(1)
    assert applied(parent, incremental(5, {})) == parent + bytes(2 * BLOCK)
    assert applied(parent, incremental(0, {})) == b""


def test_a_part_of_a_block_at_the_parents_end_is_dropped():
    assert applied(block(1) + b"half", incremental(2, {})) == block(1) + bytes(BLOCK)


def test_pages_that_grew_back_without_wal_are_zero_as_on_the_server():
    parent = block(1) + block(2) + block(3)
    assert applied(parent, incremental(1, {}), incremental(3, {1: block(9)})) == block(1) + block(9) + bytes(BLOCK)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        incremental(1, {})[:11],
        incremental(1, {}, magic=0xD3AE1F0E),
        incremental(3, {1: block(1)})[:-1],
        incremental(3, {1: block(1)}) + b"x",
        incremental(1024**3 // BLOCK + 1, {}),
        incremental(3, {1024**3 // BLOCK: block(1)}),
        struct.pack("<III", 0xD3AE1F0D, 0xFFFFFFFF, 0),
    ],
)
def test_a_damaged_increment_is_refused(content):
    with pytest.raises(GiveUp, match="incremental_corrupt"):
        applied(block(1), content)


def test_an_increment_shorter_than_announced_is_refused():
    content = incremental(3, {1: block(1)})
    descriptor = os.memfd_create("relation")
    with pytest.raises(GiveUp, match="incremental_corrupt"):
        apply_incremental(descriptor, "base/5/INCREMENTAL.1", len(content), [content[:-10]], BLOCK)
    os.close(descriptor)


@pytest.mark.parametrize(
    ("path", "full"),
    [
        ("base/5/INCREMENTAL.16384", "base/5/16384"),
        ("base/5/INCREMENTAL.16384.1", "base/5/16384.1"),
        ("global/INCREMENTAL.1260", "global/1260"),
        ("pg_tblspc/16401/PG_18_202506291/5/INCREMENTAL.16410", "pg_tblspc/16401/PG_18_202506291/5/16410"),
        ("base/5/16384", None),
        ("INCREMENTAL.conf", None),
        ("conf.d/INCREMENTAL.conf", None),
        ("global/sub/INCREMENTAL.1", None),
    ],
)
def test_only_files_of_relations_are_increments(path, full):
    assert full_path(path) == full


LABEL = (
    b"START WAL LOCATION: 0/9000028 (file 000000010000000000000009)\nINCREMENTAL FROM LSN: 0/7000028\nINCREMENTAL FROM TLI: 1\n"
)


def test_a_label_names_its_parent_and_loses_these_lines():
    assert parent_in_label(LABEL) == IncrementalParent(Lsn.parse("0/7000028"), Timeline(1))
    assert without_parent_lines(LABEL) == LABEL.splitlines(keepends=True)[0]
    assert parent_in_label(without_parent_lines(LABEL)) is None


@pytest.mark.parametrize("damage", [b"FROM TLI", b"INCREMENTAL FROM LSN", b"0/7000028"])
def test_a_label_with_half_a_parent_is_no_label(damage):
    with pytest.raises(ValueError, match=r"."):
        parent_in_label(LABEL.replace(damage, b"gone"))
