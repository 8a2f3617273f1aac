"""Retention over a small repository of signed backups and WAL, on a disk: no server is needed to remove things."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from tests.crash.scene import Scene
from tests.repository.sample_backups import sample_backup
from tests.repository.sample_keys import fresh_keys
from understudy.adapters.age import choose_sealer
from understudy.adapters.clock.system import SystemClock
from understudy.adapters.files import FileStore
from understudy.adapters.postgres.database import PostgresDatabase
from understudy.adapters.postgres.receiver import PostgresWalReceiver, ReceiverOptions
from understudy.adapters.postgres.spool import WalSpool
from understudy.plan.expiry import DecidedFor, plan_expiry
from understudy.plan.plan import Plan
from understudy.plan.retention import KeepRules, RetentionFacts, UnfinishedBackup, decide_retention
from understudy.plan.wal_retention import ClusterHoldings
from understudy.ports.object_store import ObjectStore
from understudy.ports.places import Places
from understudy.ports.readings import Readings
from understudy.ports.running import Cancellation, Progress
from understudy.ports.wal_remains import WalRemains
from understudy.ports.warm_copies import WarmCopies
from understudy.ports.world import Keys, World
from understudy.records.receipts import FileReceipts
from understudy.repository.catalog import Repository
from understudy.repository.layout import backup_prefix
from understudy.repository.manifests import BackupManifest, sums_digest
from understudy.runner.step_execution import WorldFor
from understudy.steps.forget_shipped_wal import ForgetShippedWal
from understudy.vocabulary.identifiers import BackupLabel, PlanId, RepositoryName, ResourceName, RunId, SystemIdentifier
from understudy.vocabulary.secret import Secret
from understudy.vocabulary.wal import Lsn, Timeline, WalSegment

NEAR, ORDERS = RepositoryName("near"), ResourceName("orders")
SYSTEM = sample_backup().system_identifier
SIZE = 2**20
CONTROLLER = "the-test"
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
CHAIN = ("20261123-030000F", "20261123-030000F_20261124-030000I", "20261123-030000F_20261125-030000I")
PROVEN, NEWEST, KILLED = "20261126-030000F", "20261127-030000F", "20261122-030000F"
SPOOLED = (15, 16, 17)
"""Shipped already; the newest stays, because the receiver goes on from it."""
STAYING_SEGMENTS = (12, 13, 15, 16, 17)
RULES = KeepRules(daily=1, weekly=0, monthly=0, manual=timedelta(0), point_in_time=timedelta(0), timezone="UTC")


def stock(directory: Path, store: ObjectStore | None = None) -> None:
    """A chain of three, one that a restore has proven, the newest, what a killed attempt left, and WAL from the first on."""
    keys = fresh_keys()
    assert keys.identity is not None and keys.signing_key is not None
    told = {
        "recipients": list(keys.recipients),
        "identity": keys.identity.reveal(),
        "signing_key": keys.signing_key.reveal(),
        "signers": list(keys.trusted_signers),
    }
    (directory / "keys.json").write_text(json.dumps(told))
    store = store or FileStore.create(directory / "store")
    repository = Repository(store, choose_sealer(), keys)
    repository.claim_epoch(CONTROLLER, NOW)
    archive = repository.wal(ORDERS, SYSTEM, SIZE)
    for number in range(3, 18):
        segment = WalSegment(Timeline(1), number, SIZE)
        if number % 4 == 0:
            archive.put_tail(segment, 0, b"x" * 100)
        archive.put_segment(segment, bytes([number]) * SIZE)
    for index, label in enumerate(CHAIN):
        store_backup(store, repository, label, 3 + 3 * index, CHAIN[index - 1] if index else None)
    store_backup(store, repository, PROVEN, 12)
    store_backup(store, repository, NEWEST, 15)
    spool = WalSpool(directory / "spool")
    spool.prepare(SYSTEM, SIZE)
    for number in SPOOLED:
        (spool.wal / WalSegment(Timeline(1), number, SIZE).name).write_bytes(bytes([number]) * SIZE)
    store.put(f"{backup_prefix(ORDERS, SYSTEM, BackupLabel(KILLED))}base-dead-0001.tar.zst.age", [b"half a part"])


def store_backup(
    store: ObjectStore, repository: Repository, label: str, number: int, parent: str | None = None
) -> BackupManifest:
    """With parts of ten bytes; its own WAL are the segment of that number and the next."""
    stopped = datetime.strptime(f"{label[-16:-1]}+0000", "%Y%m%d-%H%M%S%z")
    sample = sample_backup(
        label, parent, start_time=stopped, stop_time=stopped, segment_bytes=SIZE,
        start_lsn=Lsn(number * SIZE + 40), stop_lsn=Lsn((number + 1) * SIZE + 300),
    )  # fmt: skip
    entries = []
    for entry in sample.entries:
        written = store.put(backup_prefix(ORDERS, SYSTEM, sample.label) + entry.name, [b"ten bytes."])
        entries.append(replace(entry, sealed_bytes=written.size_bytes, sealed_sha256=written.sha256))
    backup = replace(sample, parts=tuple(entries[:-1]), backup_manifest=entries[-1], sums_sha256=sums_digest(entries))
    repository.write_backup_manifest(backup)
    return backup


def keys_of(directory: Path) -> Keys:
    told = json.loads((directory / "keys.json").read_text())
    signers = frozenset(cast("list[str]", told["signers"]))
    return Keys(tuple(told["recipients"]), Secret(told["identity"]), Secret(told["signing_key"]), signers)


def repository_in(directory: Path, store: ObjectStore | None = None) -> Repository:
    return Repository(store or FileStore(directory / "store"), choose_sealer(), keys_of(directory))


def facts_of(directory: Path, store: ObjectStore | None = None) -> RetentionFacts:
    repository = repository_in(directory, store)
    listing = repository.backups(ORDERS)
    cluster = ClusterHoldings(
        system_identifier=SYSTEM,
        backups=listing.usable,
        wal=repository.wal(ORDERS, SYSTEM, SIZE).contents(),
        histories={},
    )
    return RetentionFacts(
        now=NOW,
        clusters=(cluster,),
        unusable=tuple(each.key for each in listing.unusable),
        unfinished=tuple(UnfinishedBackup(system, label) for system, label in listing.unfinished),
        proven={(SYSTEM, BackupLabel(PROVEN))},
    )


def expiry(directory: Path, store: ObjectStore | None = None) -> Plan:
    decided = DecidedFor(NEAR, decide_retention(RULES, facts_of(directory, store)))
    forget = ForgetShippedWal(ORDERS, (NEAR,), SYSTEM, SIZE)
    plan = plan_expiry(ORDERS, [decided], PlanId("expiry"), "0" * 64, forget)
    assert plan is not None
    return plan


def world_for(directory: Path, store: ObjectStore | None = None) -> WorldFor:
    clock, nowhere = SystemClock(), Secret("host=/nonexistent")
    options = ReceiverOptions("slot", directory / "spool", 2**30, "receiver")
    receiver = PostgresWalReceiver(nowhere, lambda: PostgresDatabase(nowhere, clock), clock, options)

    def world(run: RunId, progress: Progress, cancellation: Cancellation) -> World:
        return World(
            run=run,
            controller=CONTROLLER,
            clock=clock,
            receipts=FileReceipts(directory / "state", run),
            progress=progress,
            cancellation=cancellation,
            stores={NEAR: store or FileStore(directory / "store")},
            sealer=choose_sealer(),
            keys=keys_of(directory),
            databases={},
            declared={},
            landings={},
            receivers={ORDERS: receiver},
            instances={},
            places=cast(Places, None),
            collections={},
            targets={},
            scratch=directory / "scratch",
            remains=cast(WalRemains, None),
            warm_copies=cast(WarmCopies, None),
            readings=cast(Readings, None),
        )

    return world


def labels_in(directory: Path, store: ObjectStore | None = None) -> list[str]:
    return [each.label.text for each in repository_in(directory, store).backups(ORDERS, SystemIdentifier(SYSTEM)).usable]


def segments_in(directory: Path, store: ObjectStore | None = None) -> Iterator[int]:
    return (each.number for each in repository_in(directory, store).wal(ORDERS, SYSTEM, SIZE).contents().segments)


# Reading changes nothing, so it is as if killed before or after the write next to it.
_CAPS = {"stores.near.delete": 2, "stores.near.list": 0, "stores.near.folders": 0, "stores.near.read": 0, "*": 1}
SCENE = Scene(plan=expiry, world_for=world_for, caps=_CAPS)
