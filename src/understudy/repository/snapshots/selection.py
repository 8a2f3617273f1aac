"""Which entries of a snapshot are wanted back."""

from __future__ import annotations

from dataclasses import dataclass

from understudy.ports.collection import printable
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import SnapshotLabel


@dataclass(frozen=True, slots=True)
class Selection:
    """At most one of the three; without any: all of them."""

    prefix: str | None = None
    """Those whose keys begin with it."""
    below: str | None = None
    """The directory of that key with all that lies in it, or the file of that key."""
    keys: frozenset[str] | None = None
    """Exactly these."""

    def __post_init__(self) -> None:
        if sum(each is not None for each in (self.prefix, self.below, self.keys)) > 1:
            raise ValueError("a prefix, a place below which, or exact keys: not several of them")

    def wants(self, key: str) -> bool:
        if self.prefix is not None:
            return key.startswith(self.prefix)
        if self.below is not None:
            return self.below in ("", ".") or key == self.below or key.startswith(f"{self.below.rstrip('/')}/")
        return self.keys is None or key in self.keys

    def text(self) -> str:
        """One for each selection, plain ASCII."""
        return ascii((self.prefix, self.below, sorted(self.keys) if self.keys is not None else None))

    def missing(self, found_keys: frozenset[str], label: SnapshotLabel) -> Refusal | None:
        """What to say where not all that is wanted is there. ``found_keys``: at least one of the wanted ones that are there."""
        if self.keys is not None:
            absent = [printable(key) for key in sorted(self.keys - found_keys)]
        else:
            name = self.prefix if self.prefix is not None else self.below
            absent = [] if found_keys or name is None else [printable(name)]
        if not absent:
            return None
        more = f", and {len(absent) - 1} more" if len(absent) > 1 else ""
        return Refusal(
            "entry_missing",
            found=f"{absent[0]!r}{more} is not in the snapshot {label}",
            expected="names as the snapshot holds them: whole, from its top",
            hint="it may have been made later, or removed before: try another snapshot (understudy backups RESOURCE)",
        )


EVERYTHING = Selection()
