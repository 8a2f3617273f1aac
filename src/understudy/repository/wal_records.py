"""Records of WAL, read from its pages: what tells a record that a loss has cut off from one that is damaged. Pure.

Sources: ``access/xlogrecord.h`` and ``access/xlog_internal.h``, alike in PostgreSQL 13 to 18 in all that is read here; what is
refused is what ``xlogreader.c`` refuses. Little-endian, as the machines are that PostgreSQL is run on.

    page      a header of 24 bytes, of 40 on a segment's first page; the rest of a record that began before; records
    record    begins at a multiple of 8 with a header of 24 bytes; goes on behind the header of the next page, which says how much
              of it is left. Nothing lies between two records but padding, and behind a switch of segments nothing but zeros
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import google_crc32c

from understudy.vocabulary.wal import Lsn

WAL_PAGE_BYTES = 8192
"""``XLOG_BLCKSZ`` as everybody builds it. Each page begins with a header that is not zero."""

_PAGE_HEADER = struct.Struct("<HHIQI")
"""``XLogPageHeaderData``: magic, info, timeline, address of the page, how many bytes of the record before are left."""
_PAGE_HEADER_BYTES = 24
_FIRST_PAGE_HEADER_BYTES = 40
_BEGINS_WITH_REST = 0x0001
"""``XLP_FIRST_IS_CONTRECORD``."""
_OVERWRITES_REST = 0x0008
"""``XLP_FIRST_IS_OVERWRITE_CONTRECORD``: a crash cut the record before off; the server went on here without it."""

_RECORD_HEADER = struct.Struct("<IIQBBxxI")
"""``XLogRecord``: length, transaction, begin of the record before, info, resource manager, checksum."""
_CHECKED_HEADER_BYTES = 20
_PREVIOUS_OFFSET = 8
_ALIGNMENT = 8
"""``MAXALIGN``. What a server sends ends with a record, padding included, or with a page."""
_LARGEST_RECORD_BYTES = 1 << 30
_SWITCH = (0, 0x40)
"""Resource manager and info of ``XLOG_SWITCH``, behind which the next record begins in the next segment."""


class Behind(StrEnum):
    """What is held behind a position at which a record ended."""

    NOTHING = "nothing"
    RECORD = "record"
    """Whole, and right by its checksum."""
    CUT_OFF = "cut_off"
    """The beginning of a record that goes on behind the end of what is held, with other bytes than zeros."""
    DAMAGE = "damage"


@dataclass(frozen=True, slots=True)
class _Found:
    what: Behind
    begins: Lsn
    ends: Lsn
    """Where the next record may begin; only of a whole one."""


@dataclass(frozen=True, slots=True)
class SegmentPages:
    """Pages of segments that lie somewhere to be read in part."""

    read: Callable[[int, int, int], bytes]
    """So many bytes of a segment: its number, the offset, the count."""
    segment_bytes: int

    def page(self, begin: Lsn) -> bytes:
        number, offset = divmod(begin.position, self.segment_bytes)
        return self.read(number, offset, WAL_PAGE_BYTES)


@dataclass(frozen=True, slots=True)
class WalRecords:
    """The records on pages that are held up to a position; behind it, they read as zeros."""

    pages: SegmentPages
    reaches: Lsn
    """Behind all that was stored, or behind the last byte of it that is not zero."""

    def behind(self, position: Lsn) -> Behind:
        """What follows on the record that ended at ``position``.

        A record that seems to go on behind the end may have a damaged length: it is not cut off where a whole record names it as
        the one before. Of the very last record, damage that makes it seem longer, and damage to one that ends in zeros, cannot be
        told from a cut.
        """
        found = self._record(position)
        if found.what is Behind.CUT_OFF and self._is_followed(found.begins):
            return Behind.DAMAGE
        return found.what

    def record_ends_at(self, position: Lsn) -> bool:
        """Whether a whole record ends there; proof that all bytes before it are held, also when the last of them are zero."""
        at = self._first_record_before(position)
        while at is not None and at < position:
            found = self._record(at)
            at = found.ends if found.what is Behind.RECORD else None
        return at == position

    def first_behind(self, page_begin: Lsn) -> Lsn | None:
        """Where the first record begins on this page or, where that holds nothing but the rest of one, on a later page."""
        while page_begin < self._held_to:
            address, info, left_bytes = _page_header(self.pages.page(page_begin))
            if address != page_begin:
                return None
            rest = left_bytes if info & _BEGINS_WITH_REST else 0
            first = _aligned(page_begin + self._header_bytes(page_begin) + rest)
            if first <= page_begin + WAL_PAGE_BYTES:
                return first
            page_begin = page_begin + WAL_PAGE_BYTES
        return None

    def whole_until(self, begin: Lsn | None) -> Lsn | None:
        """Behind the last of the whole records that follow on each other from ``begin``; None: not even the first is whole."""
        end: Lsn | None = None
        while begin is not None and (found := self._record(begin)).what is Behind.RECORD:
            begin = end = self._whole_on_page(found.ends)
        return end

    def _whole_on_page(self, begin: Lsn) -> Lsn:
        """The same, of those that lie on the page of ``begin`` to their end: most do, and there are many to get through."""
        page_begin = _page_begin(begin)
        offset, held_bytes = begin.position - page_begin.position, self._held_to.bytes_since(page_begin)
        if offset <= _FIRST_PAGE_HEADER_BYTES or begin >= self._held_to:
            return begin
        page = self.pages.page(page_begin)[:held_bytes]
        while offset + _RECORD_HEADER.size <= len(page):
            total, _, _, info, manager, checksum = _RECORD_HEADER.unpack_from(page, offset)
            stop = offset + total
            if total < _RECORD_HEADER.size or stop > len(page) or (manager, info & 0xF0) == _SWITCH:
                break
            data = google_crc32c.value(page[offset + _RECORD_HEADER.size : stop])
            if google_crc32c.extend(data, page[offset : offset + _CHECKED_HEADER_BYTES]) != checksum:
                break
            offset = -(-stop // _ALIGNMENT) * _ALIGNMENT
        return page_begin + offset

    @property
    def _held_to(self) -> Lsn:
        """With the zeros that surely belong to what ends here."""
        return _aligned(self.reaches)

    def _record(self, position: Lsn) -> _Found:
        begins = position if position.position % WAL_PAGE_BYTES else position + self._header_bytes(position)
        if begins >= self._held_to:
            return _Found(Behind.NOTHING, begins, begins)
        page_begin = _page_begin(begins)
        page = self.pages.page(page_begin)
        address, info, _ = _page_header(page)
        goes_first = begins == page_begin + self._header_bytes(page_begin)
        offset = begins.position - page_begin.position
        total = int.from_bytes(page[offset : offset + 4], "little")
        in_order = address == page_begin and not (goes_first and info & _BEGINS_WITH_REST)
        if not in_order or not _RECORD_HEADER.size <= total <= _LARGEST_RECORD_BYTES:
            return _Found(Behind.DAMAGE, begins, begins)
        content = bytearray(page[offset : offset + total])
        ends = begins + len(content)
        while len(content) < total:
            page_begin = page_begin + WAL_PAGE_BYTES
            ends = page_begin + self._header_bytes(page_begin)
            if ends > self._held_to:
                return self._judged(content, begins, Behind.CUT_OFF, ends)
            page = self.pages.page(page_begin)
            address, info, left_bytes = _page_header(page)
            if address == page_begin and info & _OVERWRITES_REST:
                return self._record(page_begin)
            if address != page_begin or not info & _BEGINS_WITH_REST or left_bytes != total - len(content):
                return _Found(Behind.DAMAGE, begins, begins)
            offset = self._header_bytes(page_begin)
            piece = page[offset : offset + left_bytes]
            content += piece
            ends = ends + len(piece)
        return self._judged(content, begins, Behind.RECORD, ends)

    def _judged(self, content: bytearray, begins: Lsn, what: Behind, ends: Lsn) -> _Found:
        """By its own header. Of one that is cut off within its header the rest is read as zeros."""
        header = bytes(content[: _RECORD_HEADER.size]).ljust(_RECORD_HEADER.size, b"\0")
        _, _, previous, info, manager, checksum = _RECORD_HEADER.unpack(header)
        if what is Behind.RECORD:
            data = google_crc32c.value(bytes(content[_RECORD_HEADER.size :]))
            if google_crc32c.extend(data, header[:_CHECKED_HEADER_BYTES]) != checksum:
                what = Behind.DAMAGE if ends <= self._held_to else Behind.CUT_OFF
        if previous >= begins.position:
            what = Behind.DAMAGE
        if (manager, info & 0xF0) == _SWITCH:
            return _Found(what, begins, Lsn(-(-ends.position // self.pages.segment_bytes) * self.pages.segment_bytes))
        return _Found(what, begins, _aligned(ends))

    def _is_followed(self, begins: Lsn) -> bool:
        """Whether any whole record says that the one before it begins there."""
        wanted = begins.position.to_bytes(8, "little")
        page_begin = _page_begin(begins)
        while page_begin < self._held_to:
            page = self.pages.page(page_begin)
            offset = page.find(wanted)
            while offset >= 0:
                follower = self._begins_before(page_begin, offset)
                if follower is not None and self._record(follower).what is Behind.RECORD:
                    return True
                offset = page.find(wanted, offset + 1)
            page_begin = page_begin + WAL_PAGE_BYTES
        return False

    def _begins_before(self, page_begin: Lsn, offset: int) -> Lsn | None:
        """Where the record begins whose link to the one before lies at this offset of the page."""
        first = self._header_bytes(page_begin)
        if offset % _ALIGNMENT or offset < first:
            return None
        return Lsn(page_begin.position + (offset if offset > first else 0) - _PREVIOUS_OFFSET)

    def _first_record_before(self, position: Lsn) -> Lsn | None:
        """The first one that begins on a page, of the newest page on which one begins before the position."""
        page_begin = _page_begin(Lsn(position.position - 1))
        while page_begin.position >= 0:
            address, info, left_bytes = _page_header(self.pages.page(page_begin))
            if address != page_begin:
                return None
            rest = left_bytes if info & _BEGINS_WITH_REST else 0
            first = _aligned(page_begin + self._header_bytes(page_begin) + rest)
            if first < position and first < page_begin + WAL_PAGE_BYTES:
                return first
            page_begin = Lsn(page_begin.position - WAL_PAGE_BYTES)
        return None

    def _header_bytes(self, page_begin: Lsn) -> int:
        return _PAGE_HEADER_BYTES if page_begin.position % self.pages.segment_bytes else _FIRST_PAGE_HEADER_BYTES


def _page_header(page: bytes) -> tuple[Lsn, int, int]:
    _, info, _, address, left_bytes = _PAGE_HEADER.unpack_from(page)
    return Lsn(address), info, left_bytes


def page_end(position: Lsn) -> Lsn:
    """Where the page ends that holds the byte before the position. No zeros at the end of a tail's WAL go on behind it."""
    return Lsn(-(-position.position // WAL_PAGE_BYTES) * WAL_PAGE_BYTES)


def _page_begin(position: Lsn) -> Lsn:
    return Lsn(position.position // WAL_PAGE_BYTES * WAL_PAGE_BYTES)


def _aligned(position: Lsn) -> Lsn:
    return Lsn(-(-position.position // _ALIGNMENT) * _ALIGNMENT)
