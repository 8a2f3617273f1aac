"""Reading a tar archive member by member while it streams, as PostgreSQL writes it.

Source: ``src/port/tar.c`` and ``basebackup.c`` of PostgreSQL 13 to 18: ustar headers of 512 bytes, names of at most 99 bytes
(longer ones are an error on the server, so no extension headers), a slash behind the names of directories *and* symbolic links,
sizes beyond 8 GiB in base 256, ``./`` in front of some names, and two zero blocks at the end from 15 on only.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from understudy.vocabulary.errors import GiveUp

BLOCK_BYTES = 512
END_OF_ARCHIVE = bytes(2 * BLOCK_BYTES)
_ZERO_BLOCK = bytes(BLOCK_BYTES)
_CHECKSUM_FIELD = slice(148, 156)
_BLANKS_IN_CHECKSUM = 8 * ord(" ")


class MemberKind(StrEnum):
    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"


_KINDS = {b"0": MemberKind.FILE, b"\0": MemberKind.FILE, b"5": MemberKind.DIRECTORY, b"2": MemberKind.SYMLINK}


@dataclass(frozen=True, slots=True)
class TarMember:
    path: str
    """Relative, without ``./`` or a slash at the end; bytes that are not UTF-8 are kept as surrogates (``os.fsdecode``)."""
    kind: MemberKind
    size_bytes: int
    """Of the content; 0 for everything but files."""
    link_target: str
    header: bytes
    """The 512 bytes as they came."""

    @property
    def padding_bytes(self) -> int:
        return -self.size_bytes % BLOCK_BYTES

    @property
    def archived_bytes(self) -> int:
        """What the member takes in an archive: header, content and padding."""
        return BLOCK_BYTES + self.size_bytes + self.padding_bytes


class ByteReader:
    """Exact reads over an iterator of pieces of any length, without copying a piece that is asked for as a whole."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._piece = b""
        self._offset = 0

    def exactly(self, size_bytes: int) -> bytes:
        """The next ``size_bytes`` bytes; fewer only where the stream ends."""
        end = self._offset + size_bytes
        if end <= len(self._piece):
            taken = self._piece[self._offset : end]
            self._offset = end
            return taken
        return b"".join(self.pieces(size_bytes))

    def pieces(self, size_bytes: int) -> Iterator[bytes]:
        """The next ``size_bytes`` bytes as they come; fewer only where the stream ends."""
        left = size_bytes
        while left and self._fill():
            end = min(len(self._piece), self._offset + left)
            piece = self._piece[self._offset : end]
            self._offset = end
            left -= len(piece)
            yield piece

    def remainder(self) -> Iterator[bytes]:
        """Everything up to the end."""
        while self._fill():
            piece = self._piece[self._offset :]
            self._offset = len(self._piece)
            yield piece

    def _fill(self) -> bool:
        while self._offset == len(self._piece):
            following = next(self._chunks, None)
            if following is None:
                return False
            self._piece, self._offset = following, 0
        return True


def read_members(chunks: Iterable[bytes]) -> Iterator[tuple[TarMember, Iterator[bytes]]]:
    """Each member with its content, in the archive's order.

    The content is to be consumed before the next member is asked for; what is left of it is skipped.

    Raises:
        GiveUp: ``archive_cut_short``, ``archive_corrupt`` (a header's checksum), or ``archive_member_refused`` (an absolute
            path, ``..``, or anything but files, directories and symbolic links).
    """
    reader = ByteReader(chunks)
    while True:
        block = reader.exactly(BLOCK_BYTES)
        if not block or block == _ZERO_BLOCK:
            _expect_only_zeros(reader)
            return
        if len(block) < BLOCK_BYTES:
            raise _cut_short("a header", BLOCK_BYTES, len(block))
        member = parse_header(block)
        content = _content(reader, member)
        yield member, content
        for _skipped in content:
            pass
        padding = reader.exactly(member.padding_bytes)
        if len(padding) < member.padding_bytes:
            raise _cut_short(f"the padding behind {member.path}", member.padding_bytes, len(padding))


