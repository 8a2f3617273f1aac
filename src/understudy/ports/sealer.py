"""Encryption to public keys, as a filter over a stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from understudy.vocabulary.secret import Secret


class Sealer(Protocol):
    """Seals to age recipients and opens with an age identity (the age v1 format, binary).

    Streams, in bounded memory, and outside this process's interpreter lock. Closing the returned iterator early ends the
    work and frees what it holds.
    """

    def seal(self, chunks: Iterable[bytes], recipients: Sequence[str]) -> Iterator[bytes]:
        """The sealed stream. When ``chunks`` raises, so does this, and the sealed bytes so far are no valid file."""
        ...

    def open(self, chunks: Iterable[bytes], identity: Secret) -> Iterator[bytes]:
        """The plain stream. It can raise after having produced bytes: use them only once it ended well.

        Raises:
            GiveUp: ``wrong_key`` (no identity matches), ``sealed_corrupt`` (changed, or cut off).
        """
        ...
