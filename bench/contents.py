"""Directories and buckets worth backing up: many small contents and a few large ones, half of whose bytes do not compress."""

from __future__ import annotations

import base64
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

_SMALL_AT_FULL_SIZE = 10_000
_LARGE_AT_FULL_SIZE = 20
_FULL_SCALE = 70
_LARGE_BYTES = 32 * 2**20
_SMALL_BYTES = (512, 16 * 2**10)
_CHANGED_SMALL = 0.01


def small_of(scale: int) -> int:
    return max(10, _SMALL_AT_FULL_SIZE * scale // _FULL_SCALE)


def large_of(scale: int) -> int:
    return max(1, _LARGE_AT_FULL_SIZE * scale // _FULL_SCALE)


def bytes_of(scale: int) -> int:
    """About what they take."""
    return large_of(scale) * _LARGE_BYTES + small_of(scale) * sum(_SMALL_BYTES) // 2


def described(scale: int) -> str:
    count = f"{small_of(scale):,} small contents (0.5 to 16 KiB) and {large_of(scale)} large ones (32 MiB)"
    return f"{count}, {bytes_of(scale) / 2**20:,.0f} MiB"


def fill(directory: Path, scale: int) -> None:
    for name, content in contents(scale):
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def contents(scale: int) -> Iterator[tuple[str, bytes]]:
    for number in range(small_of(scale)):
        yield _small(number), _content(random.randint(*_SMALL_BYTES))
    for number in range(large_of(scale)):
        yield _large(number), _content(_LARGE_BYTES)


def changes(scale: int) -> Iterator[tuple[str, bytes]]:
    """Other contents for one in a hundred of the small, and for one of the large."""
    for number in random.sample(range(small_of(scale)), max(1, int(small_of(scale) * _CHANGED_SMALL))):
        yield _small(number), _content(random.randint(*_SMALL_BYTES))
    yield _large(random.randrange(large_of(scale))), _content(_LARGE_BYTES)


def require_same(source: Path, target: Path) -> None:
    """Raises AssertionError where names or contents differ."""
    for path in source.rglob("*"):
        if path.is_file():
            assert (target / path.relative_to(source)).read_bytes() == path.read_bytes(), path
    assert len(list(source.rglob("*"))) == len(list(target.rglob("*")))


def remove(*directories: Path) -> None:
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)


def _content(size: int) -> bytes:
    """Half of it random, half in an alphabet of 64: a third of that can be saved."""
    half = size // 2
    return os.urandom(size - half) + base64.b64encode(os.urandom(half))[:half]


def _small(number: int) -> str:
    return f"small/{number // 100:03d}/{number:05d}.json"


def _large(number: int) -> str:
    return f"large/{number:02d}.bin"