def parse_header(block: bytes) -> TarMember:
    """The member that a 512-byte header describes. Raises as ``read_members`` does."""
    try:
        expected_sum = int(block[_CHECKSUM_FIELD].strip(b" \0"), 8)
        size_bytes = _number(block[124:136])
    except ValueError:
        expected_sum = size_bytes = -1
    if sum(block) - sum(block[_CHECKSUM_FIELD]) + _BLANKS_IN_CHECKSUM != expected_sum or size_bytes < 0:
        raise GiveUp(
            "archive_corrupt",
            found="a tar header whose checksum does not match",
            expected="a ustar header",
            hint="take the backup again; when restoring, use another copy of this part",
        )
    name = _text(block[0:100])
    if block[257:262] == b"ustar" and (prefix := _text(block[345:500])):
        name = f"{prefix}/{name}"
    kind = _KINDS.get(block[156:157])
    if kind is None:
        raise _refused(name, f"a member of type {block[156:157]!r}")
    content_bytes = size_bytes if kind is MemberKind.FILE else 0
    return TarMember(_relative_path(name), kind, content_bytes, _text(block[157:257]), block)


def file_header(name: str, size_bytes: int) -> bytes:
    """The header of a regular file that is nobody's in particular. ``name``: at most 99 bytes of ASCII."""
    block = bytearray(BLOCK_BYTES)
    size = b"%011o\0" % size_bytes if size_bytes < 8**11 else b"\x80" + size_bytes.to_bytes(11, "big")
    for offset, field in (
        (0, name.encode("ascii")),
        (100, b"0000600\0"),
        (108, b"0000000\0"),
        (116, b"0000000\0"),
        (124, size),
        (136, b"00000000000\0"),
        (_CHECKSUM_FIELD.start, b" " * 8),
        (156, b"0"),
        (257, b"ustar\x0000"),
    ):
        block[offset : offset + len(field)] = field
    block[_CHECKSUM_FIELD] = b"%06o\0 " % sum(block)
    return bytes(block)


def _content(reader: ByteReader, member: TarMember) -> Iterator[bytes]:
    passed = 0
    for piece in reader.pieces(member.size_bytes):
        passed += len(piece)
        yield piece
    if passed < member.size_bytes:
        raise _cut_short(member.path, member.size_bytes, passed)


def _expect_only_zeros(reader: ByteReader) -> None:
    for piece in reader.remainder():
        if piece.count(0) != len(piece):
            raise GiveUp(
                "archive_corrupt",
                found="bytes behind the end of the archive",
                expected="zero blocks only",
                hint="take the backup again; when restoring, use another copy of this part",
            )


def _relative_path(name: str) -> str:
    path = name.removeprefix("./").rstrip("/")
    if name.startswith("/") or any(step in ("", ".", "..") for step in path.split("/")):
        raise _refused(name, "a path that does not stay inside the directory")
    return path


def _number(field: bytes) -> int:
    if field[0] & 0x80:
        return int.from_bytes(field, "big") & ~(0x80 << (8 * (len(field) - 1)))
    return int(field.strip(b" \0") or b"0", 8)


def _text(field: bytes) -> str:
    return os.fsdecode(field.split(b"\0", 1)[0])


def _refused(name: str, reason: str) -> GiveUp:
    return GiveUp(
        "archive_member_refused",
        found=f"{name!r}: {reason}",
        expected="relative paths of files, directories and symbolic links",
        hint="PostgreSQL writes no such archive: find out who did before restoring anything of this backup",
    )


def _cut_short(what: str, expected_bytes: int, found_bytes: int) -> GiveUp:
    return GiveUp(
        "archive_cut_short",
        found=f"the archive ends inside {what}, after {found_bytes} bytes",
        expected=f"{expected_bytes} bytes",
        hint="the backup was interrupted, or the part is incomplete: use another backup or another repository",
    )
