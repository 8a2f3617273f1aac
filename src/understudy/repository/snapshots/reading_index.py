"""What a run that reads a snapshot knows: the wanted entries, and in which member of which part their contents lie."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from understudy.ports.collection import Entry, EntryKind, printable
from understudy.repository.signing import malformed
from understudy.repository.snapshots.catalog import OpenedSnapshot
from understudy.repository.snapshots.manifest import SealedPart
from understudy.repository.snapshots.part_contents import WantedMember
from understudy.repository.snapshots.scratch import ENTRY_COLUMNS, Row, Scratch, entry_of, entry_row
from understudy.repository.snapshots.selection import Selection
from understudy.vocabulary.identifiers import SnapshotLabel

_ADD_CONTENT = "insert or ignore into contents values (?, ?, ?)"
_ADD_ENTRY = "insert into entries values (?, ?, ?, ?, ?, ?, ?, ?)"
_LOADED = "the listing is here"
_LOADED_AT_ONCE = 1000
_PAGE = 1000


EMPTY_SHA256 = hashlib.sha256().hexdigest()


def reading_purpose(url: str, label: SnapshotLabel, select: Selection) -> str:
    return f"reading {url} {label} {select.text()}"


def is_loaded(index: Scratch) -> bool:
    return index.about(_LOADED) is not None


class ReadingIndex(Scratch):
    """Of the column ``changed`` in ``entries`` it makes: wanted."""

    def __init__(self, path: Path, opened: OpenedSnapshot, select: Selection) -> None:
        """
        Raises:
            GiveUp: ``scratch_unusable``.
        """
        self._opened = opened
        self._select = select
        super().__init__(path, reading_purpose(opened.store.url, opened.manifest.label, select))

    def load(self) -> None:
        """Take in the listing; nothing happens where an earlier attempt did.

        Raises:
            Refusal: ``entry_missing``.
            GiveUp: as ``OpenedSnapshot.listing`` does.
        """
        if is_loaded(self):
            return
        for table in ("parts", "contents", "entries"):
            self.run(f"delete from {table}")  # noqa: S608 - names of our own
        missing = self._select.missing(self._take_in(), self._opened.manifest.label)
        if missing is not None:
            raise missing
        self._give_links_their_files()
        self.run("delete from entries where changed = 0")
        self.run("create index if not exists entries_by_content on entries (sha256)")
        self.run("delete from contents where not exists (select 1 from entries where entries.sha256 = contents.sha256)")
        self.run("create index if not exists contents_by_part on contents (part, member)")
        self.note(_LOADED, "yes")
        self.commit()

    def needed_parts(self) -> list[tuple[int, SealedPart]]:
        """By their numbers here, ascending by name."""
        rows = self.rows(
            "select id, name, sealed_bytes, sealed_sha256, plain_bytes from parts "
            "where exists (select 1 from contents where contents.part = parts.id) order by name"
        )
        return [(number, SealedPart(*part)) for number, *part in rows]

    def members(self, part: int) -> Iterator[WantedMember]:
        """The wanted ones of a part, ascending."""
        sizes = "(select {}(size) from entries where entries.sha256 = contents.sha256)"
        query = (
            f"select member, lower(hex(sha256)), {sizes.format('min')}, {sizes.format('max')} "  # noqa: S608 - columns of our own, no value
            "from contents where part = ? and member > ? order by member limit ?"
        )
        page = self.rows(query, (part, -1, _PAGE))
        while page:
            yield from (WantedMember(*row) for row in page)
            page = self.rows(query, (part, page[-1][0], _PAGE))

    def names(self, sha256: str) -> Iterator[Entry]:
        """The wanted entries of that content, ascending by key."""
        query = f"select {ENTRY_COLUMNS} from entries where sha256 = ? and key >= ? order by key limit ?"  # noqa: S608 - columns of our own, no value
        page = self.rows(query, (bytes.fromhex(sha256), b"", _PAGE))
        while page:
            yield from map(entry_of, page)
            page = self.rows(query.replace(">=", ">"), (bytes.fromhex(sha256), page[-1][0], _PAGE))

    def without_content(self, *kinds: EntryKind) -> Iterator[Entry]:
        """The wanted entries of these kinds that lie in no part, ascending by key."""
        among = ", ".join(f"'{kind.value}'" for kind in kinds)
        query = f"select {ENTRY_COLUMNS} from entries where {{after}} and sha256 is null and kind in ({among})"  # noqa: S608 - columns of our own, no value
        return map(entry_of, self.pages(query))

    def entries(self) -> Iterator[Entry]:
        """All that are wanted, ascending by key."""
        return map(entry_of, self.pages(f"select {ENTRY_COLUMNS} from entries where {{after}}"))  # noqa: S608 - columns of our own, no value

    def contents(self) -> Iterator[tuple[Entry, str]]:
        """All that are wanted and have a content of their own, if an empty one, with its SHA-256, ascending by key."""
        query = f"select {ENTRY_COLUMNS}, lower(hex(sha256)) from entries where {{after}} and kind = 'file'"  # noqa: S608 - columns of our own, no value
        return ((entry_of(row[:-1]), row[-1] or EMPTY_SHA256) for row in self.pages(query))

    def count_entries(self) -> int:
        return self.number("select count(*) from entries")

    def content_bytes(self) -> int:
        return self.number("select sum(size) from entries where kind = 'file'")

    def _take_in(self) -> frozenset[str]:
        """Returns the wanted keys that were found, where they were asked for one by one; else one of them."""
        numbers = self.add_parts(self._opened.manifest.parts)
        found: set[str] = set()
        entries: list[Row] = []
        contents: list[Row] = []
        for listed in self._opened.listing():
            entry, placed = listed.entry, listed.placed
            wanted = self._select.wants(entry.key)
            if wanted and (not found or self._select.keys is not None):
                found.add(entry.key)
            digest = None
            if placed is not None:
                if placed.part not in numbers:
                    raise malformed(f"the listing names {placed.part}", "parts that the manifest names")
                digest = bytes.fromhex(placed.sha256)
                contents.append((digest, numbers[placed.part], placed.member))
            entries.append((*entry_row(entry), digest, int(wanted)))
            if len(entries) == _LOADED_AT_ONCE:
                self._keep(entries, contents)
        self._keep(entries, contents)
        return frozenset(found)

    def _keep(self, entries: list[Row], contents: list[Row]) -> None:
        self.run_each(_ADD_ENTRY, entries)
        self.run_each(_ADD_CONTENT, contents)
        entries.clear()
        contents.clear()

    def _give_links_their_files(self) -> None:
        """Of further names whose file is not wanted itself the first one becomes the file, and the others its further names."""
        orphans = self.rows(
            "select link, min(key) from entries as further where kind = 'hard_link' and changed = 1 and not exists "
            "(select 1 from entries as named where named.key = further.link and named.kind = 'file' and named.changed = 1) "
            "group by link"
        )
        for link, first in orphans:
            copied = "select size, fingerprint, attributes, sha256 from entries where key = ? and kind = 'file'"
            files = self.rows(copied, (link,))
            if not files:
                name = printable(link.decode("utf-8", "surrogatepass"))
                raise malformed(f"the listing has further names of {name!r}, and no such file", "a file for each further name")
            self.run("update entries set link = ? where kind = 'hard_link' and changed = 1 and link = ?", (first, link))
            becomes = "kind = 'file', link = x'', size = ?, fingerprint = ?, attributes = ?, sha256 = ?"
            self.run(f"update entries set {becomes} where key = ?", (*files[0], first))  # noqa: S608 - no value in it
