"""Facts for plans, as small as they may be."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tests.repository.sample_backups import sample_backup
from understudy.plan.backup import BackupFacts, BackupSubject
from understudy.plan.plan import Mode, Procedure
from understudy.plan.recovery import RecoveryFacts, RecoveryWish
from understudy.plan.warm_seeding import SeedingWish, plan_seeding
from understudy.ports.database import ServerFacts
from understudy.ports.instance import InstancePlace
from understudy.ports.warm_copies import WarmCopy
from understudy.repository.manifests import sums_digest
from understudy.repository.wal_contents import WalContents
from understudy.vocabulary.identifiers import BackupOrigin, PlanId, RepositoryName, ResourceName, RunId, SystemIdentifier
from understudy.vocabulary.recovery_target import LATEST
from understudy.vocabulary.wal import Lsn, Timeline, WalSegment

NOW = datetime(2026, 11, 24, 3, tzinfo=UTC)
SEGMENT_BYTES = 16 * 2**20
ORDERS, NEAR, FAR = ResourceName("orders"), RepositoryName("near"), RepositoryName("far")


def server_facts(version_number=180004, timeline=1, **settings):
    return ServerFacts(
        system_identifier=SystemIdentifier("7400000000000000001"),
        version_number=version_number,
        version=f"{version_number // 10000}.4",
        timeline=Timeline(timeline),
        in_recovery=False,
        wal_flushed=Lsn.parse("0/5000000"),
        segment_bytes=SEGMENT_BYTES,
        data_checksums=True,
        tablespaces=(),
        settings={"summarize_wal": "on"} | settings,
        observed=NOW,
    )


def backup_subject(repositories=(NEAR,)):
    return BackupSubject(ORDERS, "understudy_shop_orders", repositories, 2**28, 3, None)


def backup_facts(backups=(), server=None, now=NOW, refused=""):
    facts = server or server_facts()
    return BackupFacts(now, PlanId("plan-1"), "0" * 64, facts, tuple(backups), BackupOrigin.MANUAL, refused)


def backup_of(label, *, parent=None, timeline=1, start="0/2000028", stop="0/2000158", minutes=0, **changes):
    """``minutes``: when it stopped, after a fixed moment."""
    stopped = datetime(2026, 11, 23, 3, tzinfo=UTC) + timedelta(minutes=minutes)
    return sample_backup(
        label,
        parent,
        timeline=Timeline(timeline),
        start_lsn=Lsn.parse(start),
        stop_lsn=Lsn.parse(stop),
        start_time=stopped,
        stop_time=stopped,
        **changes,
    )


def contents(*segments, tails=(), histories=()):
    """``segments`` as (timeline, number)."""
    made = (WalSegment(Timeline(timeline), number, SEGMENT_BYTES) for timeline, number in segments)
    return WalContents(SEGMENT_BYTES, tuple(sorted(made)), tuple(sorted(tails)), tuple(Timeline(each) for each in histories))


def recovery_wish(mode=Mode.ROUTINE, target=LATEST, tablespaces=None, **changes):
    procedure = {Mode.ROUTINE: Procedure.RESTORE, Mode.DRILL: Procedure.DRILL, Mode.FAILOVER: Procedure.RECOVERY}[mode]
    fields = {
        "resource": ORDERS,
        "procedure": procedure,
        "mode": mode,
        "subject": "orders",
        "repository": NEAR,
        "repositories": (NEAR, FAR),
        "target": target,
        "place": InstancePlace("/srv/copy", "/run/understudy/0badcafe"),
        "processors": 2,
        "tablespaces": {16385: "/srv/fast-copy"} if tablespaces is None else tablespaces,
        "checks": ({"sql": "select 1", "equals": "1"},),
        "staging_directory": "/srv/copy.wal",
        "heartbeat_database": "postgres",
        "reprotection": backup_subject((NEAR, FAR)),
        "ship_every": timedelta(seconds=10),
    }
    return RecoveryWish(**(fields | changes))


def recovery_facts(backups, wal=None, histories=None, programs_major=18, **changes):
    return RecoveryFacts(
        now=NOW,
        plan_id=PlanId("plan-1"),
        stack_digest="0" * 64,
        backups=tuple(backups),
        histories=histories or {},
        wal=wal or contents((1, 2), (1, 3)),
        programs_major=programs_major,
        staged_wal_bytes=SEGMENT_BYTES,
        **changes,
    )


WARM_COPY = WarmCopy(
    directory="/srv/copy.warm/run-1",
    socket_directory="/run/understudy/1badcafe",
    run=RunId("run-1"),
    repository=NEAR,
    labels=("20261123-030000F",),
    system_identifier=SystemIdentifier("7400000000000000001"),
    segment_bytes=SEGMENT_BYTES,
    timeline=Timeline(1),
    verified=NOW,
)
"""Sound, of the timeline that goes on."""


def without_tablespaces(backup):
    own = backup.parts[0]
    return replace(backup, tablespaces=(), parts=(own,), sums_sha256=sums_digest((own, backup.backup_manifest)))


def seeding_plan(backups):
    wish = SeedingWish(
        resource=ORDERS,
        repository=NEAR,
        repositories=(NEAR, FAR),
        place=InstancePlace("/srv/copy.warm/plan-1", "/run/understudy/0badcafe"),
        processors=2,
        checks=({"sql": "select 1", "equals": "1"},),
        heartbeat_database="postgres",
        ship_every=timedelta(seconds=10),
    )
    return plan_seeding(wish, recovery_facts(backups))
