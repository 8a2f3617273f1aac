"""Where a demo lives, what it leaves behind, and how all of it goes away again."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from understudy.app.landing import short_socket_directory
from understudy.ports.instance import InstancePlace, Instances, StopMode

_EVIDENCE = "understudy-demo"


def make_home() -> Path:
    """A new directory that the servers' account may enter, short enough for sockets."""
    home = Path(tempfile.mkdtemp(prefix=f"understudy-demo-{os.getpid()}-", dir="/tmp"))
    home.chmod(0o755)
    return home


def report_directory(now: datetime) -> Path:
    """A new directory that outlives the demo: among this user's state (XDG Base Directory Specification), or where that may not
    be written to, among what is temporary."""
    name = f"{now:%Y%m%d-%H%M%S}-{os.getpid()}"
    with suppress(OSError, RuntimeError):  # RuntimeError: this user has no home
        base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
        directory = Path(base) / _EVIDENCE / name
        directory.mkdir(parents=True, mode=0o700)
        return directory
    directory = Path(tempfile.gettempdir()) / f"{_EVIDENCE}-evidence-{name}"
    directory.mkdir(mode=0o700)
    return directory


def server_directories(home: Path) -> list[Path]:
    """Where servers of the demo may be at work: the database, the copy that a table is fetched from, sandboxes of drills."""
    return [database_directory(home), copy_directory(home), *home.glob("drills/*")]


def database_directory(home: Path) -> Path:
    return home / "database" / "data"


def copy_directory(home: Path) -> Path:
    return home / "database" / "copy"


def end_servers(home: Path, instances: Instances) -> None:
    """Whoever started them, also those of a run that was cut off; their sockets elsewhere on this host go with them."""
    for directory in map(str, server_directories(home)):
        instances.stop(InstancePlace(directory, ""), StopMode.IMMEDIATE)
        shutil.rmtree(short_socket_directory(directory), ignore_errors=True)


def documents_directory(home: Path) -> Path:
    return home / "documents"


def kit_file(home: Path) -> Path:
    """As it lies in a safe."""
    return home / "safe" / "recovery-kit.txt"
