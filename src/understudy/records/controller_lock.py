"""One controller per state directory: an advisory lock that the kernel releases when its process dies."""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path

from understudy.records.state_database import state_denied, state_unwritable
from understudy.vocabulary.errors import Refusal

_LOCK_NAME = "controller.lock"
_ATTEMPTS = 4
_PAUSE_SECONDS = 0.05


class ControllerLock:
    """``flock`` on ``<state>/controller.lock``, with the holder's process id inside for people."""

    def __init__(self, state: Path) -> None:
        self._path = state / _LOCK_NAME
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock, or refuse.

        Raises:
            Refusal: ``controller_busy``, naming the process that holds it.
            GiveUp: ``state_unwritable``.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Not inherited by the programs that steps start: a server that outlives us must not keep the lock.
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise state_unwritable(f"{error.filename}: {error.strerror}") from error
        try:
            self._lock(descriptor)
            self._sign(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back. Nothing happens when it is not held."""
        if self._descriptor is None:
            return
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)
        self._descriptor = None

    def _sign(self, descriptor: int) -> None:
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            raise state_unwritable(f"{self._path}: {error.strerror}") from error

    def _lock(self, descriptor: int) -> None:
        # A reader that looks whether a controller lives holds a shared lock for an instant; that is no reason to refuse.
        for attempt in range(_ATTEMPTS):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if attempt < _ATTEMPTS - 1:
                    threading.Event().wait(_PAUSE_SECONDS)
        holder = _pid_inside(descriptor)
        who = f"process {holder}" if holder else "another process"
        raise Refusal(
            "controller_busy",
            found=f"{who} holds {self._path}",
            expected="no other controller on this state directory",
            hint="wait until it is done, or stop it; while `understudy serve` runs, other commands hand their work to it",
        )


def controller_pid(state: Path) -> int | None:
    """The process that controls this state directory now, or None when nobody does.

    Raises:
        GiveUp: ``state_denied``.
    """
    try:
        descriptor = os.open(state / _LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise state_denied(error) from None
    try:
        pid = _pid_inside(descriptor)
        if pid is None or not _lives(pid):
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return pid
        return None
    finally:
        os.close(descriptor)


def _pid_inside(descriptor: int) -> int | None:
    text = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
    return int(text) if text.isdigit() else None


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
