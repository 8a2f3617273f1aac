import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.repository.tar_stream import BLOCK_BYTES, ByteReader, MemberKind, read_members
from understudy.vocabulary.errors import GiveUp


def archive(*members: tuple[str, bytes | str | None], end: bool = True) -> bytes:
    """Bytes: a file; None: a directory; text: a symbolic link to it."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT) as writer:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            if content is None:
                entry.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
            else:
                entry.size = len(content)
            writer.addfile(entry, io.BytesIO(content) if isinstance(content, bytes) else None)
        length = target.tell()
    return target.getvalue() if end else target.getvalue()[:length]


def cut(content: bytes, size: int) -> list[bytes]:
    return [content[at : at + size] for at in range(0, len(content), size)]


def members_of(chunks) -> list[tuple[str, MemberKind, bytes]]:
    return [(member.path, member.kind, b"".join(content)) for member, content in read_members(chunks)]


@given(
    st.lists(st.binary(max_size=3000), max_size=6),
    st.integers(min_value=1, max_value=4000),
    st.booleans(),
)
def test_every_member_comes_back_whole_however_the_stream_is_cut(contents, piece, end):
    content = archive(*((f"base/{number}", content) for number, content in enumerate(contents)), end=end)
    found = members_of(cut(content, piece))
    assert found == [(f"base/{number}", MemberKind.FILE, content) for number, content in enumerate(contents)]


def test_content_that_nobody_reads_is_skipped():
    content = archive(("a", b"x" * 1500), ("b", b"y"))
    assert [member.path for member, _ in read_members(cut(content, 700))] == ["a", "b"]


def test_paths_lose_their_leading_dot_and_their_trailing_slash():
    content = archive(("./pg_wal/archive_status/", None), ("pg_tblspc/16401/", "/srv/tablespace"))
    (directory, _), (link, _) = read_members([content])
    assert (directory.path, directory.kind) == ("pg_wal/archive_status", MemberKind.DIRECTORY)
    assert (link.path, link.kind, link.link_target) == ("pg_tblspc/16401", MemberKind.SYMLINK, "/srv/tablespace")


def test_a_size_beyond_eight_gigabytes_is_read_in_base_256():
    entry = tarfile.TarInfo("big")
    entry.size = 9 * 1024**3
    header = entry.tobuf(tarfile.GNU_FORMAT)
    member, _content = next(read_members([header]))
    assert member.size_bytes == 9 * 1024**3


@pytest.mark.parametrize("name", ["../evil", "base/../../evil", "/etc/evil", "base//evil", "./../evil", "..", "."])
def test_a_path_that_leaves_the_directory_is_refused(name):
    with pytest.raises(GiveUp, match="archive_member_refused"):
        members_of([_with_raw_name(name)])


def _with_raw_name(name: str) -> bytes:
    header = bytearray(archive(("x", b"evil")))
    header[:100] = name.encode().ljust(100, b"\0")
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    return bytes(header)


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.XHDTYPE])
def test_a_member_of_another_kind_is_refused(kind):
    entry = tarfile.TarInfo("device")
    entry.type = kind
    with pytest.raises(GiveUp, match="archive_member_refused"):
        members_of([entry.tobuf(tarfile.USTAR_FORMAT)])


def test_one_flipped_bit_in_a_header_is_noticed():
    content = bytearray(archive(("base/1", b"x")))
    content[3] ^= 1
    with pytest.raises(GiveUp, match="archive_corrupt"):
        members_of([bytes(content)])


@pytest.mark.parametrize("kept", [100, BLOCK_BYTES + 100, BLOCK_BYTES + 1000 + 10])
def test_an_archive_cut_short_is_noticed(kept):
    with pytest.raises(GiveUp, match="archive_cut_short"):
        members_of([archive(("base/1", b"x" * 1000))[:kept]])


def test_bytes_behind_the_end_are_noticed():
    with pytest.raises(GiveUp, match="archive_corrupt"):
        members_of([archive(("base/1", b"x")), b"surplus"])


@given(st.lists(st.binary(max_size=50), max_size=20), st.lists(st.integers(min_value=0, max_value=60), max_size=20))
def test_exact_reads_give_the_stream_in_order(chunks, sizes):
    reader = ByteReader(chunks)
    taken = b"".join(reader.exactly(size) for size in sizes)
    assert taken + b"".join(reader.remainder()) == b"".join(chunks)
