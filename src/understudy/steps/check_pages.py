"""Every page of a stopped copy against its checksum."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.instance import StopMode
from understudy.ports.world import World
from understudy.steps.codec import step_kind
from understudy.steps.placed import PlacedStep
from understudy.steps.restore_base_backup import BACKUP_AT_FAULT
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.phases import Phase

PAGES_DAMAGED = "pages_damaged"


@step_kind("check_pages")
@dataclass(frozen=True, slots=True)
class CheckPages(PlacedStep):
    """Stops the server and runs ``pg_checksums --check``: indexes and free space maps too, not only what a dump reads.

    Nobody was let in yet: what disagrees is seen before clients can meet it, and an older backup may do instead.
    """

    label: str = ""
    """The newest backup of the chain that was restored."""
    VERB = "check-pages"
    PHASE: ClassVar = Phase.VERIFY

    @property
    def time_limit(self) -> timedelta:
        return timedelta(hours=12)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, "every page agrees with its checksum")
        instances = self.instances(world)
        instances.stop(self.place, StopMode.FAST)
        if not instances.control_data(self.place.directory).data_checksums:
            return witness.skipped("the cluster was made without data checksums (initdb -k); pages cannot be checked")
        looked_at, bad = instances.verify_checksums(self.place.directory)
        if bad:
            raise self._damaged(looked_at, bad)
        return witness.done(pages_checked=looked_at, pages_bad=bad)

    def _damaged(self, looked_at: int, bad: int) -> GiveUp:
        damaged = GiveUp(
            PAGES_DAMAGED,
            found=f"{bad} of {looked_at} pages in {self.place.directory} (from {self.label}) disagree with their checksum",
            expected="none, before anybody is let in",
            hint="it came with the backup from the server, or this host's disk made it: look for checksum failures in the logs "
            f"of both. An older backup may do (--backup LABEL); for a copy to repair by hand, understudy restore {self.resource} "
            f"--backup {self.label} --to DIRECTORY, which ends with this error and leaves it there, stopped",
        )
        damaged.add_proof(**{BACKUP_AT_FAULT: self.label})
        return damaged
