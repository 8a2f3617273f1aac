"""The file that says which run a directory belongs to."""

from __future__ import annotations

import json
import os
import stat
import threading
from dataclasses import astuple, dataclass
from pathlib import Path

from understudy.adapters.files.incoming import flush_directory
from understudy.ports.places import MARKER_NAME, UNFINISHED_MARKER_PREFIX
from understudy.vocabulary.identifiers import RunId


def read_marker(directory: Path) -> RunId | None:
    """Whose the directory is; None without a marker. One that cannot be understood is somebody's, but of no run that exists."""
    try:
        content = json.loads((directory / MARKER_NAME).read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        return RunId("")
    run = content.get("run") if isinstance(content, dict) else None
    return RunId(run if isinstance(run, str) else "")


@dataclass(frozen=True, slots=True)
class Stood:
    """How a directory stood there before a run claimed it."""

    mode: int
    uid: int
    gid: int

    @classmethod
    def of(cls, directory: Path) -> Stood:
        seen = directory.stat()
        return cls(stat.S_IMODE(seen.st_mode), seen.st_uid, seen.st_gid)


def read_stood(directory: Path) -> Stood | None:
    """As the marker says it. None: the run made the directory, or nobody can tell."""
    try:
        return Stood(*map(int, json.loads((directory / MARKER_NAME).read_text())["stood"]))
    except (FileNotFoundError, KeyError, TypeError, ValueError):
        return None


def write_marker(directory: Path, run: RunId, owner: tuple[int, int] | None, stood: Stood | None = None) -> bool:
    """False when another marker is there: of two that come at once, one wins. Appears whole or not at all."""
    unfinished = directory / f"{UNFINISHED_MARKER_PREFIX}{os.getpid()}-{threading.get_ident()}"
    try:
        with unfinished.open("w") as file:
            json.dump({"run": run} | ({"stood": astuple(stood)} if stood is not None else {}), file)
            file.flush()
            os.fsync(file.fileno())
        if owner is not None:
            os.chown(unfinished, *owner)
        try:
            (directory / MARKER_NAME).hardlink_to(unfinished)
        except FileExistsError:
            return False
    finally:
        unfinished.unlink(missing_ok=True)
    flush_directory(directory)
    return True


def replace_marker(directory: Path, run: RunId) -> None:
    """The directory is this run's from here on, and was the other's until then; its owner stays."""
    marker = directory / MARKER_NAME
    unfinished = directory / f"{UNFINISHED_MARKER_PREFIX}{os.getpid()}-{threading.get_ident()}"
    seen = marker.stat()
    with unfinished.open("w") as file:
        json.dump({"run": run}, file)
        file.flush()
        os.fsync(file.fileno())
    if (seen.st_uid, seen.st_gid) != (os.geteuid(), os.getegid()):
        os.chown(unfinished, seen.st_uid, seen.st_gid)
    unfinished.replace(marker)
    flush_directory(directory)


def remove_marker(directory: Path) -> None:
    for each in directory.iterdir():
        if each.name.startswith(UNFINISHED_MARKER_PREFIX):
            each.unlink(missing_ok=True)
    (directory / MARKER_NAME).unlink(missing_ok=True)
    flush_directory(directory)
