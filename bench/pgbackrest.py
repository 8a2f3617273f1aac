"""pgBackRest as its manual sets it up: encrypted repository, zstd 3, two processes.

Source: pgbackrest.org, "Configuration Reference".
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.servers.flavours import give_to_owner
from tests.servers.postgres import PostgresServer

from bench.ground import Ground
from bench.processes import run

_PROGRAM = "/usr/bin/pgbackrest"


def version() -> str | None:
    return run([_PROGRAM, "version"]).strip() if Path(_PROGRAM).exists() else None


class PgBackRest:
    """One stanza for one server, which must have ``archive_mode = on``."""

    def __init__(self, ground: Ground, server: PostgresServer) -> None:
        self._server = server
        self._directory = ground.new_directory("pgbackrest")
        self._configuration = self._directory / "pgbackrest.conf"
        for name in ("repository", "log", "lock", "spool"):
            (self._directory / name).mkdir()
            give_to_owner(self._directory / name)
        self._configuration.write_text(
            f"""[global]
repo1-path={self._directory}/repository
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass=the-benchmark-seals-with-this
repo1-retention-full=9
compress-type=zst
compress-level=3
process-max=2
start-fast=y
log-path={self._directory}/log
lock-path={self._directory}/lock
spool-path={self._directory}/spool
log-level-console=warn
log-level-file=off
[main]
pg1-path={server.data}
pg1-port={server.port}
pg1-socket-path={server.socket_directory}
pg1-user=postgres
"""
        )
        self._run("stanza-create")

    @property
    def archive_command(self) -> str:
        return f"{_PROGRAM} --config={self._configuration} --stanza=main archive-push %p"

    def back_up(self) -> str:
        return self._run("--type=full", "--no-expire-auto", "backup")

    def stored_bytes(self) -> int:
        """Of the newest backup."""
        (stanza,) = json.loads(self._run("--output=json", "info"))
        return int(stanza["backup"][-1]["info"]["repository"]["delta"])

    def keep_newest(self) -> None:
        self._run("--repo1-retention-full=1", "expire")

    def restore(self, target: Path) -> str:
        """Into an empty directory of the servers' user; replays to the backup's end and promotes."""
        return self._run(f"--pg1-path={target}", "--type=immediate", "--target-action=promote", "restore")

    def close(self) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)

    def _run(self, *arguments: str) -> str:
        return run(
            [_PROGRAM, f"--config={self._configuration}", "--stanza=main", *arguments], as_owner=True, cwd=str(self._directory)
        )
