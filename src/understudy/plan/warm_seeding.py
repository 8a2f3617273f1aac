"""Seeding a warm copy: what a restore elsewhere does, and then it stays, in recovery. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from understudy.plan.plan import Hold, HoldKind, Mode, Plan, PlannedStep, Procedure, When, in_sequence
from understudy.plan.recovery import HEADROOM, RecoveryFacts, require_programs, warm_copy_hold
from understudy.plan.restore_choice import RestoreChoice, choose_restore, require_believed, require_history, require_wal
from understudy.ports.instance import InstancePlace
from understudy.ports.step import Step
from understudy.ports.warm_copies import staging_beside
from understudy.repository.at_once import parts_read, segments_opened
from understudy.steps.check_pages import CheckPages
from understudy.steps.install_warm_copy import InstallWarmCopy
from understudy.steps.provision_target import ProvisionTarget
from understudy.steps.remove_former_warm_copies import RemoveFormerWarmCopies
from understudy.steps.replay_wal import ReplayWal
from understudy.steps.restore_base_backup import RestoreBaseBackup
from understudy.steps.verify_database import VerifyDatabase
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import RepositoryName, ResourceName
from understudy.vocabulary.recovery_target import LATEST


@dataclass(frozen=True, slots=True)
class SeedingWish:
    resource: ResourceName
    repository: RepositoryName
    repositories: tuple[RepositoryName, ...]
    place: InstancePlace
    """Closed: nobody but Understudy uses its server, and it is in a directory of its own."""
    processors: int
    checks: tuple[Mapping[str, str], ...]
    heartbeat_database: str | None
    ship_every: timedelta


def plan_seeding(wish: SeedingWish, facts: RecoveryFacts) -> Plan:
    """The newest backup, replayed to the newest WAL, read whole, checked page by page, and only then the warm copy.

    Raises:
        Refusal: everything that ``choose_restore``, ``require_history``, ``require_believed`` and ``require_wal`` raise,
            ``programs_wrong_major``, ``warm_copy_with_tablespaces``.
    """
    choice = choose_restore(facts.backups, facts.histories, facts.wal.timelines(), LATEST, facts.now)
    require_believed(choice, LATEST, facts.quarantines)
    require_history(choice.timeline, facts.damaged_histories, facts.wal.timelines())
    require_wal(choice, facts.histories, facts.wal, LATEST, wish.ship_every)
    require_programs(choice, facts)
    _require_no_tablespaces(choice)
    backup, labels = choice.backup, tuple(each.label.text for each in choice.chain)
    staging = staging_beside(wish.place.directory)
    unpacked_bytes = sum(int(part.plain_bytes * HEADROOM) for each in choice.chain for part in each.parts)
    steps: tuple[Step, ...] = (
        ProvisionTarget(
            wish.resource,
            wish.place,
            bytes_needed={wish.place.directory: unpacked_bytes, staging: facts.staged_wal_bytes},
            other_directories=(staging, wish.place.socket_directory),
        ),
        RestoreBaseBackup(
            wish.resource,
            wish.place,
            repository=wish.repository,
            system_identifier=backup.system_identifier,
            labels=labels,
            tablespaces={},
            workers=parts_read(wish.processors),
        ),
        ReplayWal(
            wish.resource,
            wish.place,
            repository=wish.repository,
            system_identifier=backup.system_identifier,
            label=labels[-1],
            timeline=choice.timeline,
            target_kind=LATEST.kind.value,
            target_value=LATEST.value,
            workers=segments_opened(wish.processors),
            staging_directory=staging,
            ship_every_seconds=wish.ship_every.total_seconds(),
            other_repositories=tuple(each for each in wish.repositories if each != wish.repository),
            is_copy=True,
        ),
        VerifyDatabase(
            wish.resource,
            wish.place,
            checks=wish.checks,
            heartbeat_database=wish.heartbeat_database,
            workers=wish.processors,
            label=labels[-1],
        ),
        CheckPages(wish.resource, wish.place, label=labels[-1]),
        InstallWarmCopy(
            wish.resource,
            wish.place,
            repository=wish.repository,
            labels=labels,
            system_identifier=backup.system_identifier,
            segment_bytes=backup.segment_bytes,
            timeline=choice.timeline,
        ),
    )
    tidying = PlannedStep(RemoveFormerWarmCopies(wish.resource, wish.place), when=When.ALWAYS)
    return Plan(
        id=facts.plan_id,
        procedure=Procedure.WARM_COPY,
        mode=Mode.ROUTINE,
        subject=wish.resource,
        steps=in_sequence(*(PlannedStep(step) for step in steps), tidying),
        holds=frozenset(
            {
                warm_copy_hold(wish.resource),
                Hold(f"target:{wish.place.directory}", HoldKind.EXCLUSIVE),
                Hold(f"backup-chain:{wish.resource}/{backup.label.chain}", HoldKind.SHARED),
            }
        ),
        stack_digest=facts.stack_digest,
    )


def _require_no_tablespaces(choice: RestoreChoice) -> None:
    named = sorted({each.name for backup in choice.chain for each in backup.tablespaces})
    if named:
        raise Refusal(
            "warm_copy_with_tablespaces",
            found=f"backup {choice.backup.label} holds tablespaces: {', '.join(named)}",
            expected="none: a recovery moves the warm copy into its place by renaming one directory",
            hint="take warm_copy out of the stack file for this resource; a recovery restores it, as without one",
        )
