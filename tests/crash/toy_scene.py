"""Five steps that write real files, two of them side by side; and one for ``careless_scene`` that does not look first."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import cast

from tests.crash.scene import Scene
from tests.runner.stage import world_of
from understudy.adapters.files.file_store import FileStore
from understudy.plan.plan import Hold, HoldKind, Mode, Plan, PlannedStep, Procedure, When
from understudy.ports.running import Cancellation, Progress
from understudy.ports.world import World
from understudy.runner.step_execution import WorldFor
from understudy.steps.codec import step_kind
from understudy.vocabulary.evidence import Evidence, Outcome
from understudy.vocabulary.identifiers import PlanId, RepositoryName, RunId, StepKey
from understudy.vocabulary.json import JsonObject

SHELF = RepositoryName("shelf")


@dataclass(frozen=True, slots=True)
class ToyStep:
    name: str

    @property
    def key(self) -> StepKey:
        return StepKey(f"toy/{self.name}")

    @property
    def time_limit(self) -> timedelta:
        return timedelta(seconds=60)

    def evidence(self, world: World, claim: str, proof: JsonObject) -> Evidence:
        now = world.clock.now()
        return Evidence("toy", claim, Outcome.DONE, now, now, proof)


@step_kind("toy_shelve_parts")
@dataclass(frozen=True, slots=True)
class ShelveParts(ToyStep):
    """Puts parts on the shelf, each once, and writes their list last."""

    count: int = 3

    def run(self, world: World) -> Evidence:
        store = world.stores[SHELF]
        names = [f"parts/{number}" for number in range(self.count)]
        for number, name in enumerate(names):
            if store.head(name) is None:
                store.put(name, _content(number))
        world.receipts.write("parts", {"names": names})
        return self.evidence(world, "the parts are shelved", {"parts": names})


@step_kind("toy_add_digests")
@dataclass(frozen=True, slots=True)
class AddDigests(ToyStep):
    """Reads the parts back and keeps their digests."""

    def run(self, world: World) -> Evidence:
        receipt = world.receipts.read("parts")
        assert receipt is not None
        digests = {
            name: hashlib.sha256(b"".join(world.stores[SHELF].read(name))).hexdigest()
            for name in cast("list[str]", receipt["names"])
        }
        world.receipts.write("digests", digests)
        return self.evidence(world, "the digests are known", {"digests": digests})


@step_kind("toy_list_shelf")
@dataclass(frozen=True, slots=True)
class ListShelf(ToyStep):
    """Independent of the digests, and run beside them."""

    def run(self, world: World) -> Evidence:
        keys = [each.key for each in world.stores[SHELF].list("parts/")]
        world.receipts.write("listing", {"keys": keys})
        return self.evidence(world, "the shelf is listed", {"keys": keys})


@step_kind("toy_seal_shelf")
@dataclass(frozen=True, slots=True)
class SealShelf(ToyStep):
    """Puts the manifest, once."""

    def run(self, world: World) -> Evidence:
        digests = world.receipts.read("digests")
        assert digests is not None
        if world.stores[SHELF].head("manifest") is None:
            world.stores[SHELF].put("manifest", iter([json.dumps(digests).encode()]))
        return self.evidence(world, "the manifest is there", {"parts": len(digests)})


@step_kind("toy_count_carelessly")
@dataclass(frozen=True, slots=True)
class CountCarelessly(ToyStep):
    """The negative control: adds one each time it runs."""

    def run(self, world: World) -> Evidence:
        before = world.receipts.read("count") or {"n": 0}
        count = cast(int, before["n"]) + 1
        world.receipts.write("count", {"n": count})
        return self.evidence(world, "counted", {"count": count})


@step_kind("toy_tidy_up")
@dataclass(frozen=True, slots=True)
class TidyUp(ToyStep):
    def run(self, world: World) -> Evidence:
        world.stores[SHELF].delete("parts/0")
        return self.evidence(world, "one part is gone", {"present": world.stores[SHELF].head("parts/0") is not None})


def _content(number: int) -> Iterator[bytes]:
    for piece in range(3):
        yield f"{number}.{piece}\n".encode() * 100


def world_for(directory: Path) -> WorldFor:
    store = FileStore.create(directory / "shelf") if not (directory / "shelf").exists() else FileStore(directory / "shelf")

    def world(run: RunId, progress: Progress, cancellation: Cancellation) -> World:
        return replace(world_of(directory / "state", run, progress, cancellation), stores={SHELF: store})

    return world


def plan_of(*steps: PlannedStep) -> Plan:
    holds = frozenset({Hold("toy:shelf", HoldKind.EXCLUSIVE)})
    return Plan(PlanId("toy"), Procedure.BACKUP, Mode.DRILL, "toy", steps, holds, "0" * 64)


def careful_plan(directory: Path) -> Plan:
    shelve, digests, listing, manifest, tidy = (
        ShelveParts("shelve"),
        AddDigests("digests"),
        ListShelf("listing"),
        SealShelf("manifest"),
        TidyUp("tidy"),
    )
    return plan_of(
        PlannedStep(shelve),
        PlannedStep(digests, after=frozenset({shelve.key})),
        PlannedStep(listing, after=frozenset({shelve.key})),
        PlannedStep(manifest, after=frozenset({digests.key, listing.key})),
        PlannedStep(tidy, after=frozenset({manifest.key}), when=When.ALWAYS),
    )


SCENE = Scene(plan=careful_plan, world_for=world_for)
