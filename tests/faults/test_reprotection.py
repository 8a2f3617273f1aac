"""After a real recovery the new backup is in every repository, and one that is away is named without failing the recovery."""

import json

import psycopg
import pytest

from tests.faults.estate import FAR, NEAR, RESOURCE, assert_contiguous
from tests.restore_matrix.estate import SilentWatcher, expect_success, proof_of
from tests.servers.flavours import Flavour
from understudy.app.recoveries import Choice, recover
from understudy.stack.models import Scenario
from understudy.vocabulary.identifiers import BackupKind, Person
from understudy.vocabulary.wal import Lsn, WalSegment


def recovered(estate):
    """The command's own JSON; fails the test where the recovery failed or missed an objective."""
    return json.loads(estate.command("recover", "database_corruption", "--yes", "--json").stdout)


def claim_of(told, verb):
    return next(step["evidence"]["claim"] for step in told["steps"] if step["key"] == f"{RESOURCE}/{verb}")


def newest(estate, repository):
    return max(estate.installation.repository(repository).backups(RESOURCE).usable, key=lambda backup: backup.stop_time)


def write_to_the_recovered(estate):
    """Complete a segment; its sockets lie elsewhere than the old server's."""
    with psycopg.connect(estate.server.url, autocommit=True) as connection:
        connection.execute("create table written_after ()")
        [name, size] = connection.execute(
            "select pg_walfile_name(pg_switch_wal()), pg_size_bytes(current_setting('wal_segment_size'))"
        ).fetchone()
    return WalSegment.parse(name, size)


def test_every_repository_holds_the_backup_that_protects_anew_and_goes_on_without_a_hole(make_estate):
    estate = make_estate(bucket=True)
    estate.serve()
    estate.command("backup", "orders")
    estate.wait_until_held(estate.write(2), NEAR, FAR)
    before = newest(estate, NEAR)
    told = recovered(estate)
    assert told["measured"]["unprotected"] == []
    assert claim_of(told, "ship-remaining-wal") == "every received byte of WAL is in every repository"
    assert newest(estate, NEAR).kind is BackupKind.FULL
    assert newest(estate, FAR).label == newest(estate, NEAR).label != before.label
    estate.wait_until_held(write_to_the_recovered(estate), NEAR, FAR)
    estate.wait_for(lambda seen: not seen.shipping_faults, "both streams to go on without a hole")
    estate.command("drill", "database_corruption", "--repository", FAR)
    assert json.loads(estate.command("verify", "--json").stdout)["passed"]


class ServersThatWrite:
    """Passes everything on; whoever reads all rows has the server write and recycle WAL, as hint bits and pruning do."""

    def __init__(self, instances):
        self._instances = instances

    def __getattr__(self, name):
        return getattr(self._instances, name)

    def read_logically(self, place, *arguments):
        for _ in range(4):
            self._instances.query(place, "select pg_logical_emit_message(false, 'x', repeat('x', 300000))")
            self._instances.query(place, "select pg_switch_wal()")
            self._instances.query(place, "checkpoint")
        return self._instances.read_logically(place, *arguments)


@pytest.mark.parametrize("flavour", [Flavour.WHEEL_18, Flavour.DEBIAN_15])
def test_what_the_verification_makes_a_recovered_server_write_is_received_from_its_first_byte_on(make_estate, flavour):
    estate = make_estate(server={"flavour": flavour, "settings": {"max_wal_size": "4MB", "min_wal_size": "2MB"}})
    estate.command("backup", "orders")
    before = newest(estate, NEAR)
    installation = estate.installation
    vars(installation)["instances"] = {RESOURCE: ServersThatWrite(installation.instances[RESOURCE])}
    view = recover(installation, Scenario.DATA_LOSS, (), Choice(), SilentWatcher(), approved_by=Person("a test"))
    assert expect_success(view)
    assert "lost" not in next(step.evidence.hint for step in view.steps if step.key == f"{RESOURCE}/await-wal-in-{NEAR}")
    timeline = proof_of(view, "promote")["timeline"]
    began = WalSegment.holding(timeline, Lsn.parse(proof_of(view, "replay-wal")["replayed_lsn"]), 2**20)
    held = estate.numbers_in(NEAR, timeline)
    assert held[0] == began.number
    assert len(held) >= 4
    assert_contiguous(held)
    assert json.loads(estate.command("verify", "--json").stdout)["passed"]
    estate.command("drill", "database_corruption", "--backup", before.label.text)


def test_a_further_repository_that_is_away_is_named_and_does_not_fail_the_recovery(make_estate):
    estate = make_estate(bucket=True)
    estate.serve()
    estate.command("backup", "orders")
    estate.wait_until_held(estate.write(2), NEAR, FAR)
    before = newest(estate, FAR)
    estate.s3.stop()
    told = recovered(estate)
    assert told["measured"]["unprotected"] == [FAR]
    assert claim_of(told, "ship-remaining-wal") == "the WAL that was received is shipped, but for what the hint names"
    ended = {step["key"]: step for step in told["steps"]}
    for step in (ended[f"orders/await-wal-in-{FAR}"], ended[f"orders/copy-backup-to-{FAR}"]):
        assert step["state"] == "skipped"
        assert FAR in step["evidence"]["proof"]["reason"]
        assert "understudy backup orders --full" in step["evidence"]["hint"]
    assert newest(estate, NEAR).label != before.label
    estate.s3.start()
    assert newest(estate, FAR) == before
    estate.command("backup", "orders", "--full")
    assert newest(estate, FAR).label == newest(estate, NEAR).label
