"""Encryption to public keys, as a filter over a stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from understudy.vocabulary.sealing import Sealing
from understudy.vocabulary.secret import Secret

HEAD_BYTES = 64 * 1024
"""In the first of these it is told for whom a stream is sealed."""


class Sealer(Protocol):
    """Seals to recipients (public keys) and opens with an identity (private keys), in one format.

    Streams, in bounded memory, and outside this process's interpreter lock; several at once, from several threads. Closing the
    returned iterator early ends the work and frees what it holds.
    """

    @property
    def sealing(self) -> Sealing:
        """The format: age v1, binary; or OpenPGP, binary, AES-256."""
        ...

    def seal(self, chunks: Iterable[bytes], recipients: Sequence[str]) -> Iterator[bytes]:
        """The sealed stream. When ``chunks`` raises, so does this, and the sealed bytes so far are no valid file.

        Raises:
            GiveUp: ``recipient_missing`` (none), ``recipient_malformed``, ``recipient_unusable`` (nothing can be sealed to it);
                at the latest when the stream ends.
        """
        ...

    def open(self, chunks: Iterable[bytes], identity: Secret) -> Iterator[bytes]:
        """The plain stream. It can raise after having produced bytes: use them only once it ended well.

        Raises:
            GiveUp: ``wrong_key`` (no identity matches), ``sealed_corrupt`` (changed, or cut off), ``identity_malformed``.
        """
        ...

    def opened_by(self, head: bytes, identity: Secret) -> str:
        """The recipient, as the stack file names it, that the identity opens a sealed stream as.

        Args:
            head: The stream's first ``HEAD_BYTES``, or all of a shorter one.

        Raises:
            GiveUp: as ``open``.
        """
        ...
