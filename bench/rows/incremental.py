"""An incremental backup of PostgreSQL 18 after 2.4 % of pgbench's pages changed."""

from __future__ import annotations

from contextlib import ExitStack

from tests.servers.flavours import Flavour

from bench import stock
from bench.databases import change_pages, database
from bench.ground import Ground
from bench.processes import costs, pipeline
from bench.results import Compared, Measured, RowResult
from bench.rounds import Figures, Options, take_turns
from bench.rows.full_backup import figures
from bench.subject import UnderstudySubject

NAME = "incremental"
TITLE = "Incremental backup after 2.4 % of the pages changed (PostgreSQL 18)"
FLAVOUR = Flavour.WHEEL_18

_HOW = (
    "Both stand on the same full backup and are taken in every round, after pages changed once more, so each round's "
    "is larger than the one before. Understudy: `understudy backup orders --incremental`, whole command, and its "
    "`take-base-backup` step alone. Raw: `pg_basebackup --incremental` of the full's own manifest, `-Ft -X none | "
    "zstd -3 -T2 | age`. pgBackRest's block-incremental needs 2.46 or newer, and the version in Debian 12 is older: "
    "not compared."
)


def measure(ground: Ground, options: Options) -> RowResult:
    with ExitStack() as undo:
        server = undo.enter_context(database(ground, FLAVOUR, options.scale))
        subject = undo.enter_context(UnderstudySubject(ground, server))
        full = str(subject.back_up("--full").proof("take-base-backup")["label"])
        manifest = subject.directory / "backup_manifest"
        _decode_manifest(subject, full)
        changed: set[int] = set()

        def change_once(number: int) -> None:
            if number not in changed:
                changed.add(number)
                change_pages(server, number + 1)
                ground.settle()

        def ours(number: int) -> Figures:
            change_once(number)
            done = subject.back_up("--incremental")
            proof = done.proof("take-base-backup")
            assert proof["kind"] == "incremental", proof
            subject.remove_backup(str(proof["label"]))
            return figures(done.cost, float(str(proof["sealed_bytes"]))) | {"packing s": done.seconds("take-base-backup")}

        def raw(number: int) -> Figures:
            change_once(number)
            output = subject.directory / "piped.tar.zst.age"
            cost = costs(
                lambda: stock.stream_and_seal(server, subject.recipient, output, f"--incremental={manifest}"), server.pid
            )
            size_bytes = output.stat().st_size
            output.unlink()
            return figures(cost, size_bytes)

        series = take_turns(ground, options.rounds, {"understudy": ours, "pg_basebackup --incremental | zstd | age": raw})
    theirs = "pg_basebackup --incremental | zstd | age"
    compared = [
        Compared("incremental against the raw pipe, wall", series.of("understudy"), series.of(theirs)),
        Compared("incremental, packing step against the raw pipe, wall", series.of("understudy", "packing s"), series.of(theirs)),
        Compared("incremental against the raw pipe, size", series.of("understudy", "size MiB"), series.of(theirs, "size MiB")),
    ]
    return RowResult(
        NAME, TITLE, _HOW, [Measured(name, what, values) for (name, what), values in series.values.items()], compared
    )


def _decode_manifest(subject: UnderstudySubject, label: str) -> None:
    sealed = subject.backup_directory(label) / "backup_manifest.zst.age"
    output = subject.directory / "backup_manifest"
    pipeline([["age", "-d", "-i", str(subject.identity_file), str(sealed)], ["zstd", "-q", "-d"]], output=output)
    output.chmod(0o644)
