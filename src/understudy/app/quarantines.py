"""What must not be believed of a resource: the marks in its repositories, and what this host remembers of them.

Memory counts where a repository has lost a mark, or never got it because it was away; and ``status`` asks no repository.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, cast

from understudy.plan.request import Choice
from understudy.repository.quarantine import Quarantine, QuarantinesFound
from understudy.vocabulary.errors import Refusal, UnderstudyError
from understudy.vocabulary.identifiers import Person, RepositoryName, ResourceName
from understudy.vocabulary.json import JsonObject

if TYPE_CHECKING:
    from understudy.app.installation import Installation

_MEMORY = "quarantine"


@dataclass(frozen=True, slots=True)
class _Memory:
    """Of one resource, of all its repositories."""

    marks: Mapping[str, Quarantine]
    lifted: frozenset[str]

    @property
    def standing(self) -> tuple[Quarantine, ...]:
        return tuple(mark for name, mark in sorted(self.marks.items()) if name not in self.lifted)


_NOTHING = _Memory({}, frozenset())


def quarantines_in(installation: Installation, resource: ResourceName, repository: RepositoryName) -> tuple[Quarantine, ...]:
    """What stands in the repository, and what stood in any when this host looked last. Nothing is read where nothing could be.

    Raises:
        Refusal: ``quarantine_unsure``.
        GiveUp, TryAgain: as the store does.
    """
    return _remembered_with(installation, resource, installation.repository(repository).quarantines(resource)).standing


def remembered_quarantines(installation: Installation, resource: ResourceName) -> tuple[Quarantine, ...]:
    """By the records alone."""
    return _memory_of(installation, resource).standing


def quarantined_since(installation: Installation, resource: ResourceName) -> datetime | None:
    """The earliest, by the records alone; None where nothing is."""
    return min((each.since for each in remembered_quarantines(installation, resource)), default=None)


def remember_quarantines(installation: Installation, resources: Iterable[ResourceName]) -> None:
    """What their repositories say now, for when one of them is away, or has lost it."""
    for resource in resources:
        for each in _found_of(installation, resource)[0].values():
            _remembered_with(installation, resource, each)


def chosen_from(
    installation: Installation, resource: ResourceName, repository: RepositoryName, choice: Choice
) -> tuple[Quarantine, ...]:
    """What keeps a restore from what lies there: nothing where a person said that it may be taken."""
    return () if choice.quarantined else quarantines_in(installation, resource, repository)


def carry_quarantines(installation: Installation, repository: RepositoryName) -> None:
    """Into a repository that was away when they were set, or lifted. Nothing is asked of it where this host remembers none."""
    there = installation.repository(repository)
    for resource in installation.resource_names():
        memory = _memory_of(installation, resource)
        if not memory.marks or repository not in installation.repository_names(resource):
            continue
        found = there.quarantines(resource)
        for name in sorted(memory.marks.keys() - {each.name for each in (*found.standing, *found.lifted)}):
            there.set_quarantine(memory.marks[name])
        for name in sorted(memory.lifted - {each.name for each in found.lifted}):
            there.lift_quarantine(resource, name, installation.records.controller_id(), installation.clock.now())


@dataclass(frozen=True, slots=True)
class ListedQuarantine:
    resource: ResourceName
    name: str
    since: datetime
    until: datetime
    lifted: bool
    timelines: tuple[int, ...]
    """Of a database: the newest that there was then, of each cluster."""
    there: tuple[RepositoryName, ...]
    """Where it is marked."""
    lacking: tuple[RepositoryName, ...]
    """Where it is not; those that could not be asked are neither."""


@dataclass(frozen=True, slots=True)
class AwayRepository:
    repository: RepositoryName
    resource: ResourceName
    code: str
    found: str
    hint: str


@dataclass(frozen=True, slots=True)
class QuarantineListing:
    quarantines: tuple[ListedQuarantine, ...]
    away: tuple[AwayRepository, ...]


def list_quarantines(installation: Installation, resource: str | None) -> QuarantineListing:
    """Also those that only this host remembers. Raises Refusal ``no_such_resource``."""
    if resource is not None:
        installation.resource(resource)
    listed: list[ListedQuarantine] = []
    away: list[AwayRepository] = []
    for name in [ResourceName(resource)] if resource else installation.resource_names():
        found, unasked = _found_of(installation, name)
        away += unasked
        memory = _memory_of(installation, name)
        for each in found.values():
            memory = _remembered_with(installation, name, each, memory)
        for mark in memory.marks.values():
            there = tuple(repository for repository, each in found.items() if mark in (*each.standing, *each.lifted))
            lacking = tuple(repository for repository in found if repository not in there)
            is_lifted = mark.name in memory.lifted
            listed.append(
                ListedQuarantine(
                    name, mark.name, mark.since, mark.until, is_lifted, (*map(int, mark.timelines.values()),), there, lacking
                )
            )
    return QuarantineListing(tuple(sorted(listed, key=lambda each: (each.resource, each.name))), tuple(away))


@dataclass(frozen=True, slots=True)
class Lifted:
    names: tuple[str, ...]
    repositories: tuple[RepositoryName, ...]
    away: tuple[AwayRepository, ...]


def lift_quarantines(installation: Installation, resource: str, wanted: str | None, by: Person) -> Lifted:
    """In every repository that can be asked; the others are told with the next backup.

    Raises:
        Refusal: ``no_such_resource``, ``no_such_quarantine``, ``signer_not_named``; where none can be asked, what the first says.
    """
    installation.resource(resource)
    installation.require_believed_signer()
    name = ResourceName(resource)
    found, away = _found_of(installation, name)
    if not found:
        quarantines_in(installation, name, installation.repository_names(name)[0])
    there = {mark.name: mark for each in found.values() for mark in (*each.standing, *each.lifted)}
    names = sorted({mark.name for each in found.values() for mark in each.standing}) if wanted is None else [wanted]
    if wanted is not None and wanted not in there:
        raise Refusal(
            "no_such_quarantine",
            found=f"nothing of {resource} is quarantined by the name {wanted}",
            expected=f"one of {', '.join(sorted(there))}" if there else "a name, where something is quarantined",
            hint="list them: understudy quarantine list",
        )
    for repository in found:
        for each in names:
            at = installation.repository(repository)
            at.set_quarantine(there[each])
            at.lift_quarantine(name, each, by, installation.clock.now())
        quarantines_in(installation, name, repository)
    return Lifted(tuple(names), tuple(found), tuple(away))


def _found_of(
    installation: Installation, name: ResourceName
) -> tuple[dict[RepositoryName, QuarantinesFound], list[AwayRepository]]:
    found: dict[RepositoryName, QuarantinesFound] = {}
    away: list[AwayRepository] = []
    for repository in installation.repository_names(name):
        try:
            found[repository] = installation.looked_into(repository).quarantines(name)
        except UnderstudyError as error:
            away.append(AwayRepository(repository, name, error.code, error.found, error.hint))
    return found, away


def _remembered_with(
    installation: Installation, resource: ResourceName, found: QuarantinesFound, before: _Memory | None = None
) -> _Memory:
    """What is known afterwards. A host that only looks writes nothing down; nor does one whose state cannot be written."""
    before = _memory_of(installation, resource) if before is None else before
    marks = {**before.marks, **{each.name: each for each in (*found.standing, *found.lifted)}}
    now = _Memory(marks, before.lifted | {each.name for each in found.lifted})
    if now != before and (installation.state / "state.db").exists():
        told: JsonObject = {
            "marks": [mark.to_json() for _, mark in sorted(now.marks.items())],
            "lifted": sorted(now.lifted),
        }
        installation.past.observe_if_possible(resource, _MEMORY, told)
    return now


def _memory_of(installation: Installation, resource: ResourceName) -> _Memory:
    if not (installation.state / "state.db").exists():
        return _NOTHING
    seen = installation.past.observed(resource, _MEMORY)
    if seen is None:
        return _NOTHING
    marks = map(Quarantine.from_json, cast("Sequence[JsonObject]", seen.value["marks"]))
    return _Memory({each.name: each for each in marks}, frozenset(cast("Sequence[str]", seen.value["lifted"])))
