"""A further repository that is left out of a backup because it is away: decided once in a run, by the first step to meet it."""

from __future__ import annotations

from understudy.ports.world import World
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import UnderstudyError
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.json import JsonObject


def leave_out(world: World, witness: Witness, resource: str, repository: str, error: UnderstudyError) -> Evidence:
    """From here on no step of this run counts on the repository, also when it comes back meanwhile."""
    record: JsonObject = {"code": error.code, "found": error.found}
    world.receipts.write(_receipt(resource, repository), record)
    return _skipped(witness, resource, repository, record)


def left_out(world: World, witness: Witness, resource: str, repository: str) -> Evidence | None:
    """What there is to say of a repository that was left out; None for one that was not."""
    why = world.receipts.read(_receipt(resource, repository))
    return None if why is None else _skipped(witness, resource, repository, why)


def _skipped(witness: Witness, resource: str, repository: str, why: JsonObject) -> Evidence:
    return witness.skipped(
        f"{repository} is left out: {why['code']}: {why['found']}",
        hint=f"{repository} holds no backup of the recovered server: once it is there again, understudy backup {resource} --full",
        repository=repository,
        code=why["code"],
    )


def _receipt(resource: str, repository: str) -> str:
    return f"{resource}-left-out-{repository}"
