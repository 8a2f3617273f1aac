"""Durations, sizes and rates, as people write them: with their unit, always.

A number without a unit is refused, because its reader at three in the morning would have to guess.
"""

from __future__ import annotations

import re
from datetime import timedelta

from understudy.stack.expectation import Unfit

DURATION_TEXT = "a duration with its units, largest first, such as 10s, 15m, 1h30m or 7d"
SIZE_TEXT = "a size with its unit, such as 512KiB, 100MB or 8GiB"
RATE_TEXT = "a rate such as 50MB/s"

_DURATION = re.compile(r"(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?(?:(\d{1,9})ms)?", re.ASCII)
_MILLISECONDS = (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1))
_LONGEST = timedelta(days=36_500)

_SIZE = re.compile(r"(\d{1,19})([A-Za-z]+)", re.ASCII)
_BYTES = {
    "TiB": 2**40,
    "TB": 10**12,
    "GiB": 2**30,
    "GB": 10**9,
    "MiB": 2**20,
    "MB": 10**6,
    "KiB": 2**10,
    "kB": 10**3,
    "B": 1,
}
_LARGEST_BYTES = 2**60

DURATION_PATTERN = f"^(?=.){_DURATION.pattern}$"
_SIZE_PATTERN = rf"\d{{1,19}}(?:{'|'.join(_BYTES)})"
SIZE_PATTERN = f"^{_SIZE_PATTERN}$"
RATE_PATTERN = f"^{_SIZE_PATTERN}/s$"
"""For editors."""


def parse_duration(text: str) -> timedelta:
    """``1h30m`` and its like: days, hours, minutes, seconds, milliseconds, each at most once, largest first.

    Raises:
        Unfit: it has another form, or is longer than a hundred years.
    """
    found = _DURATION.fullmatch(text)
    if not found or not any(found.groups()):
        raise Unfit(DURATION_TEXT + _duration_advice(text))
    milliseconds = sum(int(count) * unit for count, (_, unit) in zip(found.groups("0"), _MILLISECONDS, strict=True))
    if milliseconds > _LONGEST // timedelta(milliseconds=1):
        raise Unfit("a duration of at most 36500d")
    return timedelta(milliseconds=milliseconds)


def format_duration(duration: timedelta) -> str:
    """The shortest text that ``parse_duration`` reads back as the same duration. Whole milliseconds only."""
    rest = duration // timedelta(milliseconds=1)
    text = ""
    for name, unit in _MILLISECONDS:
        count, rest = divmod(rest, unit)
        text += f"{count}{name}" if count else ""
    return text or "0s"


def parse_size(text: str) -> int:
    """Bytes. ``KiB`` to ``TiB`` are powers of 1024, ``kB`` to ``TB`` powers of 1000.

    Raises:
        Unfit: no unit, an unknown one, or more than 1 EiB.
    """
    found = _SIZE.fullmatch(text)
    if not found or found.group(2) not in _BYTES:
        raise Unfit(SIZE_TEXT + _size_advice(text))
    size_bytes = int(found.group(1)) * _BYTES[found.group(2)]
    if size_bytes > _LARGEST_BYTES:
        raise Unfit("a size of at most 1048576TiB")
    return size_bytes


def format_size(size_bytes: int) -> str:
    """The text with the largest unit that divides the size, so that it reads back exactly."""
    for name, unit in _BYTES.items():
        if size_bytes and size_bytes % unit == 0:
            return f"{size_bytes // unit}{name}"
    return "0B"


def parse_rate(text: str) -> int:
    """Bytes per second, from a size followed by ``/s``.

    Raises:
        Unfit: it has another form.
    """
    size, slash, unit = text.partition("/")
    try:
        if slash and unit == "s":
            return parse_size(size)
    except Unfit:
        pass
    raise Unfit(RATE_TEXT)


def format_rate(bytes_per_second: int) -> str:
    return f"{format_size(bytes_per_second)}/s"


def _duration_advice(text: str) -> str:
    if re.fullmatch(r"\d{1,9}", text, re.ASCII):
        return f" (did you mean {text}s or {text}m?)"
    if re.fullmatch(r"\d{1,9} *(min|mins|minutes?)", text, re.ASCII):
        return " (minutes are written m)"
    return ""


def _size_advice(text: str) -> str:
    number = re.fullmatch(r"(\d{1,18}) *([kKmMgGtT])[bB]?", text, re.ASCII)
    if number:
        letter = number.group(2).upper()
        return f" (did you mean {number.group(1)}{letter}iB?)"
    return ""
