"""Holes are left out of what is written, and not of what is read."""

from hypothesis import given
from hypothesis import strategies as some

from understudy.adapters.trees.sparse_writing import SparseFile


@given(
    runs=some.lists(some.tuples(some.booleans(), some.integers(0, 9000)), max_size=12),
    pieces=some.lists(some.integers(1, 7000), min_size=1),
)
def test_a_file_with_holes_reads_as_what_was_written_however_it_came(tmp_path_factory, runs, pieces):
    content = b"".join(bytes(size) if empty else b"\x01" * size for empty, size in runs)
    path = tmp_path_factory.getbasetemp() / "holes"
    with path.open("wb") as handle:
        file = SparseFile(handle.fileno(), holes=True)
        at = turn = 0
        while at < len(content):
            size = pieces[turn % len(pieces)]
            file.write(content[at : at + size])
            at, turn = at + size, turn + 1
        file.end()
    assert path.read_bytes() == content
