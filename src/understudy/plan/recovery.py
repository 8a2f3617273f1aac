"""One plan for three occasions: a restore elsewhere, a drill in a sandbox, and the real recovery. They differ in targets only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from understudy.plan.backup import BackupSubject, KindDecision, backup_steps, free_label, lock_steps
from understudy.plan.fencing import OldServerFacts, question
from understudy.plan.landing import Landing
from understudy.plan.plan import Approval, Hold, HoldKind, Mode, Plan, PlannedStep, Procedure, When, in_sequence
from understudy.plan.restore_choice import (
    Histories,
    RestoreChoice,
    choose_restore,
    require_believed,
    require_history,
    require_wal,
)
from understudy.plan.warm_copy import WarmCopyFacts, WarmCopyUse, asked_with, decide_warm_copy, take_warm_copy
from understudy.ports.instance import InstancePlace
from understudy.repository.at_once import parts_read, segments_opened
from understudy.repository.manifests import BackupManifest
from understudy.repository.quarantine import Quarantine
from understudy.repository.wal_contents import WalContents
from understudy.steps.check_address import CheckAddress
from understudy.steps.check_pages import CheckPages
from understudy.steps.discard_unfinished import DiscardUnfinished
from understudy.steps.fence_old_server import FenceOldServer
from understudy.steps.open_to_clients import OpenToClients
from understudy.steps.promote import Promote
from understudy.steps.provision_target import ProvisionTarget
from understudy.steps.quarantine_since import QuarantineSince
from understudy.steps.release_target import ReleaseTarget
from understudy.steps.remove_sandbox import RemoveSandbox
from understudy.steps.replay_wal import ReplayWal
from understudy.steps.restore_base_backup import RestoreBaseBackup
from understudy.steps.ship_remaining_wal import ShipRemainingWal
from understudy.steps.ship_spooled_wal import ShipSpooledWal
from understudy.steps.start_wal_stream import StartWalStream
from understudy.steps.take_out import DiscardTakenOut, TakeOut
from understudy.steps.verify_database import VerifyDatabase, VerifyServed
from understudy.steps.write_and_read_back import WriteAndReadBack
from understudy.vocabulary.disruption import Disruption, KnownBy, disruption_to_json
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import BackupKind, BackupOrigin, PlanId, RepositoryName, ResourceName
from understudy.vocabulary.recovery_target import RecoveryTarget, TargetKind
from understudy.vocabulary.wal import Timeline

HEADROOM = 1.1
"""Free space asked for, over what the backup unpacks to: replayed WAL, temporary files, growth while replaying."""


@dataclass(frozen=True, slots=True)
class WantedPart:
    """One database, or one table of it, and the directory that it goes to."""

    database: str
    schema: str
    table: str
    """Both empty: all of the database."""
    directory: str


@dataclass(frozen=True, slots=True)
class RecoveryWish:
    """What was asked for, with the stack file's answers filled in."""

    resource: ResourceName
    procedure: Procedure
    mode: Mode
    subject: str
    repository: RepositoryName
    repositories: tuple[RepositoryName, ...]
    target: RecoveryTarget
    place: InstancePlace
    processors: int
    """How many the steps may use; some use fewer, because of the memory that each takes."""
    tablespaces: Mapping[int, str]
    """Where each tablespace of the source goes, by its oid."""
    checks: tuple[Mapping[str, str], ...]
    heartbeat_database: str | None
    staging_directory: str
    """For the WAL that is fetched ahead of the server."""
    reprotection: BackupSubject
    """The backup with which protection comes back after a real recovery; its first repository is the one restored from."""
    ship_every: timedelta
    """How often ``serve`` ships the unfinished end of the WAL: so long a moment may be in no repository yet."""
    timeline: Timeline | None = None
    label: str | None = None
    set_aside: bool = False
    quarantine_since: datetime | None = None
    """Of a real recovery from an intrusion: from when on nothing is to be believed. The target lies before it."""
    fence_override_by: str | None = None
    old_directories: tuple[str, ...] | None = None
    """Where the old server's data lie, of a recovery that has set them aside already. None: where it brings the server up."""
    landing: Landing | None = None
    """Only of a real recovery; likewise the disruption."""
    disruption: Disruption | None = None
    warm_copy_declined: str = ""
    """Why the warm copy is not to be used whatever it is like; empty where it may be."""
    part: WantedPart | None = None
    """Of a restore: what is taken out, and all else removed. None: everything stays."""


