"""Mark what was taken from a moment on, in every repository of the resource: nothing of it is to be believed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from understudy.ports.world import World
from understudy.repository.catalog import Repository
from understudy.repository.quarantine import Quarantine
from understudy.steps.codec import step_kind
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import UnderstudyError
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import RepositoryName, ResourceName, StepKey, SystemIdentifier
from understudy.vocabulary.json import Json, JsonObject
from understudy.vocabulary.phases import Phase
from understudy.vocabulary.wal import Timeline

QUARANTINED = "quarantined"
"""In the proof: the labels that are, by repository."""


@step_kind("quarantine_since")
@dataclass(frozen=True, slots=True)
class QuarantineSince:
    """Nothing that is stored is altered: the mark is an object of its own. The first repository must take it. A further one that
    is away is named, and gets it when it is next prepared for a backup.
    """

    resource: str
    kind: str
    """The resource's, such as ``postgres``."""
    repositories: tuple[str, ...]
    """The one that is restored from first."""
    since: str
    """ISO 8601: the first moment of which nothing is to be believed."""
    system_identifier: str | None = None
    """Of a database; likewise what follows."""
    segment_bytes: int = 0
    timeline: int = 0
    """That is replayed on; later ones may lie in the repository, too."""
    PHASE: ClassVar = Phase.FENCE

    @property
    def key(self) -> StepKey:
        return StepKey(f"{self.resource}/quarantine")

    @property
    def time_limit(self) -> timedelta:
        return timedelta(hours=1)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(
            world.clock, self.resource, f"what was taken of it since {self.since} is marked as not to be believed"
        )
        first, *others = (RepositoryName(name) for name in self.repositories)
        mark = self._mark(world, Repository.of(world, first))
        Repository.of(world, first).set_quarantine(mark)
        marked: dict[str, Json] = {first: self._concerned(Repository.of(world, first), mark)}
        not_marked: dict[str, Json] = {}
        for other in others:
            world.cancellation.raise_if_requested()
            try:
                Repository.of(world, other).set_quarantine(mark)
                marked[other] = self._concerned(Repository.of(world, other), mark)
            except UnderstudyError as error:
                not_marked[other] = f"{error.code}: {error.found}"
        hint = ""
        if not_marked:
            names = ", ".join(sorted(not_marked))
            hint = f"{names} could not be marked. The next backup from here does it; until then no other host knows of it there"
        proof: JsonObject = {"name": mark.name, "since": self.since, "until": mark.until.isoformat(), QUARANTINED: marked}
        return witness.done(proof, hint=hint, not_marked=not_marked)

    def _mark(self, world: World, repository: Repository) -> Quarantine:
        """The same whenever it is asked for: an attempt that was killed may have stored it."""
        name = f"{self.resource}-quarantine"
        done = world.receipts.read(name)
        if done is None:
            timelines: dict[SystemIdentifier, Timeline] = {}
            if self.system_identifier is not None:
                system = SystemIdentifier(self.system_identifier)
                archive = repository.wal(ResourceName(self.resource), system, self.segment_bytes)
                timelines[system] = max(Timeline(self.timeline), *archive.contents().timelines(), key=int)
            since = datetime.fromisoformat(self.since)
            mark = Quarantine(ResourceName(self.resource), since, world.clock.now(), world.run, timelines)
            done = mark.to_json()
            world.receipts.write(name, done)
        return Quarantine.from_json(done)

    def _concerned(self, repository: Repository, mark: Quarantine) -> list[Json]:
        resource = ResourceName(self.resource)
        if self.system_identifier is not None:
            return [each.label.text for each in repository.backups(resource).usable if mark.covers(each)]
        return [each.label.text for each in repository.snapshots(self.kind, resource).found().usable if mark.covers(each)]
