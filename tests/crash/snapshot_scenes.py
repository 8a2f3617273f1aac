"""A directory kept in two repositories on disks: a snapshot that is taken and copied, one that is restored, and ones that are let
go of; as ``app`` plans them and with the world that ``app`` builds.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from tests.app.shelf import DOCS
from tests.crash.postgres_stage import PERSON, installed
from tests.crash.scene import Scene
from understudy.app.installation import Installation
from understudy.app.reading_back import plan_next_reading
from understudy.app.recoveries import plan_requested_recovery
from understudy.app.retention import decide, plan_for
from understudy.app.snapshot_restores import load_request, plan_requested_snapshot_restore, snapshot_restore_request
from understudy.app.snapshots import plan_requested_snapshot
from understudy.plan.plan import Plan, Procedure
from understudy.plan.request import BackupRequest, Choice, RecoveryRequest, StackRequest
from understudy.stack.models import Scenario
from understudy.vocabulary.identifiers import Person, RepositoryName, ResourceName
from understudy.vocabulary.recovery_target import strictly_before

RESTORED = "found"
_SCENARIO = Scenario.COMPLETE_FAILURE.value
FIGURES = {"duration_seconds", "manifest_sha256", "sealed_bytes", "stored_bytes", "parts", "free_bytes", "opened_by"}
"""Keys of proofs whose values are of the moment, or of how sealing came out: which contents share a part, an attempt that was cut
off decides."""
COPY_FIGURES = {"bytes_copied", "objects_copied", "objects_there_already", "objects"}
_READS = (
    "receipts.read", "places.facts", "targets.*.at", "collections.*.look", "collections.*.passed_over", "targets.*.fell_short",
    "targets.*.takes", "readings.of",
    "dump_servers.*.at", "dump_servers.*.has", "dump_servers.*.holds",
    "stores.*.head", "stores.*.read", "stores.*.list", "stores.*.folders",
)  # fmt: skip


_installed = cache(installed)
"""Once in each process, which plays one scene in one directory."""


def _scene(
    plan: Callable[[Installation, Path], Plan | None],
    approved_by: Person | None = None,
    points: tuple[str, ...] = ("*",),
    **caps: int,
) -> Scene:
    def planned(directory: Path) -> Plan:
        made = plan(_installed(directory), directory)
        assert made is not None
        return made

    return Scene(
        plan=planned,
        world_for=lambda directory: _installed(directory).world_for,
        signer=lambda directory: _installed(directory).keys.evidence_signer,
        approved_by=approved_by,
        caps={"sealer.*": 0, **caps, "*": 1},
        reads=_READS,
        points=points,
    )


SNAPSHOT = _scene(
    lambda installation, directory: plan_requested_snapshot(installation, BackupRequest(DOCS)),
    **{"stores.*.put": 3, "collections.docs.read": 2},
)
RESTORE = _scene(
    lambda installation, directory: plan_requested_snapshot_restore(
        installation, snapshot_restore_request(installation, DOCS, str(directory / RESTORED), Choice())
    ),
    **{"targets.docs.write": 3},
)
# What a restore of a snapshot alone does not visit: what is no step of one of them, setting aside, and the sandbox.
_OF_A_RECOVERY = ("stack/*", "docs/provision-target:places.*", "pics/release-target:*")
_OF_A_DRILL = ("stack/*", "docs/provision-target:places.*", "logs/remove-sandbox:*")


def _together(installation: Installation, procedure: Procedure) -> Plan:
    parts = tuple(RecoveryRequest(procedure, name, Choice(), scenario=_SCENARIO) for name in installation.resource_names())
    return plan_requested_recovery(installation, StackRequest(procedure, _SCENARIO, parts))


RECOVERY = _scene(
    lambda installation, directory: _together(installation, Procedure.RECOVERY), approved_by=PERSON, points=_OF_A_RECOVERY
)
DRILL = _scene(lambda installation, directory: _together(installation, Procedure.DRILL), points=_OF_A_DRILL)


def _intrusion(installation: Installation) -> Plan:
    """It came between the two snapshots that there are."""
    newest = installation.repository(RepositoryName("near")).snapshots("files", DOCS).found().usable[-1]
    choice = Choice(target=strictly_before(newest.stop_time))
    part = RecoveryRequest(Procedure.RECOVERY, DOCS, choice, scenario=Scenario.SECURITY_INCIDENT.value)
    return plan_requested_recovery(installation, StackRequest(Procedure.RECOVERY, part.scenario, (part,)))


INTRUSION = _scene(
    lambda installation, directory: _intrusion(installation),
    approved_by=PERSON,
    points=("docs/quarantine:*", "docs/provision-target:places.set_aside*"),
)
SAID = ResourceName("said")
DUMP = _scene(
    lambda installation, directory: plan_requested_snapshot(installation, BackupRequest(SAID)),
    points=("said/take-snapshot:collections.*", "said/take-snapshot:receipts.*"),
)
LOAD = _scene(
    lambda installation, directory: plan_requested_snapshot_restore(
        installation, load_request(installation, SAID, Choice(), PERSON)
    ),
    approved_by=PERSON,
    points=("said/load:*", "said/remove-loaded:places.*"),
)
"""What a command is kept and loaded by; other points of the same steps the scenes above visit."""
TRIAL = _scene(
    lambda installation, directory: plan_requested_snapshot_restore(
        installation, snapshot_restore_request(installation, "sessions", str(directory / RESTORED), Choice())
    ),
    points=("sessions/try-restored:*",),
)
"""Of Redis: what was restored is tried by a server."""
ACCOUNTS = ResourceName("accounts")
DATABASES_DUMPED = _scene(
    lambda installation, directory: plan_requested_snapshot(installation, BackupRequest(ACCOUNTS)),
    points=(
        "accounts/take-snapshot:collections.*.entries*", "accounts/take-snapshot:receipts.*",
        "accounts/discard-snapshot-leftovers:stagings.*",
    ),
)  # fmt: skip
DATABASES_LOADED = _scene(
    lambda installation, directory: plan_requested_snapshot_restore(
        installation, load_request(installation, ACCOUNTS, Choice(), PERSON)
    ),
    approved_by=PERSON,
    points=(
        "accounts/load:receipts.*", "accounts/load:dump_servers.*.load#*", "accounts/load:dump_servers.*.put_in_place#*",
        "accounts/load:dump_servers.*.take_roles#*", "accounts/remove-loaded:*",
    ),
)  # fmt: skip
"""What a server is dumped, and loaded, by."""
EXPIRY = _scene(
    lambda installation, directory: plan_for(installation, DOCS, decide(installation, DOCS, "near")),
    **{"stores.near.delete": 2},
)
READING = _scene(lambda installation, directory: plan_next_reading(installation, 2**40), points=("docs/read-back-from-near:*",))


def _services(installation: Installation, procedure: Procedure) -> Plan:
    scenario = Scenario.APPLICATION_FAILURE.value
    names = ("batch",) if procedure is Procedure.RECOVERY else ("logs", "batch")
    parts = tuple(RecoveryRequest(procedure, ResourceName(name), Choice(), scenario=scenario) for name in names)
    return plan_requested_recovery(installation, StackRequest(procedure, scenario, parts))


SERVICES = _scene(
    lambda installation, directory: _services(installation, Procedure.RECOVERY),
    approved_by=PERSON,
    points=("batch/start:*", "batch/check:commands*"),
)
SERVICE_DRILL = _scene(lambda installation, directory: _services(installation, Procedure.DRILL), points=("batch/*",))
