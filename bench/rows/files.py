"""A directory with many small files and a few large ones: first snapshot, one after few changes, restore; against restic."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from bench import contents, restic
from bench.ground import Ground
from bench.processes import run
from bench.results import Compared, Measured, RowResult
from bench.rounds import Figures, Options, take_turns
from bench.stock import sync
from bench.subject import Stack
from bench.turn import Turn, size_of

NAME = "files"
TITLE = "A directory: first snapshot, one after few changes, restore"

_HOW = (
    "{contents}, half of whose bytes do not compress. Each round begins with an empty repository in a directory. Then one "
    "in a hundred of the small files and one of the large are written anew. The restore is of the second snapshot, into "
    "an empty directory, and synced. Whole commands, interpreter start included. Understudy: `understudy backup "
    "documents`, sealed with age, zstd 3; its restore compares every SHA-256 on the way and reads back what lies there. "
    "restic: repository version 2, its default compression; `restore` reads nothing back, `restore --verify` does. `cp "
    "-a`: the raw limit, nothing compressed or sealed."
)


def measure(ground: Ground, options: Options) -> RowResult:
    with ExitStack() as undo:
        source = ground.new_directory("source")
        undo.callback(contents.remove, source)
        contents.fill(source, options.scale)
        subjects: dict[str, Callable[[int], Figures]] = {"understudy": lambda _: _understudy(ground, source, options)}
        if restic.version():
            subjects["restic"] = lambda _: _restic(ground, source, options)
        subjects["cp -a"] = lambda _: _copy(ground, source, options)
        series = take_turns(ground, options.rounds, subjects)
    compared, notes = [], []
    if series.has("restic"):
        for what in ("first", "second", "restore"):
            for quantity in ("wall s", "CPU s"):
                ours, theirs = (series.of(name, f"{what} {quantity}") for name in ("understudy", "restic"))
                compared.append(Compared(f"files, {what}, against restic, {quantity.split()[0]}", ours, theirs, 1.0))
        ours, theirs = series.of("understudy", "restore wall s"), series.of("restic", "restore --verify wall s")
        compared.append(Compared("files, restore, against restic restore --verify, wall", ours, theirs))
        compared.append(
            Compared("files, stored, against restic, size", series.of("understudy", "size MiB"), series.of("restic", "size MiB"))
        )
    else:
        notes.append("restic is not installed: left out")
    measured = [Measured(name, quantity, values) for (name, quantity), values in series.values.items()]
    return RowResult(NAME, TITLE, _HOW.format(contents=contents.described(options.scale)), measured, compared, notes)


def change(source: Path, scale: int) -> None:
    for name, content in contents.changes(scale):
        (source / name).write_bytes(content)


def _understudy(ground: Ground, source: Path, options: Options) -> Figures:
    stack, target, turn = Stack(ground, "files"), ground.new_directory("target"), Turn(ground)
    stack.declare("files", f"  documents: {{kind: files, path: {source}}}\n")
    turn.add("first", lambda: stack.run("backup", "documents"))
    change(source, options.scale)
    turn.add("second", lambda: stack.run("backup", "documents"))
    turn.add("restore", lambda: stack.run("restore", "documents", "--to", str(target)))
    contents.require_same(source, target)
    found = turn.done(size_of(stack.repository))
    contents.remove(stack.directory, target)
    return found


def _restic(ground: Ground, source: Path, options: Options) -> Figures:
    peer, turn = restic.Restic(ground), Turn(ground)
    plain, verified = ground.new_directory("target"), ground.new_directory("target")
    turn.add("first", lambda: peer.back_up(source))
    change(source, options.scale)
    turn.add("second", lambda: peer.back_up(source))
    turn.add("restore", lambda: peer.restore(source, plain))
    turn.add("restore --verify", lambda: peer.restore(source, verified, "--verify"))
    contents.require_same(source, plain / str(source).removeprefix("/"))
    found = turn.done(peer.stored_bytes())
    peer.close()
    contents.remove(plain, verified)
    return found


def _copy(ground: Ground, source: Path, options: Options) -> Figures:
    copy, target, turn = ground.new_directory("copy"), ground.new_directory("target"), Turn(ground)

    def work(origin: Path, to: Path) -> None:
        run(["cp", "-a", f"{origin}/.", str(to)])
        sync(to)

    turn.add("first", lambda: work(source, copy))
    change(source, options.scale)
    turn.add("second", lambda: work(source, copy))
    turn.add("restore", lambda: work(copy, target))
    found = turn.done(size_of(copy))
    contents.remove(copy, target)
    return found
