"""What streaming costs the database's clients: pgbench with and without it (PostgreSQL 18)."""

from __future__ import annotations

import re
import threading
from contextlib import ExitStack
from functools import partial

from tests.servers.flavours import Flavour
from tests.servers.postgres import PostgresServer

from bench.databases import database
from bench.ground import Ground
from bench.processes import Cost, costs
from bench.results import Compared, Measured, RowResult
from bench.rounds import Figures, Options, take_turns
from bench.subject import UnderstudySubject

NAME = "throughput"
TITLE = "Throughput under streaming (PostgreSQL 18)"

_SECONDS = 12
_CLIENTS = 8
_NONE, _ASYNCHRONOUS, _SYNCHRONOUS = "no archiving", "asynchronous", "synchronous"
_HOW = (
    f"`pgbench -M prepared -c {_CLIENTS} -j 2 -T {_SECONDS}` on the machine that also runs the server and, where it "
    "streams, `understudy serve` (receiver, shipping of segments and tails every 10 s, exposure, heartbeats). No "
    "archiving: no receiver, no slot. Synchronous: the receiver is the only name in synchronous_standby_names. A "
    "checkpoint before each."
)


def measure(ground: Ground, options: Options) -> RowResult:
    with ExitStack() as undo:
        server = undo.enter_context(database(ground, Flavour.WHEEL_18, options.scale))
        subjects = {_NONE: lambda _: _figures(_pgbench(server))}
        for name in (_ASYNCHRONOUS, _SYNCHRONOUS):
            subjects[name] = partial(_streaming, ground, server, name)
        series = take_turns(ground, options.rounds, subjects)
    compared = [
        Compared(f"throughput, {name} against no archiving", series.of(name, "tps"), series.of(_NONE, "tps"), target, True)
        for name, target in ((_ASYNCHRONOUS, 0.93), (_SYNCHRONOUS, 0.65))
    ]
    return RowResult(
        NAME, TITLE, _HOW, [Measured(name, what, values) for (name, what), values in series.values.items()], compared
    )


def _streaming(ground: Ground, server: PostgresServer, name: str, _: int) -> Figures:
    """With a slot, a spool and a repository of its own each time: a spool from before the last turn would show a hole."""
    with UnderstudySubject(ground, server, synchronous=name == _SYNCHRONOUS, stack=name) as subject:
        subject.serve()
        try:
            _wait_for(server, "*" if name == _SYNCHRONOUS else "")
            return _figures(_pgbench(server))
        finally:
            _wait_for(server, "")
            subject.stop_serving()
            subject.stop_receiver()
            _drop_slots(server)


def _drop_slots(server: PostgresServer) -> None:
    while server.sql("select count(*) from pg_replication_slots where active")[0][0]:
        threading.Event().wait(0.05)
    server.sql("select pg_drop_replication_slot(slot_name) from pg_replication_slots")


def _wait_for(server: PostgresServer, names: str) -> None:
    server.sql(f"alter system set synchronous_standby_names = '{names}'")
    server.sql("select pg_reload_conf()")


def _pgbench(server: PostgresServer) -> Cost:
    server.sql("checkpoint")
    arguments = ("-n", "-M", "prepared", "-c", str(_CLIENTS), "-j", "2", "-T", str(_SECONDS), "postgres")
    return costs(lambda: server.program("pgbench", *arguments).stdout, server.pid)


def _figures(cost: Cost) -> Figures:
    found = re.search(r"^tps = ([\d.]+)", cost.output, re.MULTILINE)
    assert found, cost.output
    return {"tps": float(found[1])}
