"""``postmaster.pid``: what a running server says of itself beside its data.

Source: ``src/include/utils/pidfile.h``: one value a line — process id, data directory, start time, port, first socket
directory, first listen address, shared memory key, status.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from understudy.vocabulary.errors import GiveUp

LOCK_FILE_NAME = "postmaster.pid"


class ServerStatus(StrEnum):
    """The status line; absent while the server has not come that far."""

    STARTING = "starting"
    STOPPING = "stopping"
    READY = "ready"
    STANDBY = "standby"


@dataclass(frozen=True, slots=True)
class LockFile:
    pid: int
    started_epoch_seconds: int
    port: int | None
    socket_directory: str | None
    status: ServerStatus | None

    @classmethod
    def read(cls, directory: str) -> LockFile | None:
        """The lock file in a data directory; None when there is none, or none that its server has finished writing.

        Raises:
            GiveUp: ``place_denied``: it cannot be told whether a server runs there.
        """
        try:
            lines = (Path(directory) / LOCK_FILE_NAME).read_text(errors="replace").splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except PermissionError as error:
            raise GiveUp(
                "place_denied",
                found=f"{error.filename}: {error.strerror}",
                expected="that we may look whether a server runs there",
                hint="run this as root, or as the user that owns the data directory",
            ) from error
        fields = [line.strip() for line in lines] + [""] * 8
        try:
            pid, started = int(fields[0]), int(fields[2])
        except ValueError:
            return None
        return cls(
            pid=abs(pid),  # negative in single-user mode
            started_epoch_seconds=started,
            port=int(fields[3]) if fields[3].isdigit() else None,
            socket_directory=fields[4] or None,
            status=ServerStatus(fields[7]) if fields[7] in set(ServerStatus) else None,
        )
