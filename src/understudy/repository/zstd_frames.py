"""Where zstd frames begin and end, without decoding them.

Source: RFC 8878, "Zstandard Compression and the 'application/zstd' Media Type", section 3.1. Only block headers are looked at:
eight a MiB. zstd's stream reader takes an input that ends within a frame for a normal end; this is what tells them apart.
"""

from __future__ import annotations

from enum import Enum, auto

_MAGIC = 0xFD2FB528
_SKIPPABLE_MAGIC_FIRST = 0x184D2A50
_SKIPPABLE_MAGIC_LAST = 0x184D2A5F
_DICTIONARY_ID_BYTES = (0, 1, 2, 4)
_CONTENT_SIZE_BYTES = (0, 2, 4, 8)
_RLE_BLOCK = 1


class _Field(Enum):
    MAGIC = auto()
    DESCRIPTOR = auto()
    BLOCK = auto()
    SKIPPABLE_SIZE = auto()
    INVALID = auto()


class FrameTracker:
    """Fed with a stream's chunks, it knows whether the stream may end here."""

    def __init__(self) -> None:
        self._field = _Field.MAGIC
        self._wanted = 4
        self._header = bytearray()
        self._skip = 0
        self._checksum_bytes = 0

    @property
    def between_frames(self) -> bool:
        return self._field is _Field.MAGIC and not self._header and not self._skip

    def feed(self, chunk: bytes) -> None:
        position = 0
        while position < len(chunk) and self._field is not _Field.INVALID:
            if self._skip:
                step = min(self._skip, len(chunk) - position)
                self._skip -= step
                position += step
                continue
            taken = chunk[position : position + self._wanted - len(self._header)]
            self._header += taken
            position += len(taken)
            if len(self._header) == self._wanted:
                value = int.from_bytes(self._header, "little")
                self._header.clear()
                self._advance(value)

    def _advance(self, value: int) -> None:
        match self._field:
            case _Field.MAGIC if value == _MAGIC:
                self._expect(_Field.DESCRIPTOR, 1)
            case _Field.MAGIC if _SKIPPABLE_MAGIC_FIRST <= value <= _SKIPPABLE_MAGIC_LAST:
                self._expect(_Field.SKIPPABLE_SIZE, 4)
            case _Field.DESCRIPTOR:
                self._begin_frame(value)
            case _Field.BLOCK:
                self._begin_block(value)
            case _Field.SKIPPABLE_SIZE:
                self._skip = value
                self._expect(_Field.MAGIC, 4)
            case _:
                self._field = _Field.INVALID

    def _expect(self, field: _Field, size_bytes: int) -> None:
        self._field, self._wanted = field, size_bytes

    def _begin_frame(self, descriptor: int) -> None:
        single_segment = bool(descriptor & 0x20)
        size_bytes = _CONTENT_SIZE_BYTES[descriptor >> 6]
        if single_segment and size_bytes == 0:
            size_bytes = 1
        self._skip = (0 if single_segment else 1) + _DICTIONARY_ID_BYTES[descriptor & 3] + size_bytes
        self._checksum_bytes = 4 if descriptor & 4 else 0
        self._expect(_Field.BLOCK, 3)

    def _begin_block(self, header: int) -> None:
        last, kind, size = header & 1, (header >> 1) & 3, header >> 3
        self._skip = 1 if kind == _RLE_BLOCK else size
        if last:
            self._skip += self._checksum_bytes
            self._expect(_Field.MAGIC, 4)
