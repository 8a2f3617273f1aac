"""A sandbox that somebody promotes while it replays is no recovery to a target."""

from pathlib import Path

import pytest

from tests.servers.processes import wait_until
from tests.steps.protected import NobodyLooks, step_of, world_of
from understudy.app.database_recoveries import Choice, plan_drill
from understudy.stack.models import Scenario
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import ResourceName

RUN = "promoted-by-somebody"


class SomebodyPromotes(NobodyLooks):
    """Promotes the server at the step's first look at it, and lets the step look on once that is done."""

    def __init__(self, instances, place):
        self._instances = instances
        self._place = place
        self.promoted = False

    def raise_if_requested(self) -> None:
        if self.promoted:
            return
        wait_until(lambda: self._instances.facts(self._place).accepts_connections, "the sandbox to take connections")
        self._instances.promote(self._place)
        wait_until(lambda: self._instances.facts(self._place).in_recovery is False, "the promotion")
        self.promoted = True


def test_a_sandbox_that_somebody_promotes_during_replay_is_given_up_and_removed(protected):
    installation = protected.installation()
    plan = plan_drill(installation, Scenario.DATABASE_CORRUPTION, ResourceName("orders"), Choice())
    replay = step_of(plan, "replay-wal")
    somebody = SomebodyPromotes(installation.instances["orders"], replay.place)
    try:
        for verb in ("provision-target", "restore-base-backup"):
            step_of(plan, verb).run(world_of(installation, RUN))
        with pytest.raises(GiveUp) as failure:
            replay.run(world_of(installation, RUN, somebody))
        assert world_of(installation, RUN).receipts.read(replay.receipt) is None
    finally:
        removed = step_of(plan, "remove-sandbox").run(world_of(installation, RUN))
    assert failure.value.code == "promoted_by_itself"
    assert somebody.promoted
    assert removed.proof["server_running"] is False
    assert not Path(replay.place.directory).exists()
