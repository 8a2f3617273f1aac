"""Why a run waits is said by the command that carries it out, by one that follows ``serve``, by ``show`` and by ``status``."""

import json

import pytest

from tests.servers.processes import wait_until

UNREACHABLE = "store_unreachable"


@pytest.fixture
def estate(make_estate):
    """Backed up into both repositories; the bucket is away now."""
    made = make_estate(bucket=True)
    made.command("backup", "orders")
    made.s3.stop()
    return made


def held_up(estate):
    return json.loads(estate.command("status", "--json").stdout)["held_up"]


@pytest.mark.parametrize("served", [False, True], ids=["alone", "served"])
def test_a_backup_that_waits_for_a_repository_says_so_everywhere_and_no_longer_than_it_waits(estate, served):
    if served:
        estate.serve()
    told = estate.directory / "told"
    with told.open("w") as terminal:
        waiting = estate.start_command("backup", "orders", "--full", told=terminal)
    wait_until(lambda: UNREACHABLE in told.read_text() or waiting.poll() is not None, "it to say what it waits for")
    [step] = held_up(estate)
    assert (step["step"], step["code"]) == ("orders/await-wal-in-far", UNREACHABLE)
    assert step["found"] and step["hint"] and step["since"]
    assert f"waiting in orders/await-wal-in-far since {step['since'][:13]}" in estate.command("status").stdout
    shown = estate.command("show", step["run"]).stdout
    assert "waiting since" in shown and f"{UNREACHABLE}: " in shown

    estate.s3.start()
    printed, _ = waiting.communicate(timeout=120)
    said = told.read_text()
    assert waiting.returncode == 0, printed + said
    assert said.count("waiting   orders/await-wal-in-far") == 1, said
    assert held_up(estate) == []
    estate.wait_for(lambda seen: not seen.shipping_faults, "shipping, which looks for itself, to have found it, too")
    assert UNREACHABLE not in estate.command("status").stdout + estate.command("show", step["run"]).stdout
