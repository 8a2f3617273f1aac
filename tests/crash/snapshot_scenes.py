"""A directory kept in two repositories on disks: a snapshot that is taken and copied, one that is restored, and ones that are let
go of; as ``app`` plans them and with the world that ``app`` builds.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from tests.app.shelf import DOCS
from tests.crash.postgres_stage import installed
from tests.crash.scene import Scene
from understudy.app.installation import Installation
from understudy.app.retention import decide, plan_for
from understudy.app.snapshot_restores import plan_requested_snapshot_restore, snapshot_restore_request
from understudy.app.snapshots import plan_requested_snapshot
from understudy.plan.plan import Plan
from understudy.plan.request import BackupRequest, Choice

RESTORED = "found"
FIGURES = {"duration_seconds", "manifest_sha256", "sealed_bytes", "stored_bytes", "parts", "free_bytes"}
"""Keys of proofs whose values are of the moment, or of how sealing came out: which contents share a part, an attempt that was cut
off decides."""
COPY_FIGURES = {"bytes_copied", "objects_copied", "objects_there_already", "objects"}
_READS = (
    "receipts.read", "places.facts", "targets.*.at", "collections.*.look", "collections.*.passed_over", "targets.*.fell_short",
    "targets.*.takes",
    "stores.*.head", "stores.*.read", "stores.*.list", "stores.*.folders",
)  # fmt: skip


_installed = cache(installed)
"""Once in each process, which plays one scene in one directory."""


def _scene(plan: Callable[[Installation, Path], Plan | None], **caps: int) -> Scene:
    def planned(directory: Path) -> Plan:
        made = plan(_installed(directory), directory)
        assert made is not None
        return made

    return Scene(
        plan=planned,
        world_for=lambda directory: _installed(directory).world_for,
        signer=lambda directory: _installed(directory).keys.evidence_signer,
        caps={"sealer.*": 0, **caps, "*": 1},
        reads=_READS,
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
EXPIRY = _scene(
    lambda installation, directory: plan_for(installation, DOCS, decide(installation, DOCS, "near")),
    **{"stores.near.delete": 2},
)
