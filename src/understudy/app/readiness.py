"""The readiness checklist: facts from the records, the stack file and this host's processes; no server and no store is asked."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from understudy.app.disaster_planning import scenario_choices
from understudy.app.drill_calendar import calendar_status
from understudy.app.drill_history import DrillHeld, DrillHistory
from understudy.app.installation import Installation
from understudy.app.key_ring import trusted_signers
from understudy.app.looking import ResourceStatus, status
from understudy.app.proven_runs import proven_runs
from understudy.app.snapshot_status import SnapshotStatus
from understudy.documents.disaster_plan import ProvenRun
from understudy.judge.readiness import KeptFacts, ReadBackFacts, ReadinessFacts, ReadinessLine, RehearsedFacts, judge_readiness
from understudy.records.comparison import compare_shown
from understudy.records.verification import verify_chain
from understudy.stack.contacts import ROLES
from understudy.stack.models import Scenario


def readiness(installation: Installation) -> tuple[ReadinessLine, ...]:
    return judge_readiness(readiness_facts(installation))


def readiness_facts(installation: Installation) -> ReadinessFacts:
    seen, proven = status(installation), proven_runs(installation)
    looking = installation.reading(installation.past)
    drills = calendar_status(looking)
    ledger = installation.past.ledger()
    signers = trusted_signers(installation.stack.encryption, installation.state)
    faults = (*verify_chain(ledger.links, ledger.head, signers), *compare_shown(ledger.links, ledger.shown).findings)
    held = {each.run for each in installation.past.findings.all()}
    escrow = _opened_with_another_key(looking)
    filled = {role for each in installation.stack.contacts.values() for role in each.roles}
    return ReadinessFacts(
        now=installation.clock.now(),
        serving=seen.serving_pid is not None,
        kept=(
            *(_database(installation, each) for each in seen.resources),
            *(_snapshots(installation, each) for each in seen.snapshots),
        ),
        stored=tuple(
            ReadBackFacts(each.repository, each.size_bytes, each.never_read_bytes, each.oldest_read)
            for each in seen.reading_back.repositories
        ),
        rehearsed=tuple(_rehearsed(installation, proven)),
        drills_declared=len(drills),
        drills_overdue=tuple(each.name for each in drills if each.overdue_since is not None),
        deviations_without_finding=tuple(each.run for each in proven if not _passed(each) and each.run not in held),
        findings_overdue=seen.overdue,
        roles_missing=tuple(role for role in ROLES if role not in filled),
        recipients=len(installation.stack.encryption.recipients),
        signers_named=bool(installation.stack.encryption.signers),
        chain_links=len(ledger.links),
        chain_faults=len(faults),
        escrow_drill=None if escrow is None else escrow.run,
        escrow_drill_at=None if escrow is None else escrow.ended,
    )


def _opened_with_another_key(installation: Installation) -> DrillHeld | None:
    """The newest drill that passed and was not opened with the stack file's identity."""
    history = DrillHistory(installation)
    fitting = (
        each
        for scenario in Scenario
        for each in history.held(scenario.value)
        if each.passed and each.choice is not None and each.choice.opened_with is not None
    )
    return max(fitting, key=lambda each: each.began, default=None)


def _passed(run: ProvenRun) -> bool:
    return run.succeeded and run.met is True


def _rehearsed(installation: Installation, proven: tuple[ProvenRun, ...]) -> Iterator[RehearsedFacts]:
    for scenario in Scenario:
        for names, _ in scenario_choices(installation, scenario):
            last = next((each for each in proven if each.scenario == scenario and set(names) <= set(each.resources)), None)
            yield RehearsedFacts(
                scenario=scenario.value,
                resources=tuple(names),
                run=None if last is None else last.run,
                at=None if last is None else last.ended,
                passed=last is not None and _passed(last),
                of_this_stack_file=last is not None and last.stack_digest == installation.digest,
            )


def _database(installation: Installation, each: ResourceStatus) -> KeptFacts:
    exposed = each.exposure
    return KeptFacts(
        resource=each.resource,
        recoverable=each.recoverable,
        newest=each.newest_backup.run if each.newest_backup else None,
        newest_at=each.newest_backup.ended if each.newest_backup else None,
        exposed=timedelta(seconds=exposed.seconds) if exposed is not None and exposed.known else None,
        rpo=each.rpo,
        scheduled=bool(each.schedules),
        missed_since=next((entry.missed_since for entry in each.schedules if entry.missed_since), None),
        failed=each.failed_backup.run if each.failed_backup else None,
        failed_at=each.failed_backup.ended if each.failed_backup else None,
        repositories=len(installation.repository_names(each.resource)),
        damaged=len(each.damaged),
    )


def _snapshots(installation: Installation, each: SnapshotStatus) -> KeptFacts:
    return KeptFacts(
        resource=each.resource,
        recoverable=each.recoverable,
        newest=each.newest_snapshot.run if each.newest_snapshot else None,
        newest_at=each.newest_snapshot.ended if each.newest_snapshot else None,
        exposed=timedelta(seconds=each.exposed_seconds) if each.exposed_seconds is not None else None,
        rpo=each.rpo,
        scheduled=bool(each.schedules),
        missed_since=next((entry.missed_since for entry in each.schedules if entry.missed_since), None),
        failed=each.failed_backup.run if each.failed_backup else None,
        failed_at=each.failed_backup.ended if each.failed_backup else None,
        repositories=len(installation.repository_names(each.resource)),
        damaged=len(each.damaged),
    )