@dataclass(frozen=True, slots=True)
class RecoveryFacts:
    now: datetime
    plan_id: PlanId
    stack_digest: str
    backups: tuple[BackupManifest, ...]
    histories: Histories
    wal: WalContents
    """What the repository holds, with what this host's spool adds to it once it is shipped; the histories likewise."""
    programs_major: int
    staged_wal_bytes: int
    damaged_histories: frozenset[Timeline] = frozenset()
    """Timelines whose history file is there and cannot be read."""
    old_server: OldServerFacts = field(default_factory=OldServerFacts)
    """Looked at for a real recovery only."""
    quarantines: tuple[Quarantine, ...] = ()
    """From when on nothing of it is to be believed; none of ``backups`` is of these."""
    old_timeline: Timeline | None = None
    """Likewise: that of the old server, where it goes on from what is held and nothing of it is held yet; with its history."""
    warm_copy: WarmCopyFacts | None = None
    """Likewise; None where none is kept."""


def plan_recovery(wish: RecoveryWish, facts: RecoveryFacts) -> Plan:
    """Fence, ship, provision, restore, replay, promote, verify, check pages, open, write, read; then protect again, or clean up.

    A real recovery to the newest commit takes the warm copy in place of restoring, where there is one that fits. Such a copy was
    read whole and checked page by page when it was seeded, so only the operator's checks come before it is opened; the base
    backup that follows checks every page again, and every row is read once more behind that.

    Raises:
        Refusal: everything that ``choose_restore``, ``require_history``, ``require_believed`` and ``require_wal`` raise,
            ``programs_wrong_major``, ``tablespace_unmapped``; of a real recovery what ``question`` raises, ``since_implausible``.
    """
    if wish.timeline is not None:
        require_history(wish.timeline, facts.damaged_histories)
    timelines = {*facts.wal.timelines(), *([] if facts.old_timeline is None else [facts.old_timeline])}
    choice = choose_restore(facts.backups, facts.histories, timelines, wish.target, facts.now, wish.timeline, wish.label)
    require_believed(choice, wish.target, facts.quarantines)
    if wish.timeline is None:
        require_history(choice.timeline, facts.damaged_histories, facts.wal.timelines())
    if wish.mode is not Mode.FAILOVER:
        # In a fail-over the receiver ends before the rest of the WAL is shipped; what is there then, only replay knows.
        require_wal(choice, facts.histories, facts.wal, wish.target, wish.ship_every)
    _require_plausible(wish, facts)
    require_programs(choice, facts)
    _require_tablespaces(choice, wish)
    warm = _warm_copy(wish, facts, choice)
    choice = warm.choice or choice
    steps = [*_before(wish, facts, choice, warm), *_bring_back(wish, facts, choice, warm), *_after(wish, facts, choice, warm)]
    target = Hold(f"target:{wish.place.directory}", HoldKind.EXCLUSIVE)
    chain = Hold(f"backup-chain:{wish.resource}/{choice.backup.label.chain}", HoldKind.SHARED)
    holds = {target, chain}
    if wish.part is not None:
        holds.add(Hold(f"target:{wish.part.directory}", HoldKind.EXCLUSIVE))
    if wish.mode is Mode.FAILOVER:
        holds.add(Hold(f"backup-lane:{wish.resource}", HoldKind.EXCLUSIVE))
    if warm.choice is not None:
        holds.add(warm_copy_hold(wish.resource))
    return Plan(
        id=facts.plan_id,
        procedure=wish.procedure,
        mode=wish.mode,
        subject=wish.subject,
        steps=in_sequence(*steps),
        holds=frozenset(holds),
        stack_digest=facts.stack_digest,
    )


