"""The file that keeps a restored server from promoting itself is the server's own, and no link in its place is followed."""

from pathlib import Path

import pytest

from tests.steps.protected import step_of, world_of
from understudy.app.database_recoveries import Choice, plan_drill
from understudy.stack.models import Scenario
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import ResourceName

RUN = "marked-as-standby"


def test_a_link_in_the_place_of_standby_signal_is_refused_and_the_file_made_in_its_stead_is_the_servers(protected, tmp_path):
    installation = protected.installation()
    plan = plan_drill(installation, Scenario.DATABASE_CORRUPTION, ResourceName("orders"), Choice())
    replay = step_of(plan, "replay-wal")
    signal, elsewhere = Path(replay.place.directory) / "standby.signal", tmp_path / "elsewhere"
    elsewhere.write_text("precious")
    try:
        for verb in ("provision-target", "restore-base-backup"):
            step_of(plan, verb).run(world_of(installation, RUN))
        signal.symlink_to(elsewhere)
        with pytest.raises(GiveUp) as failure:
            replay.run(world_of(installation, RUN))
        assert elsewhere.read_text() == "precious"
        signal.unlink()
        replay.run(world_of(installation, RUN))
        found = signal.stat()
        assert ((found.st_uid, found.st_gid), found.st_mode & 0o777) == (installation.instances["orders"].owner, 0o600)
    finally:
        step_of(plan, "remove-sandbox").run(world_of(installation, RUN))
    assert failure.value.code == "target_unexpected"
    assert str(signal) in failure.value.found
