"""The real procedures, as ``app`` plans them and with the world that ``app`` builds.

A march has as many points as steps and ports have calls. Of each method only the first ``UNDERSTUDY_CRASH_CALLS`` calls (1 unless
told otherwise) in one execution of a step are points, and the first writing of each receipt, so that all procedures together stay
within four minutes on two cores.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

from tests.crash.postgres_stage import FAR, ORDERS, PERSON, installed
from tests.crash.scene import Scene
from understudy.app.backups import plan_next_backup
from understudy.app.database_recoveries import Choice, plan_drill, plan_in_place, plan_part_restore, plan_restore
from understudy.app.installation import Installation
from understudy.app.repositories import prepare_repository
from understudy.app.warm_copies import plan_next_seeding
from understudy.plan.plan import Plan
from understudy.stack.models import Scenario
from understudy.vocabulary.identifiers import BackupKind

RESTORED = "restored"
BACKUP_FIGURES = {
    "duration_seconds", "files", "first_segment", "label", "last_segment", "manifest_sha256", "plain_bytes", "reaches", "reason",
    "sealed_bytes", "segments", "start_lsn", "stop_lsn",
}  # fmt: skip
STREAM_FIGURES = {
    "quarantined_to", "receiver_pid", "safe_wal_size_bytes", "server_wal_flushed", "slot_restart_lsn", "streaming_segment",
}  # fmt: skip
REPLAY_FIGURES = {
    "backup_started", "directory", "files", "from_lsn", "last_replayed_commit", "pages_checked", "port", "reaches",
    "replayed_lsn", "repository_reaches", "room", "sealed_bytes", "segments", "socket_directory", "tail_bytes", "unpacked_bytes",
    "written", "address", "start_again", "only_here_bytes", "hint", "taken_bytes",
    "opened_by",
}  # fmt: skip
"""Keys of proofs whose values are of the moment and of the place."""
_READS = (
    "receipts.read", "places.facts", "declared.*", "landings.*",
    "stores.*.head", "stores.*.read", "stores.*.list", "stores.*.folders",
    "databases.*.facts", "databases.*.wal_flushed", "databases.*.slot", "databases.*.query", "databases.*.ask",
    "databases.*.standbys", "databases.*.presence", "databases.*.timeline_history",
    "receivers.*.facts", "receivers.*.spool", "receivers.*.read_*",
    "instances.*.facts", "instances.*.query", "instances.*.ask", "instances.*.control_data", "instances.*.command_to_start",
    "instances.*.major", "places.aside", "remains.*", "warm_copies.read",
)  # fmt: skip
_CALLS = int(os.environ.get("UNDERSTUDY_CRASH_CALLS", "1"))


_installed = cache(installed)
"""Once in each process, which plays one scene in one directory."""


def _scene(plan: Callable[[Installation, Path], Plan], points: tuple[str, ...] = ("*",), **caps: int) -> Scene:
    return Scene(
        plan=lambda directory: plan(_installed(directory), directory),
        world_for=lambda directory: _installed(directory).world_for,
        signer=lambda directory: _installed(directory).keys.evidence_signer,
        approved_by=PERSON,
        caps={"sealer.*": 0, **caps, "*": _CALLS},  # what a sealer's pieces pass through is a point where they are stored
        reads=_READS,
        points=points,
    )


def _backup(kind: BackupKind) -> Callable[[Installation, Path], Plan]:
    def plan(installation: Installation, directory: Path) -> Plan:
        for repository in installation.repository_names(ORDERS):
            prepare_repository(installation, repository)
        return plan_next_backup(installation, ORDERS, kind)

    return plan


FULL_BACKUP = _scene(_backup(BackupKind.FULL))
# The steps around it are the full backup's, and so are their names: what differs is what is taken, and what is written of it.
INCREMENTAL_BACKUP = _scene(
    _backup(BackupKind.INCREMENTAL), ("orders/take-base-backup:*", "orders/write-backup-manifest:*", "run:*")
)
# With a bucket beside the directory; what the other scenes visit is left out. Objects are copied one after the other, so a second
# put that is a point is, in a process that comes late, the last one before the manifest's.
COPIED_BACKUP = _scene(
    _backup(BackupKind.FULL),
    ("orders/await-wal-in-far:stores.far.*", "orders/copy-backup-to-far:*"),
    **{"stores.far.put": 2},
)
RESTORE_FROM_BUCKET = _scene(
    lambda installation, directory: plan_restore(installation, ORDERS, directory / RESTORED, Choice(repository=FAR)),
    ("*:stores.far.*",),
)
DRILL = _scene(lambda installation, directory: plan_drill(installation, Scenario.DATABASE_CORRUPTION, ORDERS, Choice()))
RESTORE = _scene(lambda installation, directory: plan_restore(installation, ORDERS, directory / RESTORED, Choice()))
# Up to the part that is taken out it is a drill, and the copy goes as that of a drill does.
PART_TAKEN_OUT = _scene(
    lambda installation, directory: plan_part_restore(installation, ORDERS, directory / RESTORED, Choice(database="postgres")),
    ("orders/take-out:*", "orders/discard-taken-out:*", "orders/remove-sandbox:before"),
)
RECOVERY = _scene(lambda installation, directory: plan_in_place(installation, Scenario.DATABASE_CORRUPTION, ORDERS, Choice()))
# What a copy is restored with is what a restore does, and what follows on taking it is what a recovery does.
SEEDING = _scene(
    lambda installation, directory: plan_next_seeding(installation, ORDERS),
    ("orders/install-warm-copy:*", "orders/remove-former-warm-copies:*"),
)
WARM_RECOVERY = _scene(
    lambda installation, directory: plan_in_place(installation, Scenario.DATABASE_CORRUPTION, ORDERS, Choice()),
    (
        "orders/take-warm-copy:*",
        "orders/replay-wal:before",
        "orders/verify-served-database:before",
        "orders/discard-unfinished:*",
    ),
)
