"""A bucket with many small objects and a few large ones: first snapshot, one after few changes, restore into an empty bucket."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import boto3
from tests.servers.rclone_s3 import ACCESS_KEY, SECRET_KEY, RcloneS3

from bench import contents, restic
from bench.ground import Ground
from bench.processes import run
from bench.results import Compared, Measured, RowResult
from bench.rounds import Figures, Options, take_turns
from bench.stock import sync
from bench.subject import Stack
from bench.turn import Turn, size_of

NAME = "bucket"
TITLE = "A bucket: first snapshot, one after few changes, restore"

_BUCKET = "images"
_RCLONE = Path(sys.executable).parent / "rclone"
_AT_ONCE = 16
_COMPARED = {"rclone sync": 2.0, "rclone sync and restic": 1.0}
"""With the targets: a mere copy is within reach, the same promises cost no more."""
_HOW = (
    "{contents}, half of whose bytes do not compress, in a bucket of `rclone serve s3` on loopback: the same server for "
    "all, whose CPU time is told apart. Each round begins with nothing stored. Then one in a hundred of the small objects "
    "and one of the large are put anew. The restore is of the second snapshot, into an empty bucket of the same server. "
    "Whole commands. Understudy: `understudy backup images` into a `file://` repository, sealed with age, zstd 3; its "
    "restore compares every SHA-256 on the way and reads every object back. `rclone sync`: into a directory and back, "
    "{at_once} transfers at once, nothing sealed, nothing read back, no earlier state kept. `rclone sync and restic`: "
    "restic knows no buckets, so it keeps the directory that rclone has synced."
)


class Store:
    """The server, with one bucket to be kept, and an empty one for each restore."""

    def __init__(self, ground: Ground, scale: int) -> None:
        self.directory = ground.new_directory("s3")
        contents.fill(self.directory / _BUCKET, scale)
        self.server = RcloneS3(self.directory, _BUCKET)
        self.server.start()
        self._s3 = boto3.client(
            "s3",
            endpoint_url=self.server.endpoint,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name="x",
        )
        self._buckets = 0

    @property
    def pid(self) -> int:
        return self.server.pid

    @property
    def source(self) -> Path:
        return self.directory / _BUCKET

    def change(self, scale: int) -> None:
        for key, content in contents.changes(scale):
            self._s3.put_object(Bucket=_BUCKET, Key=key, Body=content)

    def empty_bucket(self) -> Path:
        self._buckets += 1
        self._s3.create_bucket(Bucket=f"restored-{self._buckets}")
        return self.directory / f"restored-{self._buckets}"

    def rclone(self, *arguments: str) -> str:
        environment = {
            "RCLONE_CONFIG_S3_TYPE": "s3",
            "RCLONE_CONFIG_S3_PROVIDER": "Rclone",
            "RCLONE_CONFIG_S3_ENDPOINT": self.server.endpoint,
            "RCLONE_CONFIG_S3_ACCESS_KEY_ID": ACCESS_KEY,
            "RCLONE_CONFIG_S3_SECRET_ACCESS_KEY": SECRET_KEY,
        }
        at_once = ["--transfers", str(_AT_ONCE), "--checkers", str(_AT_ONCE)]
        return run([str(_RCLONE), "--config", "", *arguments, *at_once], environment=environment)

    def close(self) -> None:
        self.server.stop()
        contents.remove(self.directory)


def measure(ground: Ground, options: Options) -> RowResult:
    with ExitStack() as undo:
        store = Store(ground, options.scale)
        undo.callback(store.close)
        subjects: dict[str, Callable[[int], Figures]] = {
            "understudy": lambda _: _understudy(ground, store, options),
            "rclone sync": lambda _: _rclone(ground, store, options),
        }
        if restic.version():
            subjects["rclone sync and restic"] = lambda _: _restic(ground, store, options)
        series = take_turns(ground, options.rounds, subjects)
    compared = [
        Compared(
            f"bucket, {what}, against {peer}, {quantity.split()[0]}",
            series.of("understudy", f"{what} {quantity}"),
            series.of(peer, f"{what} {quantity}"),
            target,
        )
        for peer, target in _COMPARED.items()
        if series.has(peer)
        for what in ("first", "second", "restore")
        for quantity in ("wall s", "CPU s")
    ]
    measured = [Measured(name, quantity, values) for (name, quantity), values in series.values.items()]
    notes = [] if restic.version() else ["restic is not installed: left out"]
    how = _HOW.format(contents=contents.described(options.scale), at_once=_AT_ONCE)
    return RowResult(NAME, TITLE, how, measured, compared, notes)


def _understudy(ground: Ground, store: Store, options: Options) -> Figures:
    stack, target, turn = Stack(ground, "bucket"), store.empty_bucket(), Turn(ground, store.pid)
    stack.secret_file("access-key", ACCESS_KEY)
    stack.secret_file("secret-key", SECRET_KEY)
    keys = f"access_key: 'file:{stack.directory}/access-key', secret_key: 'file:{stack.directory}/secret-key'"
    stack.declare("bucket", f"  images: {{kind: bucket, url: s3://{_BUCKET}, endpoint: '{store.server.endpoint}', {keys}}}\n")
    turn.add("first", lambda: stack.run("backup", "images"))
    store.change(options.scale)
    turn.add("second", lambda: stack.run("backup", "images"))
    turn.add("restore", lambda: stack.run("restore", "images", "--to", f"s3://{target.name}"))
    contents.require_same(store.source, target)
    found = turn.done(size_of(stack.repository))
    contents.remove(stack.directory, target)
    return found


def _rclone(ground: Ground, store: Store, options: Options) -> Figures:
    copy, target, turn = ground.new_directory("synced"), store.empty_bucket(), Turn(ground, store.pid)

    def back_up() -> None:
        store.rclone("sync", f"s3:{_BUCKET}", str(copy))
        sync(copy)

    turn.add("first", back_up)
    store.change(options.scale)
    turn.add("second", back_up)
    turn.add("restore", lambda: store.rclone("sync", str(copy), f"s3:{target.name}"))
    contents.require_same(store.source, target)
    found = turn.done(size_of(copy))
    contents.remove(copy, target)
    return found


def _restic(ground: Ground, store: Store, options: Options) -> Figures:
    copy, target, turn = ground.new_directory("synced"), store.empty_bucket(), Turn(ground, store.pid)
    peer, unpacked = restic.Restic(ground), ground.new_directory("unpacked")

    def back_up() -> None:
        store.rclone("sync", f"s3:{_BUCKET}", str(copy))
        peer.back_up(copy)

    def restore() -> None:
        peer.restore(copy, unpacked)
        store.rclone("sync", str(unpacked / str(copy).removeprefix("/")), f"s3:{target.name}")

    turn.add("first", back_up)
    store.change(options.scale)
    turn.add("second", back_up)
    turn.add("restore", restore)
    contents.require_same(store.source, target)
    found = turn.done(peer.stored_bytes())
    peer.close()
    contents.remove(copy, target, unpacked)
    return found
