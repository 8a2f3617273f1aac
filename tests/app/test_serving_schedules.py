"""What serve starts by itself, and what its heartbeat is good for."""

import json
from datetime import datetime

from tests.faults.conftest import make_estate
from tests.faults.estate import NEAR, RESOURCE
from tests.servers.processes import wait_until

__all__ = ["make_estate"]

LEAP_DAY = "0 3 29 2 *"


def test_a_resource_without_a_backup_gets_a_full_one_at_once_when_it_has_a_schedule(make_estate):
    estate = make_estate(backup={"full": LEAP_DAY})
    estate.serve()
    estate.wait_for(lambda seen: seen.newest_backup is not None, "the first backup")
    assert len(estate.installation.repository(NEAR).backups(RESOURCE).usable) == 1
    shown = estate.seen()
    assert shown.newest_backup is not None
    assert shown.next_backup is not None
    estate.terminate()
    estate.serve()
    estate.wait_until_held(estate.write())
    assert len(estate.installation.records.runs()) == 1, "it was taken once"


def test_the_first_backup_waits_for_a_server_that_is_down(make_estate):
    estate = make_estate(backup={"full": LEAP_DAY})
    estate.server.stop()
    estate.serve()
    wait_until(lambda: "the first backup" in estate.log_text(), "the first attempt")
    estate.server.start()
    estate.wait_for(lambda seen: seen.newest_backup is not None, "the first backup")


def test_without_a_schedule_nothing_is_taken_unasked(make_estate):
    estate = make_estate()
    estate.serve()
    estate.wait_until_held(estate.write(2))
    assert estate.installation.records.runs() == ()


def test_a_drill_reads_the_heartbeat_back_and_judges_the_loss_by_it(make_estate):
    estate = make_estate(heartbeat={"every": "1s"})
    estate.serve()
    estate.command("backup", "orders")
    estate.wait_until_held(estate.write())
    drilled = json.loads(estate.command("drill", "database_corruption", "--json").stdout)
    point = drilled["measured"]["recovery_point"]
    assert point["source"] == "heartbeat"
    assert point["verdict"] == "met"
    verified = next(
        step
        for step in estate.installation.records.steps(estate.installation.records.runs(1)[0].run)
        if step.key == "orders/verify-database"
    )
    assert point["at"] is not None
    assert datetime.fromisoformat(str(verified.evidence.proof["newest_heartbeat"])) == datetime.fromisoformat(point["at"])
