"""What a recovery that did not get through leaves behind, when its data are complete."""

import json

from tests.steps.protected import world_of
from understudy.ports.places import MARKER_NAME
from understudy.steps.discard_unfinished import DiscardUnfinished
from understudy.steps.open_to_clients import restart_receipt
from understudy.steps.replay_wal import replay_receipt
from understudy.vocabulary.evidence import Outcome


def test_a_server_that_was_brought_back_completely_is_handed_over_as_it_runs_and_bears_no_marker(protected):
    """A marker that stayed would come into its next backup, and pass for that of whoever restores it."""
    world, data = world_of(protected.installation(), "recovery-1"), protected.server.data
    staging = protected.desk.directory / "staging"
    world.places.claim(str(staging), world.run)
    (staging / "fetched").mkdir()
    (data / MARKER_NAME).write_text(json.dumps({"run": world.run}))
    world.receipts.write(replay_receipt("orders"), {"replayed_lsn": "0/0"})
    step = DiscardUnfinished("orders", protected.place, kept=(str(data),), removed=(str(staging),), serves=True)
    left = step.run(world)
    again = step.run(world)
    assert not (data / MARKER_NAME).exists() and not staging.exists()
    assert protected.server.sql("select word from words") == [("kept",)]
    assert (left.outcome, left.proof) == (Outcome.DONE, {"server_running": True, "directories_left": [str(data)]})
    assert (again.outcome, again.proof, again.hint) == (left.outcome, left.proof, left.hint), "killed before it was written down"
    assert f"{data} holds all data at the target; its server lets in this host's superuser only" in left.hint
    assert "The next recovery stops it and sets the directory aside" in left.hint
    world.receipts.write(restart_receipt("orders"), {"restarted": True})
    assert f"runs on port {protected.place.port} for its clients" in step.run(world).hint
