"""The lock file beside a server's socket, left behind by a server that was killed.

PostgreSQL takes such a file for stale only when no process bears the id in it (``CreateLockFile`` in
``src/backend/utils/init/miscinit.c``). An id that has gone to another program since, or whose process has ended and that nobody
has taken note of, as in containers whose first process reaps nothing, keeps every further server from starting there.
"""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

from understudy.adapters.postgres.processes import process_facts


def remove_stale_socket_lock(socket_directory: str, port: int) -> None:
    """Remove it when what bears the id is no running ``postgres`` and nobody answers on the socket; else leave it as it is."""
    path = Path(socket_directory) / f".s.PGSQL.{port}"
    lock = path.with_name(f"{path.name}.lock")
    pid = _first_number(lock)
    if pid is None:
        return
    found = process_facts(pid)
    if found is None or (found.name == "postgres" and not found.ended) or _is_answered(path):
        return
    with contextlib.suppress(FileNotFoundError):
        lock.unlink()


def _first_number(lock: Path) -> int | None:
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        line = file.readline(32).strip()
    return abs(int(line)) if line.lstrip(b"-").isdigit() else None


def _is_answered(path: Path) -> bool:
    """Whether somebody listens; also when it cannot be told."""
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(1)
        try:
            caller.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except OSError:
            return True
    return True
