"""A full backup and three incrementals restored, against the full alone and against pg_combinebackup (PostgreSQL 18)."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path

from bench import stock
from bench.databases import change_pages, database
from bench.ground import Ground
from bench.processes import costs, run
from bench.results import Compared, Measured, RowResult
from bench.rounds import DISTURBED, Figures, Options, take_turns
from bench.rows.incremental import FLAVOUR
from bench.subject import UnderstudySubject

NAME = "chain"
TITLE = "A full backup and three incrementals restored (PostgreSQL 18)"

_HOW = (
    "2.4 % of the pages change before each incremental. Understudy: `understudy restore orders --to DIR --immediate "
    "--backup LABEL`; compared is its `restore-base-backup` step, every digest checked and the disks waited for; "
    "`command s` is the whole command with replay, promotion, verification and page checks. pg_combinebackup: the "
    "same sealed parts, each backup unpacked with `age -d | zstd -d | tar x` into a plain directory, then "
    "`pg_combinebackup -o`, which syncs; nothing checked."
)


def measure(ground: Ground, options: Options) -> RowResult:
    with ExitStack() as undo:
        server = undo.enter_context(database(ground, FLAVOUR, options.scale))
        subject = undo.enter_context(UnderstudySubject(ground, server))
        labels = [str(subject.back_up("--full").proof("take-base-backup")["label"])]
        for number in range(1, 4):
            change_pages(server, number)
            labels.append(str(subject.back_up("--incremental").proof("take-base-backup")["label"]))
        subjects = {
            "understudy, full alone": lambda _: _restore(ground, subject, labels[0]),
            "understudy, full + 3": lambda _: _restore(ground, subject, labels[-1]),
            "unpack, pg_combinebackup": lambda _: _combine(ground, subject, labels),
        }
        series = take_turns(ground, options.rounds, subjects)
    chain = series.of("understudy, full + 3")
    compared = [
        Compared("full + 3 incrementals restored, against the full alone, wall", chain, series.of("understudy, full alone"), 1.2),
        Compared(
            "full + 3 incrementals restored, against unpacking and pg_combinebackup, wall",
            chain,
            series.of("unpack, pg_combinebackup"),
        ),
    ]
    return RowResult(
        NAME, TITLE, _HOW, [Measured(name, what, values) for (name, what), values in series.values.items()], compared
    )


def _restore(ground: Ground, subject: UnderstudySubject, label: str) -> Figures:
    target = ground.new_directory("restored")
    target.rmdir()
    try:
        done = subject.run("restore", "orders", "--to", str(target), "--immediate", "--backup", label, server_cpu=False)
    finally:
        shutil.rmtree(target, ignore_errors=True)
    return {
        "wall s": done.seconds("restore-base-backup"),
        "command s": done.cost.wall_seconds,
        DISTURBED: done.cost.disturbed_share,
    }


def _combine(ground: Ground, subject: UnderstudySubject, labels: list[str]) -> Figures:
    staging = ground.new_directory("staging")

    def work() -> str:
        plain: list[Path] = []
        for label in labels:
            plain.append(staging / label)
            plain[-1].mkdir()
            backup = subject.backup_directory(label)
            stock.unpack(backup, subject.identity_file, plain[-1])
            stock.decode_to(backup / "backup_manifest.zst.age", subject.identity_file, plain[-1] / "backup_manifest")
        return run([str(subject.server.programs / "pg_combinebackup"), *map(str, plain), "-o", str(staging / "combined")])

    try:
        cost = costs(work)
    finally:
        shutil.rmtree(staging)
    return {"wall s": cost.wall_seconds, "command s": cost.wall_seconds, DISTURBED: cost.disturbed_share}
