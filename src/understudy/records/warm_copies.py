"""The notes of warm copies, as small JSON files under ``<state>/warm/``."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from understudy.ports.warm_copies import FormerWarmCopy, WarmCopy, WarmCopyFault
from understudy.records.private_files import make_private_directory, make_private_file
from understudy.records.receipts import write_durably
from understudy.records.state_database import state_unwritable
from understudy.vocabulary.errors import GiveUp, TryAgain
from understudy.vocabulary.identifiers import ResourceName, RunId, SystemIdentifier
from understudy.vocabulary.wal import Timeline

_LOOK_AGAIN = timedelta(seconds=0.2)


class FileWarmCopies:
    """``ports.WarmCopies`` below one state directory. Nothing is made by reading."""

    def __init__(self, state: Path) -> None:
        self._directory = state / "warm"

    def read(self, resource: ResourceName) -> WarmCopy | None:
        path = self._directory / f"{resource}.json"
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _damaged(path, str(error.strerror)) from error
        try:
            return _of_json(json.loads(content))
        except (ValueError, KeyError, TypeError) as error:
            raise _damaged(path, f"{type(error).__name__}: {error}") from error

    def write(self, resource: ResourceName, copy: WarmCopy) -> None:
        path = self._directory / f"{resource}.json"
        content = json.dumps(dataclasses.asdict(copy), default=datetime.isoformat, indent=2, ensure_ascii=False).encode() + b"\n"
        try:
            make_private_directory(self._directory)
            write_durably(path, content)
        except OSError as error:
            raise state_unwritable(f"{path}: {error.strerror}") from error

    @contextmanager
    def held(self, resource: ResourceName) -> Iterator[None]:
        path = self._directory / f"{resource}.lock"
        try:
            make_private_directory(self._directory)
            make_private_file(path)
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise state_unwritable(f"{path}: {error.strerror}") from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise TryAgain(
                    "warm_copy_busy",
                    found=f"the warm copy of {resource} is being started, stopped or moved by somebody else just now",
                    expected="one at a time",
                    hint="it passes by itself",
                    after=_LOOK_AGAIN,
                ) from None
            yield
        finally:
            os.close(descriptor)


def _of_json(value: dict) -> WarmCopy:  # type: ignore[type-arg]
    fault, taken_by = value["fault"], value["taken_by"]
    return WarmCopy(
        directory=str(value["directory"]),
        socket_directory=str(value["socket_directory"]),
        run=RunId(str(value["run"])),
        repository=str(value["repository"]),
        labels=tuple(map(str, value["labels"])),
        system_identifier=SystemIdentifier(str(value["system_identifier"])),
        segment_bytes=int(value["segment_bytes"]),
        timeline=Timeline(int(value["timeline"])),
        verified=datetime.fromisoformat(value["verified"]),
        former=tuple(
            FormerWarmCopy(str(each["directory"]), str(each["socket_directory"]), RunId(str(each["run"])))
            for each in value["former"]
        ),
        taken_by=None if taken_by is None else RunId(str(taken_by)),
        fault=None if fault is None else WarmCopyFault(fault["code"], fault["found"], datetime.fromisoformat(fault["at"])),
    )


def _damaged(path: Path, reason: str) -> GiveUp:
    return GiveUp(
        "warm_copy_note_damaged",
        found=f"{path} cannot be read: {reason}",
        expected="what a seeding wrote there",
        hint="move it away: a warm copy is then seeded anew; the directories of the old one are yours to remove",
    )
