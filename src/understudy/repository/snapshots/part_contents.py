"""The contents of a part that are wanted, one after another, as its archive is opened."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from understudy.repository.sealing import part_corrupt
from understudy.repository.signing import malformed
from understudy.repository.snapshots.catalog import OpenedSnapshot
from understudy.repository.snapshots.manifest import SealedPart
from understudy.repository.tar_stream import MemberKind, TarMember, read_members
from understudy.vocabulary.errors import GiveUp


@dataclass(frozen=True, slots=True)
class WantedMember:
    """One content that the listing names, by the member of the part's archive that holds it."""

    number: int
    sha256: str
    smallest_bytes: int
    largest_bytes: int
    """Of all its names: the same, unless the listing is wrong."""


@dataclass(frozen=True, slots=True)
class StoredContent:
    """``pieces`` raises ``part_corrupt`` at its end, before anybody can take it for whole, unless it is what the listing says."""

    sha256: str
    size_bytes: int
    pieces: Iterator[bytes]


def contents_of(
    opened: OpenedSnapshot, part: SealedPart, plain: Iterable[bytes], members: Iterator[WantedMember]
) -> Iterator[StoredContent]:
    """
    Args:
        plain: The part's archive, as ``OpenedSnapshot.read_part``; read to its end, where its own digest is compared.
        members: The wanted ones, ascending.

    Raises:
        GiveUp: ``part_incomplete``: a wanted member is not there; ``document_malformed``: it is of another size than the listing
            says; and as ``plain`` and ``read_members`` do.
    """
    key = opened.manifest.keys.part(part.name)
    wanted = next(members, None)
    for member, content in read_members(plain):
        if wanted is None or member.path != str(wanted.number):
            continue
        if member.kind is not MemberKind.FILE:
            raise _incomplete(f"{key}: member {wanted.number} is a {member.kind}")
        if not wanted.smallest_bytes == wanted.largest_bytes == member.size_bytes:
            sizes = f"{wanted.smallest_bytes} to {wanted.largest_bytes} bytes"
            raise malformed(f"the listing says {sizes} of {key}, member {wanted.number}", f"{member.size_bytes} bytes")
        yield StoredContent(wanted.sha256, member.size_bytes, compared(content, wanted.sha256, _differs(key, member)))
        wanted = next(members, None)
    if wanted is not None:
        raise _incomplete(f"{key}: there is no member {wanted.number}")


def compared(pieces: Iterable[bytes], sha256: str, differs: Callable[[str], GiveUp]) -> Iterator[bytes]:
    """The pieces. Raises before anybody can take them for whole what ``differs`` makes of another digest."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
        yield piece
    if not hmac.compare_digest(digest.hexdigest(), sha256):
        raise differs(digest.hexdigest())


def _differs(key: str, member: TarMember) -> Callable[[str], GiveUp]:
    return lambda found: part_corrupt(key, f"member {member.path} has SHA-256 {found}, not the one that the listing says")


def _incomplete(found: str) -> GiveUp:
    return GiveUp(
        "part_incomplete",
        found=found,
        expected="every content that the listing names",
        hint="restore from another repository, or from another snapshot; a new one that uses nothing of it: "
        "understudy backup RESOURCE --full",
    )
