"""Pages that came back damaged: nobody is let in, and an older backup is tried where there is one."""

import json
import os
import struct
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.cli.commands import leading_to, understudy
from tests.restore_matrix.estate import SilentWatcher, expect_success, failed_step, proof_of
from understudy.app.backups import back_up
from understudy.app.installation import Installation
from understudy.app.measuring import measure
from understudy.app.recoveries import Choice, recover
from understudy.ports.instance import InstancePlace, StopMode
from understudy.records.run import StepState
from understudy.stack.models import Scenario
from understudy.vocabulary.disruption import Disruption, KnownBy
from understudy.vocabulary.identifiers import BackupKind, Person, ResourceName

PAGE_BYTES = 8192
LSN_IN_THE_FUTURE = struct.pack("=II", 0xFFFF, 0)
"""The server leaves pages that changed since a base backup began to replay, and looks at no checksum of theirs."""
SILENT = SilentWatcher()


class Damaged:
    """A protected server, one page of which no longer agrees with its checksum: of an index, or of its table."""

    def __init__(self, desk, server):
        self.desk, self.server = desk, server
        server.sql("create table words (word text primary key); insert into words values ('kept')")
        desk.write(server, url=server.url)
        self.installation = Installation.open(desk.stack_file, desk.state)
        self.place = InstancePlace(f"{desk.directory}/recovered", f"{desk.directory}/recovered.run", server.port)

    def back_up(self):
        expect_success(back_up(self.installation, "orders", BackupKind.FULL, SILENT))
        return max(self.installation.repository("near").backups(ResourceName("orders")).usable, key=lambda each: each.stop_time)

    def damage_a_page(self, relation="words_pkey"):
        """The last one, in the middle, where there is no row."""
        [(path,)] = self.server.sql(f"checkpoint; select pg_relation_filepath('{relation}')")
        with (self.server.data / str(path)).open("r+b") as file:
            begins = file.seek(-PAGE_BYTES, os.SEEK_END)
            page = bytearray(file.read(PAGE_BYTES))
            page[: len(LSN_IN_THE_FUTURE)] = LSN_IN_THE_FUTURE
            page[PAGE_BYTES // 2] ^= 1
            file.seek(begins)
            file.write(page)

    def close(self):
        self.installation.receivers["orders"].stop()
        self.installation.instances["orders"].stop(self.place, StopMode.IMMEDIATE)


@pytest.fixture
def damaged(desk, postgres_servers):
    made = Damaged(desk, postgres_servers("wheel18"))
    yield made
    made.close()


@pytest.mark.parametrize(
    ("relation", "found"),
    [("words_pkey", ("check-pages", "pages_damaged")), ("words", ("verify-database", "logical_read_failed"))],
    ids=["of an index", "of a table"],
)
def test_a_recovery_lets_nobody_in_to_damaged_pages_and_goes_on_from_the_older_backup(damaged, relation, found):
    older = damaged.back_up()
    damaged.damage_a_page(relation)
    newer = damaged.back_up()
    damaged.server.kill_everything()
    since = datetime.now(UTC)
    view = expect_success(
        recover(damaged.installation, Scenario.DATABASE_CORRUPTION, (), Choice(), SILENT, approved_by=Person("anna"), since=since)
    )
    assert failed_step(view.follows) == found
    assert proof_of(view.follows, found[0])["backup"] == newer.label.text
    states = {step.key.partition("/")[2]: step.state for step in view.follows.steps}
    assert states["open-to-clients"] is StepState.SKIPPED
    assert proof_of(view, "restore-base-backup")["labels"] == [older.label.text]
    assert proof_of(view, "check-pages")["pages_bad"] == 0
    [aside] = [each for each in proof_of(view, "provision-target")["set_aside"] if "/recovered.before-" in str(each)]
    assert aside, "the copy that was replayed to the end is not thrown away"
    with psycopg.connect(damaged.server.url) as connection:
        assert connection.execute("select word from words").fetchall() == [("kept",)]

    measured = measure(damaged.installation, view)
    assert measured.disruption == Disruption.exactly(since, KnownBy.PERSON), "both runs count from the first moment"
    assert measured.measurement.recovery_time > view.run.ended - view.run.submitted - sum(
        measured.measurement.afterwards.values(), timedelta()
    )
    assert sum(measured.measurement.phases.values(), timedelta()) == measured.measurement.recovery_time


def test_where_no_other_backup_is_left_it_says_what_a_person_can_do_and_lets_nobody_in(damaged):
    damaged.damage_a_page()
    label = damaged.back_up().label.text
    damaged.server.kill_everything()
    done = understudy(damaged.desk, "recover", "database_corruption", "--yes")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "pages_damaged" in done.stderr
    assert "no_sound_backup" in done.stdout and label in done.stdout
    copying = f"understudy restore orders --backup LABEL --to DIRECTORY {leading_to(damaged.desk)}"
    assert f"{copying} leaves a copy there" in done.stdout
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(damaged.server.url)
    assert not damaged.installation.instances["orders"].facts(damaged.place).running

    copy = damaged.desk.directory / "copy"
    done = understudy(damaged.desk, "restore", "orders", "--backup", label, "--to", copy, "--json")
    assert [step["error"]["code"] for step in json.loads(done.stdout)["steps"] if step["state"] == "failed"] == ["pages_damaged"]
    assert (copy / "PG_VERSION").exists(), "what can be repaired by hand is left"
