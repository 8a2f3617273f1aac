"""Barman with ``backup_method = postgres`` and the server's zstd 3; it does not encrypt. Source: Barman's manual, barman(5)."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.servers.flavours import give_to_owner, server_owner
from tests.servers.postgres import PostgresServer

from bench.ground import Ground
from bench.processes import run

_PROGRAM = "/usr/bin/barman"


def version() -> str | None:
    return run([_PROGRAM, "--version"]).split("\n")[0].strip() if Path(_PROGRAM).exists() else None


class Barman:
    """One Barman server for one PostgreSQL server, which must have ``archive_mode = on``."""

    def __init__(self, ground: Ground, server: PostgresServer) -> None:
        self._directory = ground.new_directory("barman")
        self._configuration = self._directory / "barman.conf"
        self._staging = self._directory / "staging"
        for directory in (self._staging, self._directory / "main", self._directory / "main" / "incoming"):
            directory.mkdir()
            give_to_owner(directory)
        owner = server_owner()
        connection = f"host={server.socket_directory} port={server.port} user=postgres dbname=postgres"
        self._configuration.write_text(
            f"""[barman]
barman_home = {self._directory}
{f"barman_user = {owner[0]}" if owner else ""}
log_file = {self._directory}/barman.log
log_level = WARNING
[main]
description = benchmark
conninfo = {connection}
streaming_conninfo = {connection}
backup_method = postgres
immediate_checkpoint = true
archiver = on
path_prefix = {server.programs}
backup_compression = zstd
backup_compression_level = 3
backup_compression_location = server
recovery_staging_path = {self._staging}
retention_policy = REDUNDANCY 1
"""
        )
        self._run("list-backup", "main")

    @property
    def archive_command(self) -> str:
        return f"cp %p {self._directory}/main/incoming/%f"

    def prepare(self) -> None:
        """It refuses to back up before it has seen a first WAL segment."""
        self._run("switch-wal", "--force", "--archive", "--archive-timeout", "60", "main")

    def back_up(self) -> str:
        return self._run("backup", "main")

    def stored_bytes(self) -> int:
        newest = max((self._directory / "main" / "base").iterdir(), key=lambda path: path.name)
        return sum(path.stat().st_size for path in newest.rglob("*") if path.is_file())

    def keep_newest(self) -> None:
        for old in sorted((self._directory / "main" / "base").iterdir())[:-1]:
            self._run("delete", "main", old.name)

    def archive_wal(self) -> None:
        self._run("archive-wal", "main")

    def restore(self, target: Path) -> str:
        return self._run("recover", "--target-immediate", "--target-action", "promote", "main", "latest", str(target))

    def close(self) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)

    def _run(self, *arguments: str) -> str:
        return run([_PROGRAM, "-q", "-c", str(self._configuration), *arguments], as_owner=True, cwd=str(self._directory))
