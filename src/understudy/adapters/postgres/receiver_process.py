"""The process of one receiver: started so that it survives us, found again, signalled and waited for.

The spool's lock file is its identity: the child inherits the locked descriptor, so the lock lives exactly as long as it does, and
whoever holds that file open under the name ``pg_receivewal`` is this spool's receiver. A process id written down somewhere may
meanwhile be somebody else's, and is lost when we die before writing it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from understudy.adapters.postgres.processes import process_facts
from understudy.ports.clock import Clock
from understudy.vocabulary.errors import GiveUp

_PROC = Path("/proc")
_PROGRAM = "pg_receivewal"
_STARTTIME_FIELD = 19
"""Of ``/proc/<pid>/stat``, counted from the state, which is the first behind the name (manual page proc(5))."""
_PATIENCE_MILLISECONDS = 10_000

_children: dict[int, subprocess.Popen[bytes]] = {}
"""Those that this process started, so that they are reaped when they end, whoever asks."""


@dataclass(frozen=True, slots=True)
class RunningReceiver:
    pid: int
    started: datetime


class ReceiverProcess:
    def __init__(self, lock_file: Path, clock: Clock) -> None:
        self._lock_file = lock_file
        self._clock = clock
        self._found: int | None = None

    def find(self) -> RunningReceiver | None:
        for pid in self._candidates():
            if self._holds_lock(pid) and (started := self._start_time(pid)) is not None:
                self._found = pid
                return RunningReceiver(pid, started)
        return None

    @contextlib.contextmanager
    def locked(self) -> Iterator[int]:
        """The spool's lock, for starting a receiver that inherits it.

        Raises:
            GiveUp: ``spool_busy``.
        """
        descriptor = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield descriptor
        except BlockingIOError:
            raise GiveUp(
                "spool_busy",
                found=f"{self._lock_file} is locked by another process",
                expected="a spool that one receiver fills",
                hint=f"see who it is with: fuser -v {self._lock_file}; each database needs a spool of its own",
            ) from None
        finally:
            os.close(descriptor)

    def launch(self, command: Sequence[str], environment: Mapping[str, str], log: Path, lock_descriptor: int) -> int:
        """Start it detached: a session of its own, its output in the log, nothing of ours open but the lock.

        For a moment after this returned the process still bears our name (the kernel renames it late in exec), and is not found.
        """
        with log.open("ab") as output:
            child = subprocess.Popen(
                list(command),
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                umask=0o077,
                start_new_session=True,
                pass_fds=(lock_descriptor,),
            )
        _children[child.pid] = child
        return child.pid

    def stop(self) -> None:
        """End it, politely first; returns when it is gone."""
        found = self.find()
        if found is None:
            return
        try:
            handle = os.pidfd_open(found.pid)
        except ProcessLookupError:
            return
        try:
            for number in (signal.SIGINT, signal.SIGKILL):  # it takes SIGINT for the request to end (manual, pg_receivewal)
                if not self._holds_lock(found.pid):
                    return
                signal.pidfd_send_signal(handle, number)
                if _ended(handle):
                    return
        except ProcessLookupError:
            return
        finally:
            os.close(handle)
            _reap()
        raise GiveUp(
            "receiver_failed",
            found=f"process {found.pid} did not end {_PATIENCE_MILLISECONDS // 1000} s after SIGKILL",
            expected="a process that ends",
            hint="it hangs in the kernel: is the spool's file system gone?",
        )

    def _candidates(self) -> Iterator[int]:
        """The one that was found last comes first, so that a receiver that runs is found without a look at every process."""
        _reap()
        known = self._found
        if known is not None and _is_receiver(known):
            yield known
        for entry in _PROC.iterdir():
            if entry.name.isdigit() and _is_receiver(int(entry.name)):
                yield int(entry.name)

    def _holds_lock(self, pid: int) -> bool:
        try:
            lock = self._lock_file.stat()
            descriptors = list((_PROC / str(pid) / "fd").iterdir())
        except OSError:
            return False  # nothing was ever started here; or that process is gone, or somebody else's
        for descriptor in descriptors:
            with contextlib.suppress(OSError):  # closed since it was listed: a receiver that reconnects does that all the time
                found = descriptor.stat()
                if (found.st_dev, found.st_ino) == (lock.st_dev, lock.st_ino):
                    return True
        return False

    def _start_time(self, pid: int) -> datetime | None:
        try:
            fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
            uptime_seconds = float((_PROC / "uptime").read_text().split()[0])
        except OSError:
            return None
        age_seconds = uptime_seconds - int(fields[_STARTTIME_FIELD]) / os.sysconf("SC_CLK_TCK")
        return self._clock.now() - timedelta(seconds=age_seconds)


def _is_receiver(pid: int) -> bool:
    found = process_facts(pid)
    return found is not None and found.name == _PROGRAM and not found.ended


def _ended(handle: int) -> bool:
    poll = select.poll()
    poll.register(handle, select.POLLIN)  # a pidfd is readable once its process has ended
    return bool(poll.poll(_PATIENCE_MILLISECONDS))


def _reap() -> None:
    for pid, child in list(_children.items()):
        if child.poll() is not None:
            _children.pop(pid, None)