def warm_copy_hold(resource: ResourceName) -> Hold:
    """Nobody else seeds a copy, or takes it."""
    return Hold(f"warm-copy:{resource}", HoldKind.EXCLUSIVE)


def _warm_copy(wish: RecoveryWish, facts: RecoveryFacts, choice: RestoreChoice) -> WarmCopyUse:
    if wish.mode is not Mode.FAILOVER:
        return WarmCopyUse(None)
    seen, declined = facts.warm_copy, wish.warm_copy_declined
    return decide_warm_copy(seen, choice, facts.backups, facts.histories, wish.target, wish.label, declined=declined)


def _before(wish: RecoveryWish, facts: RecoveryFacts, choice: RestoreChoice, warm: WarmCopyUse) -> list[PlannedStep]:
    system, segment_bytes = choice.backup.system_identifier, choice.backup.segment_bytes
    if wish.mode is not Mode.FAILOVER:
        if wish.target.kind is TargetKind.IMMEDIATE:
            return []
        # As the recovery of this moment would; but it stops nothing, and takes nothing over.
        drill = wish.mode is Mode.DRILL
        return [PlannedStep(ShipSpooledWal(wish.resource, wish.repository, system, segment_bytes, faults_fail=drill))]
    fence = FenceOldServer(
        wish.resource,
        wish.place,
        system_identifier=system,
        override_by=wish.fence_override_by,
        agreed_to_stop=facts.old_server.runs_here,
        disrupted=None if wish.disruption is None else disruption_to_json(wish.disruption),
    )
    to_move = wish.landing.address_to_move if wish.landing is not None else None
    asked = question(fence, wish.target, facts.old_server, to_move, set_aside=wish.set_aside)
    asked += asked_with(warm, facts.warm_copy)
    ship = ShipRemainingWal(
        wish.resource,
        wish.repositories,
        system,
        segment_bytes,
        timeline=choice.timeline,
        old_directories=(wish.place.directory,) if wish.old_directories is None else wish.old_directories,
    )
    steps = [PlannedStep(fence, approval=Approval(asked)), PlannedStep(ship)]
    if wish.quarantine_since is not None:
        # Behind the shipping: what the old server left is to be looked at, too.
        steps.append(PlannedStep(_quarantine(wish, choice, wish.quarantine_since)))
    return steps


def _quarantine(wish: RecoveryWish, choice: RestoreChoice, since: datetime) -> QuarantineSince:
    return QuarantineSince(
        wish.resource,
        "postgres",
        wish.repositories,
        since.isoformat(),
        system_identifier=choice.backup.system_identifier,
        segment_bytes=choice.backup.segment_bytes,
        timeline=choice.timeline,
    )


