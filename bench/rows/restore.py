"""A restore of PostgreSQL 15, every digest checked, up to the first committed row."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tests.servers.postgres import PostgresServer

from bench import barman, pgbackrest, stock
from bench.databases import database, first_write, serve_restored
from bench.ground import Ground
from bench.processes import costs, run
from bench.results import Compared, Measured, RowResult
from bench.rounds import DISTURBED, Figures, Options, take_turns
from bench.rows.full_backup import FLAVOUR, archive_with
from bench.subject import UnderstudySubject

NAME = "restore"
TITLE = "Restore, every digest checked, to the first write (PostgreSQL 15)"

_HOW = (
    "From the command's start to a committed row. Understudy: `understudy drill database_corruption`: its own start, "
    "space and version checks, the base backup with every digest, WAL to the newest commit, promotion, a restart with "
    "the final settings, a row written and read back; the time of its verification steps, which peers do not have and "
    "which come before the write, is taken out (`whole drill s` has everything). pgBackRest: `restore`, "
    "process-max=2, to the backup's end; Barman: `recover`. Stock tools: each part of Understudy's own backup `age -d "
    "| zstd -d | tar x`, one after another, WAL decoded likewise, nothing checked. `cp -a`: a copy of a plain base "
    "backup, nothing decoded. The last three end with `sync -f`. Then each starts the server, waits for the end of "
    "recovery and commits. CPU leaves the restored server out, except in Understudy's drill, which waits for it. The "
    "restore step is Understudy's `restore-base-backup` alone, as its evidence states it."
)


def measure(ground: Ground, options: Options) -> RowResult:
    with ExitStack() as undo:
        server = undo.enter_context(database(ground, FLAVOUR, options.scale, {"archive_mode": "on"}))
        archive_with(server, "/bin/true")
        subject = undo.enter_context(UnderstudySubject(ground, server))
        label = str(subject.back_up("--full").proof("take-base-backup")["label"])
        subjects: dict[str, Callable[[int], Figures]] = {"understudy": lambda _: _understudy(subject)}
        if pgbackrest.version():
            peer = pgbackrest.PgBackRest(ground, server)
            undo.callback(peer.close)
            archive_with(server, peer.archive_command)
            peer.back_up()
            archive_with(server, "/bin/true")
            subjects["pgBackRest"] = lambda _: _restored(ground, server, peer.restore)
        if barman.version():
            other = barman.Barman(ground, server)
            undo.callback(other.close)
            archive_with(server, other.archive_command)
            other.prepare()
            other.back_up()
            archive_with(server, "/bin/true")
            other.archive_wal()
            subjects["Barman"] = lambda _: _restored(ground, server, other.restore)
        subjects["stock tools, our parts"] = lambda _: _stock(ground, subject, label)
        plain = _plain_copy(ground, server)
        subjects["cp -a"] = lambda _: _restored(ground, server, lambda target: _copy(plain, target))
        series = take_turns(ground, options.rounds, subjects)
    compared = []
    if series.has("pgBackRest"):
        compared.append(
            Compared("restore to first write against pgBackRest, wall", series.of("understudy"), series.of("pgBackRest"), 0.85)
        )
        step, theirs = series.of("understudy", "restore step s"), series.of("pgBackRest", "restore s")
        compared.append(Compared("restore step alone against pgbackrest restore alone, wall", step, theirs))
    for peer_name in ("Barman", "stock tools, our parts", "cp -a"):
        if series.has(peer_name):
            what = f"restore to first write against {peer_name}, wall"
            compared.append(Compared(what, series.of("understudy"), series.of(peer_name)))
    measured = [Measured(name, quantity, values) for (name, quantity), values in series.values.items()]
    absent = [name for name, there in (("pgBackRest", pgbackrest.version()), ("Barman", barman.version())) if not there]
    return RowResult(NAME, TITLE, _HOW, measured, compared, [f"{name} is not installed: left out" for name in absent])


def _understudy(subject: UnderstudySubject) -> Figures:
    done = subject.run("drill", "database_corruption", server_cpu=False)
    return {
        "wall s": done.until_first_write_seconds,
        "CPU s": done.cost.cpu_seconds,
        "restore step s": done.seconds("restore-base-backup"),
        "whole drill s": done.cost.wall_seconds,
        DISTURBED: done.cost.disturbed_share,
    }


def _restored(ground: Ground, source: PostgresServer, restore: Callable[[Path], str]) -> Figures:
    target = ground.new_directory("restored")
    target.chmod(0o700)
    return _to_first_write(source, target, lambda: restore(target))


def _to_first_write(source: PostgresServer, target: Path, restore: Callable[[], str]) -> Figures:
    server = serve_restored(source, target)

    def start() -> str:
        first_write(server)
        return ""

    try:
        restoring = costs(restore)
        starting = costs(start)
    finally:
        server.close()
        shutil.rmtree(target)
    return {
        "wall s": restoring.wall_seconds + starting.wall_seconds,
        "CPU s": restoring.cpu_seconds,
        "restore s": restoring.wall_seconds,
        DISTURBED: restoring.disturbed_share,
    }


def _stock(ground: Ground, subject: UnderstudySubject, label: str) -> Figures:
    target, wal = ground.new_directory("restored"), ground.new_directory("wal")
    try:
        return _to_first_write(subject.server, target, lambda: stock.unpack_to_start(subject, label, target, wal))
    finally:
        shutil.rmtree(wal)


def _plain_copy(ground: Ground, server: PostgresServer) -> Path:
    """What a cold copy of a stopped server would be: a plain base backup with its WAL."""
    plain = ground.new_directory("plain")
    plain.chmod(0o700)
    server.program("pg_basebackup", "-D", str(plain), "-X", "fetch", "-c", "fast")
    return plain


def _copy(plain: Path, target: Path) -> str:
    run(["cp", "-a", f"{plain}/.", str(target)])
    stock.sync(target)
    return ""
