"""A full backup of PostgreSQL 15, sealed, every file's digest checked."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from tests.servers.flavours import Flavour
from tests.servers.postgres import PostgresServer

from bench import barman, pgbackrest, stock
from bench.databases import database
from bench.ground import Ground
from bench.processes import Cost, costs
from bench.results import Compared, Measured, RowResult
from bench.rounds import DISTURBED, Figures, Options, take_turns
from bench.subject import UnderstudySubject

NAME = "full-backup"
TITLE = "Full backup, sealed, every file's digest checked (PostgreSQL 15)"
FLAVOUR = Flavour.DEBIAN_15

_HOW = (
    "Wall time of the whole command, interpreter start, checkpoint (fast for all) and the wait for the last WAL "
    "segment included. CPU is that of the command's processes and of the database server's. Understudy: `understudy "
    "backup orders --full` into a `file://` repository. pgBackRest: encrypted repository (aes-256-cbc), zst level 3, "
    "process-max=2. Barman: pg_basebackup method, the server's zstd 3, not encrypted. `pg_basebackup | zstd | age`: "
    "`-Ft -X none`, `zstd -3 -T2`. `tar | zstd | age`: the raw limit, the same files read from the directory. The "
    "packing step is Understudy's `take-base-backup` alone, as its evidence states it."
)
_MIB = 2**20


def measure(ground: Ground, options: Options) -> RowResult:
    with ExitStack() as undo:
        server = undo.enter_context(database(ground, FLAVOUR, options.scale, {"archive_mode": "on"}))
        archive_with(server, "/bin/true")
        subject = undo.enter_context(UnderstudySubject(ground, server))
        subject.back_up("--full")  # makes the slot and the repository
        subjects: dict[str, Callable[[int], Figures]] = {"understudy": lambda _: _understudy(subject)}
        if pgbackrest.version():
            subjects["pgBackRest"] = _pgbackrest(undo, ground, server)
        if barman.version():
            subjects["Barman"] = _barman(undo, ground, server)
        subjects["tar | zstd | age"] = lambda _: _pipe(subject, stream=False)
        subjects["pg_basebackup | zstd | age"] = lambda _: _pipe(subject, stream=True)
        series = take_turns(ground, options.rounds, subjects)
    compared = []
    if series.has("pgBackRest"):
        for quantity, target in (("wall s", 0.75), ("CPU s", 1.0), ("size MiB", 1.02)):
            ours, theirs = series.of("understudy", quantity), series.of("pgBackRest", quantity)
            compared.append(Compared(f"full backup against pgBackRest, {quantity.split()[0]}", ours, theirs, target))
        step, theirs = series.of("understudy", "packing s"), series.of("pgBackRest")
        compared.append(Compared("packing step alone against the whole of pgBackRest, wall", step, theirs))
    if series.has("Barman"):
        compared.append(
            Compared("full backup against Barman (not encrypted), wall", series.of("understudy"), series.of("Barman"))
        )
    for pipe in ("pg_basebackup | zstd | age", "tar | zstd | age"):
        compared.append(Compared(f"end to end against {pipe}, wall", series.of("understudy"), series.of(pipe), 1.15))
        packing = series.of("understudy", "packing s")
        compared.append(Compared(f"packing step alone against {pipe}, wall", packing, series.of(pipe)))
    measured = [Measured(name, quantity, values) for (name, quantity), values in series.values.items()]
    absent = [name for name, there in (("pgBackRest", pgbackrest.version()), ("Barman", barman.version())) if not there]
    return RowResult(NAME, TITLE, _HOW, measured, compared, [f"{name} is not installed: left out" for name in absent])


def archive_with(server: PostgresServer, command: str) -> None:
    """Only the subject whose turn it is archives; each needs no more than its own backup's WAL."""
    quoted = command.replace("'", "''")
    server.sql(f"alter system set archive_command = '{quoted}'")
    server.sql("select pg_reload_conf()")


def figures(cost: Cost, size_bytes: float) -> dict[str, float]:
    return {
        "wall s": cost.wall_seconds,
        "CPU s": cost.cpu_seconds,
        "size MiB": size_bytes / _MIB,
        DISTURBED: cost.disturbed_share,
    }


def _understudy(subject: UnderstudySubject) -> Figures:
    done = subject.back_up("--full")
    proof = done.proof("take-base-backup")
    subject.remove_backup(str(proof["label"]))
    return figures(done.cost, float(str(proof["sealed_bytes"]))) | {"packing s": done.seconds("take-base-backup")}


def _pgbackrest(undo: ExitStack, ground: Ground, server: PostgresServer) -> Callable[[int], Figures]:
    peer = pgbackrest.PgBackRest(ground, server)
    undo.callback(peer.close)

    def turn(_: int) -> Figures:
        archive_with(server, peer.archive_command)
        cost = costs(peer.back_up, server.pid)
        archive_with(server, "/bin/true")
        found = figures(cost, peer.stored_bytes())
        peer.keep_newest()
        return found

    return turn


def _barman(undo: ExitStack, ground: Ground, server: PostgresServer) -> Callable[[int], Figures]:
    peer = barman.Barman(ground, server)
    undo.callback(peer.close)
    archive_with(server, peer.archive_command)
    peer.prepare()

    def turn(_: int) -> Figures:
        archive_with(server, peer.archive_command)
        cost = costs(peer.back_up, server.pid)
        archive_with(server, "/bin/true")
        found = figures(cost, peer.stored_bytes())
        peer.archive_wal()
        peer.keep_newest()
        return found

    return turn


def _pipe(subject: UnderstudySubject, *, stream: bool) -> Figures:
    output = subject.directory / "piped.tar.zst.age"

    def work() -> str:
        if stream:
            return stock.stream_and_seal(subject.server, subject.recipient, output)
        return stock.seal_bytes(subject.server.data, subject.recipient, output)

    def synced() -> str:
        work()
        stock.sync(output)
        return ""

    cost = costs(synced, subject.server.pid)
    size_bytes = output.stat().st_size
    output.unlink()
    return figures(cost, size_bytes)