def _bring_back(wish: RecoveryWish, facts: RecoveryFacts, choice: RestoreChoice, warm: WarmCopyUse) -> list[PlannedStep]:
    labels = tuple(backup.label.text for backup in choice.chain)
    system = choice.backup.system_identifier
    provision = ProvisionTarget(
        wish.resource,
        wish.place,
        bytes_needed=_bytes_needed(wish, facts, choice if warm.choice is None else None),
        set_aside=wish.set_aside,
        quarantined=wish.quarantine_since is not None,
        other_directories=(*_kept_beside(wish), *_removed_after(wish)),
    )
    replay = ReplayWal(
        wish.resource,
        wish.place,
        repository=wish.repository,
        system_identifier=system,
        label=labels[-1],
        timeline=choice.timeline,
        target_kind=wish.target.kind.value,
        target_value=wish.target.value,
        workers=segments_opened(wish.processors),
        staging_directory=wish.staging_directory,
        ship_every_seconds=wish.ship_every.total_seconds(),
        other_repositories=tuple(each for each in wish.repositories if each != wish.repository),
        is_copy=wish.mode is not Mode.FAILOVER,
        goes_on=warm.choice is not None,
    )
    promote = Promote(wish.resource, wish.place, slot=wish.reprotection.slot if wish.mode is Mode.FAILOVER else None)
    verify = VerifyDatabase(
        wish.resource,
        wish.place,
        checks=wish.checks,
        heartbeat_database=wish.heartbeat_database,
        workers=wish.processors,
        label=labels[-1],
        reads_rows=warm.choice is None,
    )
    if warm.choice is not None and facts.warm_copy is not None:
        take = take_warm_copy(wish.resource, wish.place, facts.warm_copy)
        return [PlannedStep(step) for step in (provision, take, replay, promote, verify)]
    restore = RestoreBaseBackup(
        wish.resource,
        wish.place,
        repository=wish.repository,
        system_identifier=system,
        labels=labels,
        tablespaces={str(oid): directory for oid, directory in wish.tablespaces.items()},
        workers=parts_read(wish.processors),
        warm_copy_unused=warm.unused,
    )
    if wish.part is not None:  # what is taken out is read and counted by that
        return [PlannedStep(step) for step in (provision, restore, replay, promote)]
    check_pages = CheckPages(wish.resource, wish.place, label=labels[-1])
    return [PlannedStep(step) for step in (provision, restore, replay, promote, verify, check_pages)]


def _bytes_needed(wish: RecoveryWish, facts: RecoveryFacts, choice: RestoreChoice | None) -> Mapping[str, int]:
    """By directory. What an incremental adds is at most what it holds, and a chain may have grown all the way."""
    needed = {wish.place.directory: 0, **dict.fromkeys(_kept_beside(wish), 0), wish.staging_directory: facts.staged_wal_bytes}
    for part in (part for backup in (choice.chain if choice else ()) for part in backup.parts):
        directory = wish.place.directory if part.tablespace_oid is None else wish.tablespaces[part.tablespace_oid]
        needed[directory] += int(part.plain_bytes * HEADROOM)
    return needed


def _after(wish: RecoveryWish, facts: RecoveryFacts, choice: RestoreChoice, warm: WarmCopyUse) -> list[PlannedStep]:
    """What a restored and verified server is for: to be looked at and removed, to be handed over, or to serve."""
    resource, place = wish.resource, wish.place
    if wish.part is not None:
        part = (wish.part.database, wish.part.schema, wish.part.table, wish.part.directory)
        remove = RemoveSandbox(resource, place, other_directories=(*_kept_beside(wish), *_removed_after(wish)))
        discarding = (DiscardTakenOut(resource, place, *part), remove)
        return [PlannedStep(TakeOut(resource, place, *part)), *(PlannedStep(step, when=When.ALWAYS) for step in discarding)]
    kept, removed = (place.directory, *_kept_beside(wish)), _removed_after(wish)
    release = ReleaseTarget(resource, place, kept=kept, removed=removed)
    taken = (facts.warm_copy.copy.directory,) if warm.choice is not None and facts.warm_copy is not None else ()
    discard = PlannedStep(
        DiscardUnfinished(resource, place, kept=kept, removed=(*removed, *taken), serves=wish.mode is Mode.FAILOVER),
        when=When.ALWAYS,
    )
    landing = wish.landing or Landing()
    opening = OpenToClients(resource, place, closed=wish.mode is Mode.DRILL, configuration=landing.configuration)
    open_to_clients = PlannedStep(opening)
    write = PlannedStep(WriteAndReadBack(resource, place))
    match wish.mode:
        case Mode.DRILL:
            remove = RemoveSandbox(resource, place, other_directories=(*_kept_beside(wish), *_removed_after(wish)))
            return [open_to_clients, write, PlannedStep(remove, when=When.ALWAYS)]
        case Mode.ROUTINE:
            return [PlannedStep(release), discard]
        case Mode.FAILOVER:
            address = PlannedStep(CheckAddress(resource, place, landing=landing.named))
            # Synchronous commits wait for the receiver, so nothing can be written before WAL streams again.
            again = wish.reprotection
            stream = PlannedStep(StartWalStream(resource, again.slot, fresh=True, synchronous=again.synchronous))
            protect = _protect_again(wish, facts)
            if warm.choice is not None:
                protect.append(
                    PlannedStep(VerifyServed(resource, place, workers=wish.processors, label=choice.backup.label.text))
                )
            return [open_to_clients, address, stream, write, PlannedStep(release), *protect, discard]


