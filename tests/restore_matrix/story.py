"""What happens to a database in these tests: two data sets, backups, work, a moment worth going back to, and then a mistake."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.restore_matrix.estate import Estate, dump_of
from tests.restore_matrix.sequences import Sequences, sequences_of
from tests.servers.flavours import Flavour
from tests.servers.postgres import PostgresServer
from understudy.vocabulary.identifiers import BackupKind
from understudy.vocabulary.wal import Lsn

CHINOOK = Path(__file__).parent.parent / "data" / "chinook.sql"
SETTINGS = {"track_commit_timestamp": "on", "autovacuum": "off"}
"""Nobody commits but the story: what was committed since would be shipped by each restore, too."""
RESTORE_POINT = "before the mistake"
_WORK = """\
\\set account random(1, 5000)
\\set teller random(1, 10)
\\set delta random(-5000, 5000)
begin;
update pgbench_accounts set abalance = abalance + :delta where aid = :account;
update pgbench_tellers set tbalance = tbalance + :delta where tid = :teller;
update pgbench_branches set bbalance = bbalance + :delta where bid = 1;
insert into pgbench_history (tid, bid, aid, delta, mtime) values (:teller, 1, :account, :delta, current_timestamp);
commit;
"""


@dataclass(frozen=True)
class Moment:
    """One commit, and the whole cluster as it was right after it."""

    committed: datetime
    """As the server stamped the commit, to the microsecond."""
    xid: str
    lsn: Lsn
    """The end of the WAL then: the next record begins here."""
    dump: str
    """Empty where nobody compares it: reading every row takes longer than all else that marks a moment."""
    sequences: Sequences


@dataclass(frozen=True)
class Story:
    estate: Estate
    as_of_backup: str
    """The cluster as the newest backup found it."""
    good: Moment
    end: Moment


def tell(estate: Estate) -> Story:
    """On servers that know incremental backups the newest backup is the second one of a chain."""
    server = estate.server
    load_chinook(server)
    prepare_work(server)
    server.sql("create table marks (name text primary key); create sequence tickets")
    draw_tickets(server)
    estate.back_up_well(BackupKind.FULL)
    if server.flavour is Flavour.WHEEL_18:
        for _ in range(2):
            work(server)
            assert estate.back_up_well().kind is BackupKind.INCREMENTAL
    as_of_backup = dump_of(server)
    work(server)
    draw_tickets(server)
    mark(server, "before")
    good = mark(server, "good", dumped=True)
    server.sql(f"select pg_create_restore_point('{RESTORE_POINT}')")
    mark(server, "mistake")
    server.sql("drop table invoice_line, invoice", db="chinook")
    work(server)
    draw_tickets(server)
    end = mark(server, "end", dumped=True)
    estate.ship()
    return Story(estate, as_of_backup, good, end)


def load_chinook(server: PostgresServer) -> None:
    script = _readable(server, CHINOOK.name, CHINOOK.read_text())
    server.program("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", str(script), "postgres")


def prepare_work(server: PostgresServer) -> None:
    """pgbench's tables with a twentieth of the smallest scale's rows, of which each dump reads all."""
    server.program("pgbench", "-i", "-q", "-s", "1", "postgres")
    server.sql("delete from pgbench_accounts where aid > 5000")
    server.sql("vacuum full pgbench_accounts")
    _readable(server, "work.sql", _WORK)


def work(server: PostgresServer) -> None:
    server.program("pgbench", "-n", "-t", "40", "-c", "2", "-f", str(server.directory / "work.sql"), "postgres")


def draw_tickets(server: PostgresServer) -> None:
    """More than are logged at once, so that no two moments of the story are taken for one another."""
    server.sql("select nextval('tickets') from generate_series(1, 100)")


def mark(server: PostgresServer, name: str, *, dumped: bool = False) -> Moment:
    """Commit a row of this name, alone in its transaction."""
    with server.connect() as connection:
        xid = connection.execute("select pg_current_xact_id()::text").fetchone()[0]
        connection.execute("insert into marks values (%s)", [name])
    committed = server.sql(f"select pg_xact_commit_timestamp('{xid}'::xid)")[0][0]
    lsn = Lsn.parse(str(server.sql("select pg_current_wal_lsn()::text")[0][0]))
    assert isinstance(committed, datetime)
    return Moment(committed.astimezone(UTC), str(xid), lsn, dump_of(server) if dumped else "", sequences_of(server))


def _readable(server: PostgresServer, name: str, script: str) -> Path:
    """A file for the server's user."""
    path = server.directory / name
    path.write_text(script)
    path.chmod(0o644)
    return path


def marks_in(server: PostgresServer) -> set[str]:
    return {str(row[0]) for row in server.sql("select name from marks")}
