"""What streaming costs the database's clients: pgbench with and without it (PostgreSQL 18)."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from tests.servers.flavours import Flavour, run_as_owner
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
_SETTLE_SHARE = 0.05
_SETTLE_LOOKS = 120
_NONE, _ASYNCHRONOUS, _SYNCHRONOUS = "no archiving", "asynchronous", "synchronous"
_BARE = {_ASYNCHRONOUS: "pg_receivewal alone, asynchronous", _SYNCHRONOUS: "pg_receivewal alone, synchronous"}
_HOW = (
    f"`pgbench -M prepared -c {_CLIENTS} -j 2 -T {_SECONDS}` on the machine that also runs the server and, where it "
    "streams, `understudy serve` (receiver, shipping of segments and tails every 10 s, exposure, heartbeats), which has been "
    "started before and has come to rest. No archiving: no receiver, no slot. Synchronous: the receiver is the only name in "
    "synchronous_standby_names. pg_receivewal alone: the raw limit, PostgreSQL's own program with a slot and nothing behind it. "
    "A checkpoint before each."
)


def measure(ground: Ground, options: Options) -> RowResult:
    with ExitStack() as undo:
        server = undo.enter_context(database(ground, Flavour.WHEEL_18, options.scale))
        subjects = {_NONE: lambda _: _figures(_pgbench(server))}
        for name in (_ASYNCHRONOUS, _SYNCHRONOUS):
            subjects[name] = partial(_streaming, ground, server, name)
            subjects[_BARE[name]] = partial(_received, ground, server, name)
        series = take_turns(ground, options.rounds, subjects)
    none = series.of(_NONE, "tps")
    compared = []
    for name, target in ((_ASYNCHRONOUS, 0.93), (_SYNCHRONOUS, 0.65)):
        bare = series.of(_BARE[name], "tps")
        compared += [
            Compared(f"throughput, {name} against no archiving", series.of(name, "tps"), none, target, True),
            Compared(f"throughput, {_BARE[name]} against no archiving", bare, none, None, True),
            Compared(f"throughput, {name} against {_BARE[name]}", series.of(name, "tps"), bare, None, True),
        ]
    return RowResult(
        NAME, TITLE, _HOW, [Measured(name, what, values) for (name, what), values in series.values.items()], compared
    )


def _streaming(ground: Ground, server: PostgresServer, name: str, _: int) -> Figures:
    """With a slot, a spool and a repository of its own each time: a spool from before the last turn would show a hole."""
    with UnderstudySubject(ground, server, synchronous=name == _SYNCHRONOUS, stack=name) as subject:
        subject.serve()
        try:
            _wait_until_settled(subject)
            _wait_for(server, "*" if name == _SYNCHRONOUS else "")
            return _figures(_pgbench(server))
        finally:
            _wait_for(server, "")
            subject.stop_serving()
            subject.stop_receiver()
            _drop_slots(server)


def _wait_until_settled(subject: UnderstudySubject) -> None:
    """Its start belongs to no second of streaming; it is over when a second of it costs next to nothing."""
    for _ in range(_SETTLE_LOOKS):
        before = subject.serving_cpu_seconds
        threading.Event().wait(1)
        if subject.serving_cpu_seconds - before < _SETTLE_SHARE:
            return
    raise RuntimeError(f"understudy serve does not come to rest within {_SETTLE_LOOKS} s")


def _received(ground: Ground, server: PostgresServer, name: str, _: int) -> Figures:
    with _pg_receivewal(ground, server, synchronous=name == _SYNCHRONOUS):
        try:
            _wait_for(server, "*" if name == _SYNCHRONOUS else "")
            return _figures(_pgbench(server))
        finally:
            _wait_for(server, "")


@contextmanager
def _pg_receivewal(ground: Ground, server: PostgresServer, *, synchronous: bool) -> Iterator[None]:
    spool = ground.new_directory("received")
    server.sql("select pg_create_physical_replication_slot('bare', true)")
    command = [str(server.programs / "pg_receivewal"), "-D", str(spool), "--slot", "bare", "-d", server.url]
    command += ["--synchronous"] if synchronous else []
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", **run_as_owner()
    )
    try:
        while not server.sql("select count(*) from pg_stat_replication where state = 'streaming'")[0][0]:
            if process.poll() is not None:
                raise RuntimeError(f"pg_receivewal ended with {process.returncode}")
            threading.Event().wait(0.05)
        yield
    finally:
        process.terminate()
        process.wait(timeout=60)
        _drop_slots(server)
        shutil.rmtree(spool)


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
