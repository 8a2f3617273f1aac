"""How much is done at once: by the processors that this process may use, within what it may take of memory.

The whole of a command may take 400 MB, however many processors there are. It takes about 110 MB before anything flows, boto3
counted in. What is left is shared out here, as if every buffer were full at once, as they are before a slow store:

- packing: 48 MB of hand-off for all parts together; of each of at most 3 parts 20 MB in its 4 threads that compress, 48 MB on
  their way into a bucket, 7 MB of age: 270 MB;
- writing a snapshot: the same, and 32 MB of contents that are read ahead or on their way into a part;
- restoring one: as unpacking, and of each part 4 MB of contents on their way into the target;
- unpacking or checking, of each of at most 8 parts: 16 MB of age's process, 8 MB of frames and pieces: 190 MB; and, while the
  last ones of a chain's backup are unpacked, 40 MB for what is read ahead of the next one;
- fetching or opening WAL, of each of at most 4 segments, however large: 16 MB of age's process, 8 MB of frames and pieces:
  100 MB.

As if with 64 processors, 640 MB that do not compress came to 346 MB for a backup into a bucket, 251 for a deep check of it and
287 for its restore.
"""

from __future__ import annotations

import ctypes
import os

_MIB = 1024 * 1024
_FEWEST = 2
"""Also on one processor: one waits for the store, or for a disk, while the other works."""

_PARTS_PACKED = 3
_THREADS_COMPRESSING = 4
_PARTS_READ = 8
_SEGMENTS_OPENED = 4
HANDED_OFF_BYTES = 48 * _MIB
"""What the threads that store parts are ahead of, all parts together."""
_ARENAS = 2
_M_ARENA_MAX = -8
"""Of ``mallopt`` (``malloc.h``)."""


def processors() -> int:
    """Those that this process may use, as ``taskset`` and a container's cpuset leave them; at least two."""
    return max(_FEWEST, len(os.sched_getaffinity(0)))


def parts_packed(processors: int) -> int:
    """How many parts of a backup are compressed, sealed and stored at once."""
    return min(processors, _PARTS_PACKED)


def threads_compressing(processors: int) -> int:
    """In how many threads one stream is compressed."""
    return min(processors, _THREADS_COMPRESSING)


def parts_read(processors: int) -> int:
    """How many parts of a backup, or sealed pieces of WAL, are read at once."""
    return min(processors, _PARTS_READ)


def segments_opened(processors: int) -> int:
    """How many segments of WAL are opened at once."""
    return min(processors, _SEGMENTS_OPENED)


def share_arenas() -> None:
    """Have all threads take memory from two arenas of the C library, before they are started.

    Left to itself glibc gives each thread one, up to eight for each processor, and what a thread has freed stays in its own: a
    backup into a bucket then came to 389 MB instead of 317. Other C libraries have no such thing.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_M_ARENA_MAX, _ARENAS)