def _kept_beside(wish: RecoveryWish) -> tuple[str, ...]:
    return tuple(sorted(wish.tablespaces.values()))


def _removed_after(wish: RecoveryWish) -> tuple[str, ...]:
    """Only a server that goes on to serve keeps its socket directory."""
    socket = () if wish.mode is Mode.FAILOVER else (wish.place.socket_directory,)
    return (wish.staging_directory, *socket)


def _protect_again(wish: RecoveryWish, facts: RecoveryFacts) -> list[PlannedStep]:
    decision = KindDecision(BackupKind.FULL, None, "protection begins anew after a recovery")
    label, automatic = free_label(decision, facts.backups, facts.now), BackupOrigin.AUTOMATIC
    steps = backup_steps(wish.reprotection, label, decision, facts.stack_digest, automatic, first_suffices=True)
    return [*steps, *lock_steps(wish.reprotection, first_suffices=True)]


def _require_plausible(wish: RecoveryWish, facts: RecoveryFacts) -> None:
    """Of what a person said. A server may well have been backed up after the disaster: while data were being lost, for one."""
    if wish.disruption is None or wish.disruption.known_by is not KnownBy.PERSON:
        return
    since, oldest = wish.disruption.at, min(backup.start_time for backup in facts.backups)
    found = f"--since {since.isoformat()}"
    if since > facts.now:
        found += f" lies in the future: it is {facts.now.isoformat(timespec='seconds')} now"
    elif since < oldest:
        found += f" lies before the oldest usable backup of {wish.resource}, which was begun at {oldest.isoformat()}"
    else:
        return
    raise Refusal(
        "since_implausible",
        found=found,
        expected="the moment at which the service was lost",
        hint="look at date and offset (+00:00 is UTC); or leave --since out",
    )


def require_programs(choice: RestoreChoice, facts: RecoveryFacts) -> None:
    wanted = choice.backup.server_version_number // 10000
    if facts.programs_major != wanted:
        raise Refusal(
            "programs_wrong_major",
            found=f"programs of PostgreSQL {facts.programs_major} on this host",
            expected=f"PostgreSQL {wanted}, of which backup {choice.backup.label} was taken",
            hint=f"install PostgreSQL {wanted} and name its directory as recover.programs in the stack file",
        )


def _require_tablespaces(choice: RestoreChoice, wish: RecoveryWish) -> None:
    # Of the whole chain: what an incremental backup no longer has is unpacked from the full one first, too.
    needed = {tablespace.oid: tablespace for backup in choice.chain for tablespace in backup.tablespaces}
    for oid, tablespace in needed.items():
        if oid not in wish.tablespaces:
            in_stack_file = f"add it as recover.tablespaces.{tablespace.name} in the stack file, or "
            raise Refusal(
                "tablespace_unmapped",
                found=f"tablespace {tablespace.name} (oid {oid}) lay in {tablespace.location}, and nothing says where it goes",
                expected="a directory for each tablespace",
                hint=(in_stack_file if wish.mode is Mode.FAILOVER else "")
                + f"give an empty directory of this copy's own: --tablespace {tablespace.name}=DIRECTORY",
            )
