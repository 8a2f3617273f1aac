"""What a command says, bounded and without secrets: masked while it streams, before anything of it is kept."""

from __future__ import annotations

from collections.abc import Iterable

from understudy.ports.commanding import KeptOutput

MASK = b"***"
HEAD_BYTES = 8 * 1024
TAIL_BYTES = 8 * 1024


class Mask:
    """Replaces every occurrence of every secret in a stream, wherever the pieces of it end.

    Where occurrences overlap, all that any of them covers is replaced: what one of two secrets leaves of the other would tell.
    """

    def __init__(self, values: Iterable[bytes]) -> None:
        self._values = tuple({each for each in values if each})
        self._longest = max(map(len, self._values), default=0)
        self._buffer = b""
        self._covered = 0
        """So much of the buffer's beginning belongs to an occurrence that was replaced already."""

    def feed(self, piece: bytes) -> bytes:
        """What is certain by now: an occurrence that begins in it is whole in the buffer."""
        if not self._values:
            return piece
        self._buffer += piece
        return self._let_go(max(0, len(self._buffer) - self._longest + 1))

    def end(self) -> bytes:
        """The rest; nothing follows."""
        return self._let_go(len(self._buffer))

    def _let_go(self, until: int) -> bytes:
        out = bytearray()
        at = self._covered
        for start, end in self._found_before(until):
            if start >= at:
                out += self._buffer[at:start] + MASK
            at = max(at, end)
        out += self._buffer[at:until]
        self._covered = max(0, at - until)
        self._buffer = self._buffer[until:]
        return bytes(out)

    def _found_before(self, until: int) -> list[tuple[int, int]]:
        """Where the occurrences lie that begin before it."""
        found: list[tuple[int, int]] = []
        for value in self._values:
            at = self._buffer.find(value)
            while 0 <= at < until:
                found.append((at, at + len(value)))
                at = self._buffer.find(value, at + 1)
        return sorted(found)


class Keeper:
    """The beginning and the end of what was said."""

    def __init__(self, values: Iterable[bytes]) -> None:
        self._mask = Mask(values)
        self._head = bytearray()
        self._tail = bytearray()
        self._cut_bytes = 0

    def take(self, piece: bytes) -> None:
        self._keep(self._mask.feed(piece))

    def kept(self) -> KeptOutput:
        """To be asked once, at the end."""
        self._keep(self._mask.end())
        if not self._cut_bytes:
            return KeptOutput(_readable(bytes(self._head + self._tail)), "", 0)
        return KeptOutput(_readable(bytes(self._head)), _readable(bytes(self._tail)), self._cut_bytes)

    def _keep(self, said: bytes) -> None:
        room = HEAD_BYTES - len(self._head)
        self._head += said[:room]
        self._tail += said[room:] if room < len(said) else b""
        cut = max(0, len(self._tail) - TAIL_BYTES)
        self._cut_bytes += cut
        del self._tail[:cut]


def _readable(said: bytes) -> str:
    """Lines stay lines; what would move a terminal's cursor or change its colours does not come through."""
    text = said.decode(errors="replace")
    return "".join(each if each.isprintable() or each in "\n\t" else " " for each in text)
