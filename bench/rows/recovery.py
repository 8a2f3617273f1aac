"""A destroyed database back in service, by phase (PostgreSQL 18)."""

from __future__ import annotations

import shutil
from contextlib import ExitStack

import psycopg
from tests.servers.flavours import Flavour
from tests.servers.ledger import Ledger

from bench.databases import bytes_of, database
from bench.ground import Ground
from bench.results import Measured, RowResult
from bench.rounds import DISTURBED, Figures, Options, take_turns
from bench.subject import UnderstudySubject

NAME = "recovery"
TITLE = "Recovery end to end, by phase (PostgreSQL 18)"

_COMMITS = 5000
_HOW = (
    "A database of {size:.1f} GiB under 8 writers, synchronous; SIGKILL of every server process, removal of the data "
    "directory, `understudy recover database_corruption --yes`. Phases as the command itself measured them; `wall` is "
    "the whole command, the new base backup that ends it (protect) included. From the second round on, the server "
    "that the round before recovered is destroyed."
)


def measure(ground: Ground, options: Options) -> RowResult:
    with ExitStack() as undo:
        server = undo.enter_context(database(ground, Flavour.WHEEL_18, options.scale))
        subject = undo.enter_context(UnderstudySubject(ground, server, synchronous=True))
        subject.back_up("--full")
        server.sql("alter system set synchronous_standby_names = '*'")
        server.sql("select pg_reload_conf()")
        subject.back_up("--full")  # with that setting in it: what a recovery brings back is the configuration of the backup
        series = take_turns(ground, options.rounds, {"understudy recover": lambda number: _recover(subject, number)})
    how = _HOW.format(size=bytes_of(options.scale) / 2**30)
    return RowResult(NAME, TITLE, how, [Measured(name, what, values) for (name, what), values in series.values.items()], [])


def _recover(subject: UnderstudySubject, number: int) -> Figures:
    server = subject.server
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("drop table if exists understudy_ledger")  # of the round before
    ledger = Ledger(server.url, subject.directory / f"ledger-{number}.txt").start()
    ledger.wait_for(_COMMITS)
    server.kill_everything()
    subject.kill_recovered_server()
    ledger.wait()
    shutil.rmtree(server.data)
    done = subject.run("recover", "database_corruption", "--yes")
    lost = ledger.acknowledged() - Ledger.found(server.url)
    measurement = done.document["measured"]["measurement"]  # type: ignore[index]
    figures = {"wall s": done.cost.wall_seconds, "recovery time s": measurement["recovery_time"]}
    figures |= {f"{phase} s": seconds for phase, seconds in measurement["phases"].items()}
    figures |= {f"{phase} (afterwards) s": seconds for phase, seconds in measurement["afterwards"].items()}
    return figures | {"lost commits": len(lost), DISTURBED: done.cost.disturbed_share}
