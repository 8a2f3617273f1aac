"""``synchronous_standby_names``, understood. Pure.

Source: PostgreSQL manual, "Replication" → ``synchronous_standby_names``, and ``syncrep_gram.y``: ``FIRST n (…)``, ``ANY n (…)``,
``n (…)`` or a bare list, which means ``FIRST 1``. Names compare without regard to case; ``*`` is every name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_WITH_COUNT = re.compile(r"\s*(?:(?P<method>first|any)\s+)?(?P<count>\d+)\s*\((?P<names>.*)\)\s*", re.IGNORECASE | re.DOTALL)
_NAME = re.compile(r'\s*(?:"(?P<quoted>(?:[^"]|"")*)"|(?P<bare>[^\s,"]+))\s*(?:,|$)')
_NEEDS_NO_QUOTES = re.compile(r"[a-z_][a-z0-9_$]*")
_KEYWORDS = frozenset({"any", "first"})
_EVERY = "*"


@dataclass(frozen=True, slots=True)
class SynchronousNames:
    """Whom commits wait for."""

    count: int
    """So many of the listed ones."""
    any_of: bool
    """Any ``count`` of them; else the first ones that are connected."""
    listed: tuple[str, ...]

    @classmethod
    def parse(cls, setting: str) -> SynchronousNames:
        """The server accepted the setting, so it is well-formed."""
        found = _WITH_COUNT.fullmatch(setting)
        text = found.group("names") if found else setting
        names = tuple(
            each.group("quoted").replace('""', '"') if each.group("quoted") is not None else each.group("bare")
            for each in _NAME.finditer(text.strip())
        )
        if not found:
            return cls(1 if names else 0, False, names)
        return cls(int(found.group("count")), (found.group("method") or "").lower() == "any", names)

    def names(self, standby: str) -> bool:
        return any(each == _EVERY or each.lower() == standby.lower() for each in self.listed)

    def always_waits_for(self, standby: str) -> bool:
        """Whether no commit is acknowledged without this one, whichever others are connected."""
        if self.any_of:
            return self._is_listed(standby) and _EVERY not in self.listed and self.count >= len(self.listed)
        # Whoever comes meets a star, so ours is certain only by its own name, and only as far as the count goes.
        return any(each.lower() == standby.lower() for each in self.listed[: self.count])

    def with_first(self, standby: str) -> str:
        """A value of the setting that waits for this one always, and for as many of the others as before."""
        others = [each for each in self.listed if each != _EVERY and each.lower() != standby.lower()]
        count = min(self.count, len(others)) + 1
        return f"FIRST {count} ({', '.join(map(_spelled, [standby, *others]))})"

    def _is_listed(self, standby: str) -> bool:
        return any(each.lower() == standby.lower() for each in self.listed)


def _spelled(name: str) -> str:
    if _NEEDS_NO_QUOTES.fullmatch(name) and name not in _KEYWORDS:
        return name
    return '"' + name.replace('"', '""') + '"'
