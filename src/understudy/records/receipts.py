"""Receipts as small JSON files under ``<state>/runs/<run>/receipts/``."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import cast

from understudy.records.state_database import state_unwritable
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import RunId
from understudy.vocabulary.json import JsonObject

_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$")


class FileReceipts:
    """``ports.Receipts`` for one run. A name may have folders: ``orders/base-backup``."""

    def __init__(self, state: Path, run: RunId) -> None:
        self._directory = state / "runs" / run / "receipts"

    def read(self, name: str) -> JsonObject | None:
        try:
            content = self._path(name).read_bytes()
        except FileNotFoundError:
            return None
        try:
            value = json.loads(content)
        except ValueError as error:
            raise _damaged(self._path(name), str(error)) from error
        if not isinstance(value, dict):
            raise _damaged(self._path(name), "not a JSON object")
        return cast(JsonObject, value)

    def write(self, name: str, value: JsonObject) -> None:
        path = self._path(name)
        content = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        try:
            _make_durable_directory(path.parent)
            write_durably(path, content)
        except OSError as error:
            raise state_unwritable(f"{path}: {error.strerror}") from error

    def _path(self, name: str) -> Path:
        if not _NAME.match(name):
            raise ValueError(f"not a receipt's name: {name!r}; expected letters, digits, '.', '_', '-', parts joined by '/'")
        return self._directory / f"{name}.json"


def write_durably(path: Path, content: bytes) -> None:
    """Visible whole or not at all, and safe from a power cut when this returns: written aside, fsynced, renamed.

    One writer of a path at a time: the name aside is always the same, so what a killed process leaves is used up by the next.
    """
    aside = path.with_name(f".{path.name}.aside")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def _make_durable_directory(directory: Path) -> None:
    missing = [each for each in (directory, *directory.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)
        sync_directory(each.parent)


def sync_directory(directory: Path) -> None:
    """What was made or renamed in it survives the machine."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _damaged(path: Path, reason: str) -> GiveUp:
    return GiveUp(
        "receipt_damaged",
        found=f"{path} cannot be read: {reason}",
        expected="a JSON object as a step wrote it",
        hint="the file was changed or the disk lost it: cancel this run and start it anew",
    )
