"""Telling by its stamps whether a file may hold something else by now."""

from __future__ import annotations

import os
import secrets
import time

_CLOCK_REALTIME_COARSE = 5
"""``linux/time.h``: the clock that stamps files."""
_COARSE_STAMPS_NS = 2 * 10**9
"""Of FAT and old network file systems, which stamp by the second or two."""
_UNSETTLED = "~"


def stamping_now_ns() -> int:
    return time.clock_gettime_ns(_CLOCK_REALTIME_COARSE)  # not to know the time: only stamps are compared with it


def fingerprint_of(found: os.stat_result, written_out_ns: int | None = None) -> str:
    """Two changes within one tick of the kernel's clock may leave the same stamps. Of what is written through mapped memory only
    the first store into a page leaves any, until the page is written out. So what was changed in the tick that is now, or since
    everything was written out, gets a fingerprint that never comes again, and is read anew the next time.

    Args:
        written_out_ns: By ``stamping_now_ns``, before its file system was told to write out everything. None: it was not; then
            what is stored through mapped memory may go unseen.
    """
    stamping = stamping_now_ns() if written_out_ns is None else written_out_ns
    if found.st_ctime_ns % 10**9 == 0:
        stamping -= _COARSE_STAMPS_NS
    return _stamps(found) if found.st_ctime_ns < stamping else f"{_stamps(found)}{_UNSETTLED}{secrets.token_hex(4)}"


def is_unsettled(fingerprint: str) -> bool:
    """It never comes again."""
    return _UNSETTLED in fingerprint


def bears(fingerprint: str, found: os.stat_result) -> bool:
    """Whether the file has the stamps that the fingerprint was made of."""
    return fingerprint.partition(_UNSETTLED)[0] == _stamps(found)


def _stamps(found: os.stat_result) -> str:
    """The change time cannot be set back; the device is left out, because its number is another one after a restart."""
    return f"{found.st_ino:x}.{found.st_size:x}.{found.st_mtime_ns:x}.{found.st_ctime_ns:x}"
