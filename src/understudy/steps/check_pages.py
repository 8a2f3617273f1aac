"""Every page of a stopped copy against its checksum."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.instance import StopMode
from understudy.ports.world import World
from understudy.steps.codec import step_kind
from understudy.steps.placed import PlacedStep
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.phases import Phase


@step_kind("check_pages")
@dataclass(frozen=True, slots=True)
class CheckPages(PlacedStep):
    """Stops the drill's server and runs ``pg_checksums --check``: indexes and free space maps too, not only what a dump reads.

    A recovered server stays up instead; there the base backup that restores its protection reads every page, and the server
    checks each as it sends it.
    """

    VERB = "check-pages"
    PHASE: ClassVar = Phase.CLEAN_UP

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
            raise GiveUp(
                "pages_damaged",
                found=f"{bad} of {looked_at} pages disagree with their checksum",
                expected="none",
                hint="the damage is in the backup or came with it from the server: run understudy verify --deep on the backup, "
                "look for checksum failures in the server's log, and recover from an older backup",
            )
        return witness.done(pages_checked=looked_at, pages_bad=bad)
