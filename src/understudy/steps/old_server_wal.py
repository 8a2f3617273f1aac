"""What the old server had written and nobody received, out of its data directory into a repository."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from understudy.ports.wal_remains import OLD_WAL_UNUSABLE, HeldWal, Remains
from understudy.ports.world import World
from understudy.repository.catalog import Repository
from understudy.repository.wal_archive import WAL_CONFLICT, WAL_HOLE
from understudy.repository.wal_contents import WalContents
from understudy.steps.spooled_wal import contents_of
from understudy.steps.wal_shipping import ship_source
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import RepositoryName, ResourceName, SystemIdentifier
from understudy.vocabulary.json import JsonObject
from understudy.vocabulary.pieces import PIECE_BYTES
from understudy.vocabulary.sizes import readable_size
from understudy.vocabulary.wal import Timeline

_NOT_TAKEN = frozenset({OLD_WAL_UNUSABLE, WAL_CONFLICT, WAL_HOLE})
_UNSEEN = frozenset({"place_denied", "place_fault"})


def held_wal(contents: WalContents) -> HeldWal:
    reaches = {each: end for each in contents.timelines() if (end := contents.reaches(each)) is not None}
    newest = {segment.timeline: segment for segment in contents.segments}  # which are in ascending order
    return HeldWal(contents.segment_bytes, frozenset(newest.values()), reaches)


@dataclass(frozen=True, slots=True)
class Brought:
    """``fault`` says why it is not all that the old server had written; empty where it is, or nothing is there."""

    directory: str
    segments: int = 0
    taken_bytes: int = 0
    reaches: str | None = None
    """Where the old server's WAL ends."""
    fault: str = ""
    silent: bool = False
    """There is nothing to tell a person: where the server's disk was lost, that is known."""

    @property
    def note(self) -> str:
        """For people; empty where there is nothing to tell."""
        if self.silent:
            return ""
        said = []
        if self.taken_bytes:
            said.append(
                f"{readable_size(self.taken_bytes)} of WAL that nobody had received, up to {self.reaches}, "
                f"came from the old server's {self.directory}/pg_wal"
            )
        if self.fault:
            said.append(f"what else the old server had written is not taken: {self.fault}")
        return "; ".join(said)

    def to_json(self) -> JsonObject:
        return {
            "directory": self.directory,
            "segments": self.segments,
            "taken_bytes": self.taken_bytes,
            "reaches": self.reaches,
            "fault": self.fault,
        }


@dataclass(frozen=True, slots=True)
class OldServerWal:
    """Of one cluster, in the data directories that the old server may have left."""

    resource: str
    system_identifier: str
    segment_bytes: int
    timeline: int
    """On which the recovery ends."""
    directories: tuple[str, ...]
    """Where the old server's data stood, or were set aside by earlier runs of the same request."""
    _seen: list[tuple[str, HeldWal, Remains]] = field(default_factory=list, init=False, repr=False, compare=False)
    """Most repositories hold the same: checking much WAL takes a while."""

    def bring_into(self, world: World, repository: str, *, first: bool) -> tuple[Brought, ...]:
        """Into a repository that holds all of the spool. Done twice, the second time finds nothing more.

        ``first``: it is the one that is restored from, and what it lacked at the first attempt is what is told.

        Nothing that is wrong with the old server's files is a failure. Raises what the repository's store does, and Cancelled.
        """
        found = tuple(self._bring(world, repository, each, first=first) for each in self._places(world))
        return found or tuple(
            Brought(each, silent=True, fault="no data of the old server are there") for each in self.directories
        )

    def _places(self, world: World) -> Iterator[str]:
        """Those that hold something that is not a run's own work; what this run set aside meanwhile, where it lies now."""
        for directory in self.directories:
            try:
                facts = world.places.facts(directory)
                aside = world.places.aside(directory, world.run)
            except GiveUp as error:
                if error.code not in _UNSEEN:
                    raise
                yield directory  # which the next look tells
                continue
            if aside is not None:
                yield aside
            elif facts.exists and not facts.empty and facts.claimed_by is None:
                yield directory

    def _bring(self, world: World, repository: str, directory: str, *, first: bool) -> Brought:
        place, name = Repository.of(world, RepositoryName(repository)), ResourceName(self.resource)
        contents = place.wal(name, SystemIdentifier(self.system_identifier), self.segment_bytes).contents()
        try:
            remains = self._look(world, directory, contents)
            if first:
                self._note(world, directory, contents, remains)
            ship_source(world, remains.source, self.resource, repository, self.system_identifier, self.segment_bytes)
        except GiveUp as error:
            if error.code not in _NOT_TAKEN:
                raise
            another = "it is another history than the repository's: " if error.code == WAL_CONFLICT else ""
            return Brought(directory, fault=f"{another}{error.found}")
        noted = world.receipts.read(self._receipt(directory)) or {}
        segments, taken_bytes = int(str(noted.get("segments", 0))), int(str(noted.get("taken_bytes", 0)))
        return Brought(directory, segments, taken_bytes, str(remains.ends), remains.fault)

    def _look(self, world: World, directory: str, contents: WalContents) -> Remains:
        held, read = held_wal(contents), count()
        for place, seen, remains in self._seen:
            if (place, seen) == (directory, held):
                return remains

        def between_pieces() -> None:
            world.cancellation.raise_if_requested()
            world.progress.report("reading the old server's WAL", next(read) * PIECE_BYTES)

        system, timeline = SystemIdentifier(self.system_identifier), Timeline(self.timeline)
        remains = world.remains.look(directory, system, held, timeline, between_pieces)
        self._seen.append((directory, held, remains))
        return remains

    def _note(self, world: World, directory: str, contents: WalContents, remains: Remains) -> None:
        """Before the first byte is stored: an attempt after a kill finds less to do, and tells the same."""
        if world.receipts.read(self._receipt(directory)) is not None:
            return
        left = contents_of(remains.source, self.segment_bytes)
        lacking = {segment for segment in left.segments if not contents.holds(segment)}
        lacking |= {each for each, reach in left.tail_reaches().items() if reach > contents.tail_reaches().get(each, 0)}
        record: JsonObject = {"segments": len(lacking), "taken_bytes": contents.bytes_lacking(left)}
        world.receipts.write(self._receipt(directory), record)

    def _receipt(self, directory: str) -> str:
        place = self.directories.index(directory) if directory in self.directories else 0
        return f"{self.resource}-old-server-wal" + (f"-{place}" if place else "")
