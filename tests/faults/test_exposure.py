"""What would be lost now, as ``status`` tells it of a real server."""

import json
import os
import signal

from tests.faults.estate import NEAR
from tests.servers.ledger import Ledger


def is_small(seen):
    exposure = seen.exposure
    return exposure is not None and exposure.known and exposure.size_bytes == 0 and exposure.seconds < 5


def test_exposure_is_unknown_before_anything_is_known(make_estate):
    estate = make_estate()
    assert estate.seen().exposure is None, "nobody watches"
    estate.server.stop()
    estate.serve()
    shown = estate.wait_for(lambda seen: seen.exposure is not None, "an answer")
    assert not shown.exposure.known
    assert shown.exposure.gap == "never_sampled"
    said = json.loads(estate.command("status", "--json", expect=3).stdout)["resources"][0]
    assert said["exposure"]["known"] is False


def test_exposure_of_an_idle_server_does_not_grow_although_its_wal_ends_in_zeros(make_estate):
    estate = make_estate()
    estate.serve()
    estate.server.sql("create table t (n int)")
    estate.wait_for(is_small, "everything to be safe")
    estate.server.sql("select pg_switch_wal()")
    estate.wait_for(is_small, "the switched segment to be safe")
    seen = [estate.wait_for(is_small, "it to stay small") for _ in range(100)]
    assert len({each.exposure.size_bytes for each in seen}) == 1


def test_exposure_grows_while_nothing_is_shipped_and_returns_under_load(make_estate, tmp_path):
    estate = make_estate()
    estate.serve()
    with Ledger(estate.server.url, tmp_path / "ledger", connections=2) as ledger:
        ledger.wait_for(50)
        estate.wait_for(lambda seen: seen.exposure is not None and seen.exposure.known, "a figure")
        estate.unmount()
        first = estate.wait_for(lambda seen: seen.exposure.known and seen.exposure.seconds > 3, "it to grow")
        later = estate.wait_for(lambda seen: seen.exposure.seconds > first.exposure.seconds + 2, "it to grow further")
        assert later.exposure.size_bytes > first.exposure.size_bytes > 0
        assert later.exposure_by_repository[NEAR] == later.exposure
        estate.mount()
        estate.wait_for(lambda seen: seen.exposure.seconds < first.exposure.seconds, "it to return under load")
    estate.wait_for(is_small, "everything to be safe")


def test_exposure_survives_a_restart_of_serve(make_estate):
    """What was unsafe before the restart is as old after it as it is; it doesn't begin anew at nothing, nor is it unknown."""
    estate = make_estate()
    estate.serve()
    estate.wait_until_held(estate.write())
    estate.wait_for(is_small, "everything to be safe")
    estate.unmount()
    estate.server.sql("create table t (n int)")
    before = estate.wait_for(lambda seen: seen.exposure.seconds > 3 and seen.exposure.size_bytes > 0, "it to grow")
    estate.kill()
    estate.serve()
    after = estate.wait_for(lambda seen: seen.exposure is not None and seen.exposure.known, "a figure")
    assert after.exposure.seconds > before.exposure.seconds
    assert after.exposure.size_bytes >= before.exposure.size_bytes
    estate.mount()
    estate.wait_for(is_small, "everything to be safe")


def test_exposure_counts_from_the_repository_that_is_furthest(make_estate):
    estate = make_estate(bucket=True)
    estate.serve()
    estate.wait_for(is_small, "everything to be safe")
    estate.unmount()
    estate.server.sql("create table t (n int)")
    estate.wait_for(
        lambda seen: is_small(seen) and seen.exposure_by_repository[NEAR].seconds > 8, "only the one that is away to fall behind"
    )


def test_a_receiver_that_hangs_shows_as_exposure(make_estate):
    estate = make_estate()
    estate.serve()
    estate.wait_for(is_small, "everything to be safe")
    receiver = estate.receiver_pid
    os.kill(receiver, signal.SIGSTOP)
    try:
        estate.server.sql("create table t (n int)")
        estate.wait_for(lambda seen: seen.exposure.seconds > 3 and seen.exposure.size_bytes > 0, "it to grow")
    finally:
        os.kill(receiver, signal.SIGCONT)
    estate.wait_for(is_small, "everything to be safe")
