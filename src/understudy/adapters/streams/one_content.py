"""``Collection`` of the one content that a program hands over when it is asked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

from understudy.adapters.streams.spool import Spool
from understudy.adapters.streams.workplace import Workplace
from understudy.ports.collection import Entry, EntryKind
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.json import JsonObject

_MODE = "0600"


class OneContent(ABC):
    """The program is run by ``entries``, to its end: what it wrote is an entry only then, and what failed is none.

    The entry's fingerprint is its SHA-256: what is as it was the last time is not stored again.
    """

    def __init__(self, url: str, key: str, workplace: Workplace) -> None:
        self._url = url
        self._key = key
        self._workplace = workplace
        self._held: tuple[Entry, Spool] | None = None

    @property
    def url(self) -> str:
        return self._url

    @abstractmethod
    def _hand_over(self, spool: Spool) -> JsonObject:
        """Write the content into the spool, whole. Returns what is to be known of it besides."""

    def entries(self, known: Callable[[str], Entry | None] | None = None) -> Iterator[Entry]:
        self._held = None
        spool = Spool(self._workplace.scratch)
        began = self._workplace.clock.now()
        about = self._hand_over(spool)
        attributes: JsonObject = {"mode": _MODE, "mtime": f"{int(began.timestamp())}.{began.microsecond:06}000", **about}
        entry = Entry(self._key, EntryKind.FILE, spool.size_bytes, f"sha256:{spool.sha256()}", attributes=attributes)
        self._held = entry, spool
        yield entry

    def passed_over(self) -> tuple[str, ...]:
        return ()

    def look(self, key: str) -> Entry | None:
        return None if self._held is None or key != self._key else self._held[0]

    def read(self, entry: Entry) -> Iterator[bytes]:
        if self._held is None or entry.key != self._key:
            raise GiveUp(
                "entry_gone",
                found=f"{entry.key!r} is not held",
                expected="what the program handed over last",
                hint="ask for it anew: understudy backup",
            )
        yield from self._held[1].pieces()
