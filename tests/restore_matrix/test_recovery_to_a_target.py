"""A real recovery to a moment before a mistake. Versions: 15 (Debian) over S3, 18 (wheel) over file."""

import shutil
from collections.abc import Callable

import pytest

from tests.restore_matrix.estate import Estate, dump_of, end_recovered_server, expect_success, proof_of
from tests.restore_matrix.sequences import assert_sequences_not_behind, sequences_of
from tests.restore_matrix.stores import StoreKind
from tests.restore_matrix.story import RESTORE_POINT, SETTINGS, Moment, draw_tickets, mark, marks_in
from tests.servers.flavours import Flavour
from tests.servers.postgres import PostgresServer
from understudy.app.recoveries import Choice
from understudy.vocabulary.identifiers import BackupKind

SOURCES = {"18-file": (Flavour.WHEEL_18, StoreKind.FILE), "15-s3": (Flavour.DEBIAN_15, StoreKind.S3)}
GOOD_MOMENT: dict[str, Callable[[Moment], str]] = {
    "--time": lambda good: good.committed.isoformat(),
    "--name": lambda good: RESTORE_POINT,
    "--lsn": lambda good: str(good.lsn),
}


def runs_on(server: PostgresServer) -> None:
    """A mistake ends no server: whoever recovers does."""


def dies(server: PostgresServer) -> None:
    server.kill_everything()


def is_destroyed(server: PostgresServer) -> None:
    server.kill_everything()
    shutil.rmtree(server.data)


def make_a_mistake(estate: Estate) -> tuple[Moment, str]:
    """The moment before it, and the cluster as it was then.

    The repository holds what came after it, too: a whole segment, and a tail. The next timeline uses their numbers again.
    """
    server = estate.server
    server.sql("create table marks (name text primary key); create sequence tickets")
    draw_tickets(server)
    server.sql("create table prices as select n, n * 2 as price from generate_series(1, 500) n")
    estate.back_up_well(BackupKind.FULL)
    server.sql("insert into marks values ('before')")
    draw_tickets(server)
    good = mark(server, "good")
    as_it_was = dump_of(server)
    server.sql(f"select pg_create_restore_point('{RESTORE_POINT}')")
    server.sql("insert into marks values ('mistake'); drop table prices; select pg_switch_wal()")
    server.sql("insert into marks values ('end')")
    draw_tickets(server)
    estate.ship()
    return good, as_it_was


@pytest.mark.parametrize(
    ("source", "option", "what_the_server_does"),
    [("18-file", "--time", runs_on), ("18-file", "--name", is_destroyed), ("15-s3", "--lsn", dies)],
    ids=["18-file-time-running", "18-file-name-destroyed", "15-s3-lsn-dead"],
)
def test_a_recovery_to_a_moment_before_a_mistake_serves_that_moment_and_is_protected_anew(
    make_estate, source, option, what_the_server_does
):
    flavour, store = SOURCES[source]
    estate = make_estate(flavour, store, settings=SETTINGS)
    server = estate.server
    good, as_it_was = make_a_mistake(estate)
    what_the_server_does(server)
    try:
        estate.command("recover", "data_loss", option, GOOD_MOMENT[option](good), "--yes")
        assert marks_in(server) == {"before", "good"}
        assert dump_of(server) == as_it_was
        assert_sequences_not_behind(good.sequences, sequences_of(server))
        assert server.sql("select left(pg_walfile_name(pg_current_wal_lsn()), 8)") == [("00000002",)]
        estate.reopen()
        assert [(backup.kind, backup.timeline) for backup in estate.backups()] == [(BackupKind.FULL, 1), (BackupKind.FULL, 2)]

        # Of the segments that the abandoned timeline filled, too: whoever mixed the two up would see a wal_conflict.
        server.sql("insert into marks values ('afterwards'); select pg_switch_wal()")
        server.sql("insert into marks values ('at the end')")
        estate.ship()
        copy = server.sibling()
        restored = expect_success(estate.restore(Choice(), copy.data))
        assert proof_of(restored, "replay-wal")["timeline"] == 2
        assert marks_in(copy.start()) == {"before", "good", "afterwards", "at the end"}
        assert dump_of(copy) == dump_of(server)
    finally:
        end_recovered_server(server)
