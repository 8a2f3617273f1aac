"""The program in processes of its own, forked from one that has everything imported (``prepared_program``).

A start of its own would take a quarter to half a second of a processor before the first line runs. What proves the start itself,
or measures a process, calls ``subprocess``.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.servers.prepared_program import Request

UNDERSTUDY = "understudy.cli.main"
_ROOT = Path(__file__).parents[2]
_USUAL: Mapping[str, Any] = {
    "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True,
}  # fmt: skip


def start(*arguments: object, module: str = UNDERSTUDY, **options: Any) -> Prepared:
    """``options``: of ``subprocess.Popen``. If they do not say otherwise, it reads nothing and writes text into pipes."""
    return Prepared([sys.executable, "-m", module, *map(str, arguments)], **(_USUAL | options))


def run(*arguments: object, module: str = UNDERSTUDY, timeout: float = 240, **options: Any) -> subprocess.CompletedProcess[str]:
    """The same to its end, whatever that is."""
    with start(*arguments, module=module, **options) as process:
        try:
            out, said = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, said)


class Prepared(subprocess.Popen):  # type: ignore[type-arg]
    """A process like any other, of which another one is the parent: that one waits for it, and tells how it ended."""

    def _execute_child(
        self, args: Sequence[str], executable: object, preexec_fn: object, close_fds: bool, pass_fds: object,
        cwd: Path | str | None, env: Mapping[str, str] | None, startupinfo: object, creationflags: object, shell: bool,
        p2cread: int, p2cwrite: int, c2pread: int, c2pwrite: int, errread: int, errwrite: int,
        restore_signals: bool, gid: object, gids: object, uid: object, umask: int, start_new_session: bool, process_group: int,
    ) -> None:  # fmt: skip
        program, flag, module, *arguments = args
        assert (program, flag) == (sys.executable, "-m"), args
        unusual = (
            executable, preexec_fn, pass_fds, shell, gid, gids, uid, not close_fds, not restore_signals, process_group != -1,
        )  # fmt: skip
        assert not any(unusual), "that is for a real start"
        request = Request(
            module,
            arguments,
            dict(os.environ if env is None else env),
            str(Path.cwd() / (cwd or "")),
            umask if umask >= 0 else _umask(),
            start_new_session,
        )
        theirs = (p2cread, c2pwrite, errwrite)
        given = [own if each == -1 else each for own, each in enumerate(theirs)]
        self.pid, self._told = _forked(request, given)
        self._child_created = True
        self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        """As ``os.waitpid`` answers."""
        try:
            status = self._told.recv(16, socket.MSG_DONTWAIT if wait_flags & os.WNOHANG else 0)
        except BlockingIOError:
            return 0, 0
        self._told.close()
        if not status:
            self.returncode = sys.maxsize
            raise AssertionError(f"how {self.args} ended is not known: the process that forked it has ended before")
        return self.pid, int(status)

    def _internal_poll(self, _deadstate: int | None = None) -> int | None:
        if self.returncode is None and self._waitpid_lock.acquire(blocking=False):
            try:
                if self.returncode is None:
                    pid, status = self._try_wait(os.WNOHANG)
                    if pid == self.pid:
                        self._handle_exitstatus(status)
            finally:
                self._waitpid_lock.release()
        return self.returncode


class _PreparedProcess:
    """Ends with this one, however that ends: nobody else holds the other end of its socket."""

    def __init__(self) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.servers.prepared_program", str(theirs.fileno())],
                env={"PATH": os.environ["PATH"]}, cwd=_ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )  # fmt: skip

    def fork(self, request: Request, descriptors: Sequence[int]) -> tuple[int, socket.socket]:
        """The pid, and the socket on which its wait status comes."""
        told, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            socket.send_fds(self._requests, [request.to_bytes()], [*descriptors, theirs.fileno()])
        pid = told.recv(16)
        if not pid:
            told.close()
            raise AssertionError(f"{request.module} was not started: the process that was to fork it has ended")
        return int(pid), told

    def close(self) -> None:
        self._requests.close()
        self.process.wait()


_lock = threading.Lock()
_running: list[_PreparedProcess] = []


def _forked(request: Request, descriptors: Sequence[int]) -> tuple[int, socket.socket]:
    """By the prepared process, which is started when the first command is."""
    with _lock:
        if _running:
            try:
                return _running[0].fork(request, descriptors)
            except (BrokenPipeError, ConnectionResetError):  # somebody killed it before it was asked: who lost a command is told
                _running.pop().close()
        _running.append(_PreparedProcess())
        return _running[0].fork(request, descriptors)


def end_prepared_process() -> None:
    """Commands that it forked go on without it."""
    with _lock:
        while _running:
            _running.pop().close()


def _umask() -> int:
    """This process's: to ask the system for it is to change it, for all threads."""
    [umask] = re.findall(r"^Umask:\s*(\d+)$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(umask, 8)
