"""The raw limits: pipes of stock tools over the same bytes."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.servers.flavours import give_to_owner
from tests.servers.postgres import PostgresServer

from bench.processes import pipeline, run
from bench.subject import UnderstudySubject

ZSTD = ["zstd", "-q", "-3", "-T2", "-c"]


def seal_bytes(data: Path, recipient: str, output: Path) -> str:
    """``tar | zstd -3 -T2 | age`` of the files that a base backup holds: no WAL, no server, no digests."""
    tar = ["tar", "-c", "-C", str(data), "--exclude=./pg_wal/*", "--exclude=./postmaster.*", "."]
    return pipeline([tar, ZSTD, ["age", "-r", recipient]], output=output)


def stream_and_seal(server: PostgresServer, recipient: str, output: Path, *arguments: str) -> str:
    """``pg_basebackup -Ft -X none | zstd -3 -T2 | age``."""
    base = [str(server.programs / "pg_basebackup"), "-h", str(server.socket_directory), "-p", str(server.port), "-U", "postgres"]
    return pipeline(
        [[*base, "-D", "-", "-Ft", "-X", "none", "-c", "fast", *arguments], ZSTD, ["age", "-r", recipient]], output=output
    )


def unpack(backup: Path, identity: Path, target: Path) -> None:
    """A backup's parts one after another, ``age -d | zstd -d | tar x``, as the repository's own page says."""
    for part in sorted(backup.glob("*.tar.zst.age")):
        decode = [
            ["age", "-d", "-i", str(identity), str(part)],
            ["zstd", "-q", "-d"],
            ["tar", "-x", "-C", str(target), "-f", "-"],
        ]
        pipeline(decode)


def decode_to(sealed: Path, identity: Path, output: Path) -> None:
    pipeline([["age", "-d", "-i", str(identity), str(sealed)], ["zstd", "-q", "-d"]], output=output)


def unpack_to_start(subject: UnderstudySubject, label: str, target: Path, wal: Path) -> str:
    """All that a server needs to start on a backup of ours, by stock tools: parts, WAL, restore_command; then synced."""
    unpack(subject.backup_directory(label), subject.identity_file, target)
    for sealed in subject.repository.glob("postgres/*/*/wal/*/*.zst.age"):
        decode_to(sealed, subject.identity_file, wal / sealed.name.removesuffix(".zst.age"))
    for tail in sorted(subject.repository.glob("postgres/*/*/wal/*/*.tail/*.zst.age")):
        _lay_over(wal / tail.parent.name.removesuffix(".tail"), tail, subject.identity_file)
    (target / "postgresql.auto.conf").open("a").write(f"restore_command = 'cp {wal}/%f %p'\nrecovery_target = 'immediate'\n")
    (target / "postgresql.auto.conf").open("a").write("recovery_target_action = 'promote'\n")
    (target / "recovery.signal").touch()
    subprocess.run(["chmod", "700", str(target)], check=True)
    give_tree_to_owner(target)
    give_tree_to_owner(wal)
    sync(target)
    return ""


def give_tree_to_owner(path: Path) -> None:
    for each in (path, *path.rglob("*")):
        give_to_owner(each)


def sync(path: Path) -> None:
    run(["sync", "-f", str(path)])


def _lay_over(segment: Path, tail: Path, identity: Path) -> None:
    """A tail's bytes at the place in the segment that its name states; the rest is zeros."""
    plain = segment.with_suffix(".piece")
    decode_to(tail, identity, plain)
    if not segment.exists():
        segment.write_bytes(bytes(16 * 2**20))
    with segment.open("r+b") as file:
        file.seek(int(tail.name.partition("-")[0]))
        file.write(plain.read_bytes())
    plain.unlink()
