"""A collection and a target in memory, for whoever tests what stands on the ports; they pass the contract suites."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from understudy.ports.collection import Entry, EntryKind
from understudy.vocabulary.errors import GiveUp, Refusal, TryAgain
from understudy.vocabulary.identifiers import RunId

_PIECE_BYTES = 1024 * 1024


@dataclass
class MemoryCollection:
    """``put`` and ``remove`` are what other programs do. A content is given a new fingerprint with each ``put``."""

    held: dict[str, tuple[Entry, bytes]] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    reads: list[str] = field(default_factory=list)
    """Keys in the order in which their contents were asked for."""
    _versions: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def url(self) -> str:
        return "memory://collection"

    def put(self, key: str, content: bytes, **attributes: str) -> Entry:
        entry = Entry(key, EntryKind.FILE, len(content), f"v{next(self._versions)}", attributes=attributes)
        self.held[key] = (entry, content)
        return entry

    def put_entry(self, entry: Entry) -> None:
        """What has no content of its own: a directory, a link."""
        self.held[entry.key] = (entry, b"")

    def remove(self, key: str) -> None:
        del self.held[key]

    def entries(self, known: Callable[[str], Entry | None] | None = None) -> Iterator[Entry]:
        for key in list(self.held):
            if key in self.held:
                yield self.held[key][0]

    def passed_over(self) -> tuple[str, ...]:
        return self.left_out

    def look(self, key: str) -> Entry | None:
        found, _ = self.held.get(key, (None, b""))
        if found is not None and found.kind is EntryKind.HARD_LINK and found.link in self.held:
            return replace(self.held[found.link][0], key=key)
        return found

    def read(self, entry: Entry) -> Iterator[bytes]:
        self.reads.append(entry.key)
        content = self._unchanged(entry)
        for at in range(0, len(content), _PIECE_BYTES):
            yield content[at : at + _PIECE_BYTES]
        self._unchanged(entry)

    def _unchanged(self, entry: Entry) -> bytes:
        found = self.look(entry.key)
        if found is None:
            raise GiveUp("entry_gone", found=entry.key, expected="what was listed", hint="list again")
        if found.fingerprint != entry.fingerprint:
            raise TryAgain("entry_changed", found=found.fingerprint, expected=entry.fingerprint, hint="look, and read again")
        held, content = self.held[entry.key]
        return self.held[held.link][1] if held.kind is EntryKind.HARD_LINK else content


@dataclass
class MemoryTarget:
    """What is written is in ``written``; several may stand on one."""

    written: dict[str, tuple[Entry, bytes]] = field(default_factory=dict)
    mark: list[RunId] = field(default_factory=list)
    _writing: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return "memory://target"

    def claim(self, run: RunId) -> None:
        if self.mark != [run] and (self.mark or self.written):
            raise _not_empty(self.mark)
        self.mark[:] = [run]

    def takes(self, entry: Entry) -> bool:
        return True

    def write(self, entry: Entry, content: Iterable[bytes]) -> None:
        held = b"".join(content)
        with self._writing:
            if entry.kind is EntryKind.HARD_LINK:
                _, held = self._content(entry.link)
            self.written[entry.key] = (entry, held)

    def read_back(self, entry: Entry) -> Iterator[bytes]:
        _, content = self._content(entry.key)
        for at in range(0, len(content), _PIECE_BYTES):
            yield content[at : at + _PIECE_BYTES]

    def flush(self) -> None:
        pass

    def finish(self, entries: Iterable[Entry], run: RunId) -> None:
        if self.mark not in ([], [run]):
            raise _not_empty(self.mark)
        for entry in entries:
            assert entry.key in self.written or entry.key == "."
        self.mark.clear()

    def abandon(self, run: RunId, ours: Callable[[str], bool]) -> tuple[str, ...] | None:
        if self.mark != [run]:
            return None
        for key in [*filter(ours, self.written)]:
            del self.written[key]
        self.mark.clear()
        return tuple(self.written)

    def fell_short(self) -> tuple[str, ...]:
        return ()

    def _content(self, key: str) -> tuple[Entry, bytes]:
        if key not in self.written:
            raise GiveUp("entry_gone", found=key, expected="what was written", hint="write it first")
        return self.written[key]


def _not_empty(mark: list[RunId]) -> Refusal:
    return Refusal("target_not_empty", found=f"marks {mark}", expected="an empty one", hint="take another")
