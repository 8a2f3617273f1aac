"""What lies under names and can be copied away and put back: the files of a directory, the objects of a bucket.

Two sides: ``Collection`` is what is protected, ``CollectionTarget`` is what a snapshot is restored into. Neither knows how
snapshots are stored.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from understudy.vocabulary.identifiers import RunId
from understudy.vocabulary.json import JsonObject

_TOLD_AT_MOST = 100
RDB_KEY = "dump.rdb"
"""Of the one content of a Redis server; what Redis itself calls it. What was counted is ``redis`` among its attributes."""


class EntryKind(StrEnum):
    FILE = "file"
    """Has content: a regular file, an object of a bucket."""
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    HARD_LINK = "hard_link"
    """A further name of a file that has its own entry; ``link`` is that entry's key, ``fingerprint`` that entry's fingerprint.
    Where that entry was left out, or became another meanwhile, ``look`` tells this name as the file that it is.
    """


@dataclass(frozen=True, slots=True)
class Entry:
    """One name, and everything about it but its content."""

    key: str
    """Relative, ``/``-separated for files, anything for objects; file names that are no UTF-8 hold surrogates (``os.fsdecode``).
    The directory itself, whose owner and mode are kept, too, is ``.``.
    """
    kind: EntryKind
    size_bytes: int = 0
    """Of the content; 0 for what has none."""
    fingerprint: str = ""
    """Equal under the same key: the content is the same, too. Empty: it cannot be told without reading."""
    link: str = ""
    attributes: JsonObject = field(default_factory=dict)
    """What is put back besides the content: mode, owner, times, extended attributes; content type, metadata, tags."""


def is_top(entry: Entry) -> bool:
    """Whether it is the directory itself, and nothing in it. An object may have the same key."""
    return entry.key == "." and entry.kind is EntryKind.DIRECTORY


def printable(text: str) -> str:
    """With what names may hold and neither a terminal nor a file takes as it stands (line ends, surrogates) written out."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


class FirstHundred:
    """What is told of many: the first hundred, printable, then ``…``. Safe to use from several threads."""

    def __init__(self) -> None:
        self._told: list[str] = []
        self._adding = threading.Lock()

    def add(self, text: str) -> None:
        with self._adding:
            if len(self._told) <= _TOLD_AT_MOST:
                self._told.append(printable(text) if len(self._told) < _TOLD_AT_MOST else "…")

    def told(self) -> tuple[str, ...]:
        with self._adding:
            return tuple(self._told)


class Collection(Protocol):
    """What is protected. Every failure is in the error tree: ``TryAgain("source_unreachable")`` for what passes by itself,
    ``GiveUp`` with ``source_denied``, ``source_missing``, ``source_unreadable`` or, of a bucket that bears a run's mark,
    ``source_being_restored``: not all of it is there.
    """

    @property
    def url(self) -> str:
        """Where it lies, to show to people, without credentials."""
        ...

    def entries(self, known: Callable[[str], Entry | None] | None = None) -> Iterator[Entry]:
        """Every entry once, in any order, without holding them all in memory. What vanishes meanwhile is left out; what is made
        meanwhile may be. Entries of kinds that cannot be kept (sockets, devices) are left out and counted by ``passed_over``.

        Args:
            known: What the last snapshot holds under a key; called in the thread that iterates. Where its fingerprint is what
                lies there, it may be told again instead of asking for its attributes: a bucket takes a request for each.
        """
        ...

    def passed_over(self) -> tuple[str, ...]:
        """Keys (a hundred, then ``…``) that the last ``entries`` left out because of what they are, each with the reason."""
        ...

    def look(self, key: str) -> Entry | None:
        """The entry as it is now, never as ``HARD_LINK``; None when it is gone."""
        ...

    def read(self, entry: Entry) -> Iterator[bytes]:
        """The content, in pieces of at most 1 MiB, exactly as ``entry.fingerprint`` and ``size_bytes`` say.

        Raises:
            TryAgain: ``entry_changed``: it is another by now, or became another while it was read; pieces that came before are
                void. Ask ``look``, and read what it says.
            GiveUp: ``entry_gone``: it was removed.
        """
        ...


class Staging(Protocol):
    """What a collection wrote on this host to be read from, of one resource, for one run."""

    def discard(self) -> None:
        """It is removed, and what writes to it is ended, also of an attempt that was killed."""
        ...


class CollectionTarget(Protocol):
    """What a snapshot is restored into. Only what nobody else uses: ``claim`` says so."""

    @property
    def url(self) -> str: ...

    def claim(self, run: RunId) -> None:
        """Look that it is empty, or this run's own, and mark it as this run's. Before any ``write`` of this process.

        Raises:
            Refusal: ``target_not_empty``.
        """
        ...

    def takes(self, entry: Entry) -> bool:
        """False, and told by ``fell_short``, for what can have no name here, although it had one where it came from: it is
        neither written nor read back.
        """
        ...

    def write(self, entry: Entry, content: Iterable[bytes]) -> None:
        """Put the entry there, whole or not at all; twice is the same as once. Parents that are missing are made. What
        ``content`` raises comes through, and nothing was written.

        Safe to call from several threads at once, for different keys.

        Raises:
            GiveUp: ``target_full``, ``target_unwritable``, ``target_denied``; ``target_unexpected``: something that is not ours
                is in the way; ``entry_refused``: its key leads out of the target, or its attributes are none;
                ``entry_gone``: of a hard link, the file is not there.
            TryAgain: ``target_unreachable``.
        """
        ...

    def read_back(self, entry: Entry) -> Iterator[bytes]:
        """The content that lies there now: for comparing, and for writing the same content under a second key.

        Raises:
            GiveUp: ``entry_gone``.
        """
        ...

    def flush(self) -> None:
        """Everything that was written until now survives the machine: for noting down that it need not be written again."""
        ...

    def finish(self, entries: Iterable[Entry], run: RunId) -> None:
        """After every ``write``: what a later ``write`` would undo (times and modes of directories), then durable on the disks,
        then the mark is taken off. ``entries``: all that were written, in any order. Twice is the same as once.

        Raises:
            Refusal: ``target_not_empty``: it bears another run's mark.
        """
        ...

    def abandon(self, run: RunId, ours: Callable[[str], bool]) -> tuple[str, ...] | None:
        """Remove what this run wrote, the mark last; only where that is this run's: else nothing is touched, and None.

        Args:
            ours: Whether this run may have written that key. What it raises comes through, and the mark stays. It is not asked
                where nobody else could write since ``claim``: everything in a directory is ours.
        Returns:
            Keys (a hundred, then ``…``) of what others put there meanwhile. It stays.
        """
        ...

    def fell_short(self) -> tuple[str, ...]:
        """Keys (a hundred, then ``…``) whose attributes ``write`` and ``finish`` could not put back as they were, each with what
        is missing: owners, where this does not run as root.
        """
        ...


class CollectionTargets(Protocol):
    """The places that the snapshots of one resource can be restored into."""

    def at(self, place: str) -> CollectionTarget:
        """The one at an address: an absolute directory, or ``s3://bucket/prefix``. Nothing is looked at yet."""
        ...
