"""What a run that writes a snapshot knows: the last snapshot, the contents that are stored, and the new entries.

An attempt that was killed leaves it behind. The next one begins with new entries, and knows each content that lies in a part
which was stored to its end: under the same key and fingerprint it is not read again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from understudy.ports.collection import Entry, EntryKind
from understudy.repository.signing import malformed
from understudy.repository.snapshots.catalog import OpenedSnapshot
from understudy.repository.snapshots.listing import ListedEntry, Placed, key_bytes
from understudy.repository.snapshots.manifest import SealedPart
from understudy.repository.snapshots.scratch import ENTRY_COLUMNS, Row, Scratch, attributes_text, entry_of, entry_row
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import SnapshotLabel

_ADD_ENTRY = "insert or replace into entries values (?, ?, ?, ?, ?, ?, null, 0)"
_ADD_CONTENT = "insert or ignore into contents values (?, ?, ?)"
_ADD_KNOWN = "insert or replace into known values (?, ?, ?, ?, ?)"
_UNREAD = "kind = 'file' and size > 0 and sha256 is null"
_LOADED = "the last snapshot is known"
_ANEW = "nothing is known because"
_USELESS = ("part_corrupt", "part_missing", "document_malformed", "wrong_key")
"""What a listing is of that cannot be read and never will be."""
_LEARNT_AT_ONCE = 1000
_WRITTEN_AT_ONCE = 500


class WritingIndex(Scratch):
    def __init__(self, path: Path, label: SnapshotLabel, previous: OpenedSnapshot | None) -> None:
        """Of one snapshot. What the file holds of another, or of one that stood on another previous one, is dropped.

        Raises:
            GiveUp: ``scratch_unusable``.
        """
        before = f"{previous.store.url} {previous.manifest.label}" if previous else "nothing"
        super().__init__(path, f"writing {label} after {before}")
        self._read_since: list[tuple[bytes, bytes]] = []
        self._added_since: dict[bytes, tuple[int, int]] = {}
        """What is not written down yet: one by one it would take longer than reading the contents does."""

    def begin(self, previous: OpenedSnapshot | None, sizes_bytes: Mapping[str, int]) -> None:
        """Learn what the last snapshot holds, and what an earlier attempt at this one stored.

        Of a listing that is damaged nothing is learnt, and of a part that is not there any more neither: what it held is read and
        stored anew.

        Args:
            sizes_bytes: Of the parts that lie in the store and may be used, by name.

        Raises:
            GiveUp: as ``OpenedSnapshot.listing`` does, but for damage.
        """
        if self.about(_LOADED) is None:
            self._forget()
            if previous is not None:
                try:
                    self._learn(previous)
                except GiveUp as error:
                    if error.code not in _USELESS:
                        raise
                    self._forget()
                    self.note(_ANEW, f"the listing of {previous.manifest.label} is of no use ({error.code}: {error.found})")
            self.note(_LOADED, "yes")
        for number, name, size_bytes in self.rows("select id, name, sealed_bytes from parts where stored = 1"):
            if sizes_bytes.get(name) != size_bytes:
                self.run("update parts set stored = null where id = ?", (number,))
        self.run("delete from contents where part in (select id from parts where stored is null)")
        self.run("delete from parts where stored is null")
        self.run("delete from known where size > 0 and not exists (select 1 from contents where contents.sha256 = known.sha256)")
        self.run(
            "insert or replace into known select key, size, fingerprint, attributes, sha256 from entries "
            "join contents using (sha256) where fingerprint <> '' and changed = 0"
        )
        self.run("delete from entries")
        self.commit()

    def anew_because(self) -> str:
        """Why nothing of the last snapshot could be used; empty where it could."""
        return self.about(_ANEW) or ""

    def add_entries(self, entries: Iterable[Entry]) -> None:
        """The new ones. Those that are known by their fingerprint have their content already."""
        self.run_each(_ADD_ENTRY, (entry_row(entry) for entry in entries))
        self.run(
            "update entries set sha256 = (select known.sha256 from known where known.key = entries.key "
            "and known.fingerprint = entries.fingerprint and known.size = entries.size) "
            "where kind = 'file' and size > 0 and fingerprint <> ''"
        )
        self.commit()

    def known_entry(self, key: str) -> Entry | None:
        """A file as the last snapshot holds it, or as an earlier attempt at this one read it."""
        rows = self.rows("select size, fingerprint, attributes from known where key = ?", (key_bytes(key),))
        return entry_of((key_bytes(key), EntryKind.FILE.value, *rows[0][:2], b"", rows[0][2])) if rows else None

    def unread_bytes(self) -> int:
        return self.number(f"select sum(size) from entries where {_UNREAD}")  # noqa: S608 - no value in it

    def unread(self) -> Iterator[Entry]:
        """What has content that is not known, ascending by key. Each comes once, whatever becomes of it meanwhile."""
        columns = ENTRY_COLUMNS
        return map(entry_of, self.pages(f"select {columns} from entries where {{after}} and {_UNREAD}"))  # noqa: S608 - columns of our own, no value

    def put(self, entry: Entry) -> None:
        """In place of what was there; a content of it has not been read."""
        self.run(_ADD_ENTRY, entry_row(entry))

    def fingerprint_of_file(self, key: str) -> str | None:
        """None: no file of that name is an entry."""
        rows = self.rows("select fingerprint from entries where key = ? and kind = 'file'", (key_bytes(key),))
        return rows[0][0] if rows else None

    def leave_out(self, key: str) -> None:
        self.run("delete from entries where key = ?", (key_bytes(key),))

    def has_read(self, key: str, sha256: str) -> None:
        """The content of an entry as it was listed."""
        self._read_since.append((bytes.fromhex(sha256), key_bytes(key)))
        if len(self._read_since) >= _WRITTEN_AT_ONCE:
            self._write_down()

    def has_read_another(self, entry: Entry, sha256: str, changed: bool) -> None:
        """It is another than was listed. ``changed``: it became yet another meanwhile, so it is read again the next time."""
        values = (*entry_row(entry), bytes.fromhex(sha256), int(changed))
        self.run("insert or replace into entries values (?, ?, ?, ?, ?, ?, ?, ?)", values)

    def holds_content(self, sha256: str) -> bool:
        digest = bytes.fromhex(sha256)
        return digest in self._added_since or bool(self.rows("select 1 from contents where sha256 = ?", (digest,)))

    def begin_part(self, name: str) -> int:
        """A part that counts for nothing before ``part_stored``. Returns its number here."""
        return self.run("insert into parts (name) values (?)", (name,))

    def add_content(self, sha256: str, part: int, member: int) -> None:
        self._added_since[bytes.fromhex(sha256)] = (part, member)

    def part_stored(self, part: SealedPart) -> None:
        """From here on a killed attempt's successor counts on it."""
        self._write_down()
        self.run(
            "update parts set sealed_bytes = ?, sealed_sha256 = ?, plain_bytes = ?, stored = 1 where name = ?",
            (part.sealed_bytes, part.sealed_sha256, part.plain_bytes, part.name),
        )
        self.commit()

    def lost_links(self) -> list[Entry]:
        """Further names of files that are no entries any more, or became others; once everything else has been read."""
        columns = ENTRY_COLUMNS
        rows = self.rows(
            f"select {columns} from entries as further where kind = 'hard_link' and not exists "  # noqa: S608 - columns of our own, no value
            "(select 1 from entries as named where named.key = further.link and named.kind = 'file' "
            "and named.fingerprint = further.fingerprint)"
        )
        return [entry_of(row) for row in rows]

    def listed(self) -> Iterator[ListedEntry]:
        """Every entry, ascending by key, once all contents lie in parts that are stored."""
        self._write_down()
        names: dict[int, str] = dict(self.rows("select id, name from parts"))
        columns = ENTRY_COLUMNS
        query = f"select {columns}, hex(sha256), part, member, changed from entries left join contents using (sha256) "  # noqa: S608 - columns of our own, no value
        for *row, sha256, part, member, changed in self.pages(query + "where {after}"):
            placed = None if part is None else Placed(sha256.lower(), names[part], member)
            entry = entry_of(tuple(row))
            yield ListedEntry(replace(entry, fingerprint="") if changed else entry, placed, bool(changed))

    def used_parts(self) -> tuple[SealedPart, ...]:
        """Those that an entry refers to, ascending by name."""
        self._write_down()
        rows = self.rows(
            "select name, sealed_bytes, sealed_sha256, plain_bytes from parts where id in "
            "(select part from contents join entries using (sha256)) order by name"
        )
        return tuple(SealedPart(*row) for row in rows)

    def count_entries(self) -> int:
        return self.number("select count(*) from entries")

    def content_bytes(self) -> int:
        return self.number("select sum(size) from entries where kind = 'file'")

    def _write_down(self) -> None:
        self.run_each(_ADD_CONTENT, ((digest, *place) for digest, place in self._added_since.items()))
        self._added_since.clear()
        self.run_each("update entries set sha256 = ? where key = ?", self._read_since)
        self._read_since.clear()

    def _forget(self) -> None:
        for table in ("parts", "contents", "entries", "known"):
            self.run(f"delete from {table}")  # noqa: S608 - names of our own

    def _learn(self, previous: OpenedSnapshot) -> None:
        numbers = self.add_parts(previous.manifest.parts)
        known: list[Row] = []
        contents: list[Row] = []
        for listed in previous.listing():
            entry, placed, digest = listed.entry, listed.placed, None
            if placed is not None:
                if placed.part not in numbers:
                    raise malformed(f"the listing of {previous.manifest.label} names {placed.part}", "parts of its manifest")
                digest = bytes.fromhex(placed.sha256)
                contents.append((digest, numbers[placed.part], placed.member))
            if entry.fingerprint:
                known.append((key_bytes(entry.key), entry.size_bytes, entry.fingerprint, attributes_text(entry), digest))
            if len(contents) + len(known) >= _LEARNT_AT_ONCE:
                self._keep(known, contents)
        self._keep(known, contents)

    def _keep(self, known: list[Row], contents: list[Row]) -> None:
        self.run_each(_ADD_CONTENT, contents)
        self.run_each(_ADD_KNOWN, known)
        known.clear()
        contents.clear()
