"""Parts of snapshots that were found damaged, so that no later snapshot uses them: their size alone tells nothing of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import cast

from understudy.app.installation import Installation
from understudy.plan.following import DAMAGE
from understudy.plan.plan import Procedure
from understudy.records.run import RunState
from understudy.repository.snapshots.reading import PART_IN_HAND
from understudy.repository.snapshots.units import PARTS_FOLDER
from understudy.vocabulary.identifiers import RepositoryName, ResourceName
from understudy.vocabulary.json import Json

PART_DAMAGE = (*DAMAGE, "document_malformed")
"""The codes of what is found of a part itself. Another key or a store that is away is none."""


def damaged_parts(installation: Installation, resource: ResourceName) -> frozenset[str]:
    """Their names, as ``verify`` and restores found them in any of the resource's repositories: a part that is damaged in one
    of them is not used by the next snapshot, so that its copy is whole in every one.
    """
    names = installation.repository_names(resource)
    noted = (
        _noted(installation, repository, resource) - _whole_since(installation, repository, resource) for repository in names
    )
    read_back = (_read_back(installation, repository, resource) for repository in names)
    return frozenset().union(_found_by_restores(installation, resource), *noted, *read_back)


def note_checked(
    installation: Installation,
    repository: RepositoryName,
    resource: ResourceName,
    damaged: Collection[str],
    whole: Collection[str],
) -> None:
    """What ``verify`` found of parts in one repository. Of those that it did not look at, what was noted before stays.

    Nothing where nothing is recorded: a host that only looks. Nor where the state cannot be written: what was found is told all
    the same.
    """
    if not (installation.state / "state.db").exists():
        return
    before = _noted(installation, repository, resource)
    now = before - set(whole) | set(damaged)
    if now != before:
        installation.past.observe_if_possible(resource, _kind(repository), {"parts": list[Json](sorted(now))})


def _noted(installation: Installation, repository: RepositoryName, resource: ResourceName) -> frozenset[str]:
    seen = installation.past.observed(resource, _kind(repository))
    return frozenset() if seen is None else frozenset(cast("Sequence[str]", seen.value["parts"]))


def _whole_since(installation: Installation, repository: RepositoryName, resource: ResourceName) -> frozenset[str]:
    """Parts that were read whole after it was noted what is damaged."""
    seen = installation.past.observed(resource, _kind(repository))
    if seen is None:
        return frozenset()
    readings = installation.past.readings.of(repository, resource)
    whole = (each.unit for each in readings if each.fault is None and each.read is not None and each.read > seen.at)
    return frozenset(unit.removeprefix(f"{PARTS_FOLDER}/") for unit in whole)


def _read_back(installation: Installation, repository: RepositoryName, resource: ResourceName) -> Iterator[str]:
    for reading in installation.past.readings.damaged(repository, resource):
        folder, _, name = reading.unit.partition("/")
        if folder == PARTS_FOLDER:
            yield name


def _found_by_restores(installation: Installation, resource: ResourceName) -> Iterator[str]:
    """A restore goes on from another copy, and its evidence names the part that it could not use."""
    for run in installation.past.history.of((Procedure.RESTORE,), RunState.FAILED):
        for step in installation.past.steps(run):
            if step.key.startswith(f"{resource}/") and step.error is not None and step.evidence is not None:
                part = step.evidence.proof.get(PART_IN_HAND)
                if part is not None and step.error.code in PART_DAMAGE:
                    yield str(part)


def _kind(repository: RepositoryName) -> str:
    return f"damaged-parts:{repository}"
