"""A snapshot's listing: every entry as a line of JSON, ascending by key, so that neither writing nor reading holds it in memory.

Names of files may be no UTF-8: JSON carries such bytes as the escapes of surrogates, and every line is plain ASCII.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from understudy.ports.collection import Entry, EntryKind, printable
from understudy.repository.documents import Fields
from understudy.repository.signing import malformed, parse_json
from understudy.repository.snapshots.keys import label_of_part

_WHAT = "a line of the listing"
_PIECE_BYTES = 1024 * 1024
_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)
LONGEST_LINE_BYTES = 16 * 1024 * 1024
"""A key and all its attributes; whoever writes refuses more, whoever reads holds no more."""


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a content lies, and what it must be."""

    sha256: str
    part: str
    """The part's name."""
    member: int
    """The name of the member in the part's archive, from 1."""


@dataclass(frozen=True, slots=True)
class ListedEntry:
    entry: Entry
    placed: Placed | None
    """None for what has no content: directories, links, empty files."""
    changed_while_read: bool = False
    """It changed each time it was read: what was kept came whole, but may be of no single moment."""


def key_bytes(key: str) -> bytes:
    """What listings are sorted by. No two keys have the same, whatever they hold."""
    return key.encode("utf-8", "surrogatepass")


def encode_line(listed: ListedEntry) -> bytes:
    """The entry's only form, with its line end.

    Raises:
        ValueError: longer than ``LONGEST_LINE_BYTES``; a content without its place, or the reverse.
    """
    entry = listed.entry
    if (listed.placed is not None) != has_content(entry):
        raise ValueError(f"{printable(entry.key)!r}: {entry.size_bytes} bytes, and its place is {listed.placed}")
    line: dict[str, object] = {"key": entry.key, "kind": entry.kind.value, "attributes": entry.attributes}
    if entry.kind is EntryKind.FILE:
        line |= {"size_bytes": entry.size_bytes, "fingerprint": entry.fingerprint}
    elif entry.kind is not EntryKind.DIRECTORY:
        line["link"] = entry.link
    if listed.placed is not None:
        line |= {"sha256": listed.placed.sha256, "part": listed.placed.part, "member": listed.placed.member}
    if listed.changed_while_read:
        line["changed_while_read"] = True
    text = _JSON.encode(line).encode() + b"\n"
    if len(text) > LONGEST_LINE_BYTES:
        raise ValueError(f"{printable(entry.key[:100])!r}: {len(text)} bytes of attributes")
    return text


def encode_listing(entries: Iterable[ListedEntry]) -> Iterator[bytes]:
    """The listing's plain bytes, in pieces of about 1 MiB. The entries come ascending by ``key_bytes``."""
    lines: list[bytes] = []
    size_bytes = 0
    for listed in entries:
        line = encode_line(listed)
        lines.append(line)
        size_bytes += len(line)
        if size_bytes >= _PIECE_BYTES:
            yield b"".join(lines)
            lines, size_bytes = [], 0
    if lines:
        yield b"".join(lines)


def decode_listing(pieces: Iterable[bytes]) -> Iterator[ListedEntry]:
    """Strictly: every line whole and known, every key once, ascending.

    Raises:
        GiveUp: ``document_malformed``.
    """
    last: bytes | None = None
    for line in _lines(pieces):
        listed = decode_line(line)
        key = key_bytes(listed.entry.key)
        if last is not None and key <= last:
            raise malformed(f"the listing holds {printable(listed.entry.key)!r} out of order", "keys ascending, each once")
        last = key
        yield listed


def decode_line(line: bytes) -> ListedEntry:
    """
    Raises:
        GiveUp: ``document_malformed``.
    """
    fields = Fields(parse_json(line), _WHAT)
    try:
        kind = EntryKind(fields.text("kind"))
    except ValueError as error:
        raise malformed(f"{_WHAT}: {error}") from None
    is_file = kind is EntryKind.FILE
    entry = Entry(
        key=fields.text("key"),
        kind=kind,
        size_bytes=fields.number("size_bytes") if is_file else 0,
        fingerprint=fields.text("fingerprint") if is_file else "",
        link="" if is_file or kind is EntryKind.DIRECTORY else fields.text("link"),
        attributes=fields.free_form("attributes"),
    )
    placed = _placed(fields) if has_content(entry) else None
    changed = fields.has("changed_while_read") and fields.flag("changed_while_read")
    fields.finish()
    return ListedEntry(entry, placed, changed)


def _placed(fields: Fields) -> Placed:
    placed = Placed(fields.digest("sha256"), fields.text("part"), fields.number("member"))
    if label_of_part(placed.part) is None:
        raise malformed(f"{_WHAT}: part is {placed.part!r}", "the name of a part")
    return placed


def has_content(entry: Entry) -> bool:
    """What is empty lies nowhere."""
    return entry.kind is EntryKind.FILE and entry.size_bytes > 0


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines
        if len(rest) > LONGEST_LINE_BYTES:
            raise malformed(f"{_WHAT} of more than {LONGEST_LINE_BYTES} bytes")
    if rest:
        raise malformed("the listing ends within a line", "a line end behind each entry")
