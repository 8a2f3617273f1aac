"""A process that has everything imported, and that forks itself into each command that ``programs`` asks it for.

``python -m tests.servers.prepared_program DESCRIPTOR``: of a socket (``SOCK_SEQPACKET``). A message is one ``Request``, as JSON,
with four descriptors: the command's standard input, output and error, and a socket on which two messages go back, its pid
and, once it has ended, its wait status. The process ends when nobody holds the other end of the socket any more.

What is forked finds the streams, signals, environment, directory and arguments that ``python -m`` gives, and ends so. It
shares with its like only what was imported, and the seed by which sets of words are ordered. So nothing may be called here but
imports: no thread, no connection, no look at the environment.
"""

from __future__ import annotations

import atexit
import dataclasses
import gc
import importlib
import json
import os
import pkgutil
import runpy
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_LONGEST_REQUEST_BYTES = 1 << 20
_IMPORTED_WHEN_CALLED = ("boto3", "dbos", "dbos._sys_db_sqlite", "sqlalchemy.dialects.sqlite")


@dataclass(frozen=True, slots=True)
class Request:
    """``python -m module arguments``, and where."""

    module: str
    arguments: list[str]
    environment: dict[str, str]
    directory: str
    umask: int
    new_session: bool

    def to_bytes(self) -> bytes:
        return json.dumps(dataclasses.asdict(self)).encode()

    @classmethod
    def from_bytes(cls, text: bytes) -> Request:
        return cls(**json.loads(text))


@dataclass(frozen=True, slots=True)
class _Command:
    """One that was forked and has not ended: what is waited for is its pidfd."""

    pid: int
    asked_by: socket.socket


def import_everything() -> None:
    for slow_to_import in (*_IMPORTED_WHEN_CALLED, *_modules_of_understudy()):
        importlib.import_module(slow_to_import)


def _modules_of_understudy() -> Iterator[str]:
    """All but the one that runs when it is imported."""
    import understudy

    found = pkgutil.walk_packages(understudy.__path__, "understudy.")
    return (each.name for each in found if not each.name.endswith("__main__"))


def _fork_as_asked(requests: socket.socket) -> Request | None:
    """Returns in each process that was forked, with what it is to become; with None in this one, once nobody asks any more."""
    with selectors.PollSelector() as events:  # unlike epoll's, it shares nothing with what is forked
        events.register(requests, selectors.EVENT_READ)
        while True:
            for event, _ in events.select():
                if event.fileobj is not requests:
                    events.unregister(event.fileobj)
                    _tell_end_of(event.data, event.fd)
                    continue
                message, descriptors, _, _ = socket.recv_fds(requests, _LONGEST_REQUEST_BYTES, 4)
                if not message:
                    return None
                asked_by = socket.socket(fileno=descriptors.pop())
                pid = os.fork()
                if pid == 0:
                    asked_by.close()
                    _close_all(events)
                    _take_for_standard_streams(descriptors)
                    return Request.from_bytes(message)
                for descriptor in descriptors:
                    os.close(descriptor)
                with suppress(OSError):  # whoever asked was killed meanwhile
                    asked_by.send(str(pid).encode())
                events.register(os.pidfd_open(pid), selectors.EVENT_READ, _Command(pid, asked_by))


def _tell_end_of(command: _Command, pidfd: int) -> None:
    os.close(pidfd)
    _, status = os.waitpid(command.pid, 0)
    with command.asked_by, suppress(OSError):
        command.asked_by.send(str(status).encode())


def _close_all(events: selectors.BaseSelector) -> None:
    """What the process that was forked has of the one that forks: the socket of requests, and what belongs to other commands."""
    for each in events.get_map().values():
        if isinstance(each.fileobj, socket.socket):
            each.fileobj.close()
        else:
            os.close(each.fd)
            each.data.asked_by.close()


def _take_for_standard_streams(descriptors: list[int]) -> None:
    for standard, descriptor in enumerate(descriptors):
        os.dup2(descriptor, standard)
        os.close(descriptor)


def _begin_as(request: Request) -> None:
    """What an interpreter does, and what is done for it, before a program's first line."""
    if request.new_session:
        os.setsid()
    os.umask(request.umask)
    os.chdir(request.directory)
    os.environ.clear()
    os.environ.update(request.environment)
    if not os.environ.get("LC_ALL") and (os.environ.get("LC_CTYPE") or os.environ.get("LANG") or "C") in ("C", "POSIX"):
        os.environ["LC_CTYPE"] = "C.UTF-8"  # as PEP 538 has it; programs that are started from here see it
    time.tzset()
    for name, descriptor, mode, errors in (
        ("stdin", 0, "r", sys.stdin.errors), ("stdout", 1, "w", sys.stdout.errors), ("stderr", 2, "w", "backslashreplace"),
    ):  # fmt: skip
        buffering = 1 if name == "stderr" else -1  # by lines; the others are so at a terminal
        stream = open(descriptor, mode, buffering, "utf-8", errors, "\n", closefd=False)  # noqa: SIM115
        stream.buffer.raw.name = f"<{name}>"
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.argv = [request.module, *request.arguments]
    sys.path[0] = str(Path.cwd())
    sys.modules.pop(request.module, None)  # it is run as __main__; who imports it then gets another, as ever


def _run_to_its_end(module: str) -> None:
    """As ``python -m``, but that a process which ends well does not take apart, and copy for it, what it shares with this one."""
    code = 0
    try:
        runpy._run_module_as_main(module)  # type: ignore[attr-defined]
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            raise
        code = end.code or 0
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as the interpreter does
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            sys.exit(code)  # the interpreter knows what to make of it
    os._exit(code)


def _only_thread() -> bool:
    return len(list(Path("/proc/self/task").iterdir())) == 1


if __name__ == "__main__":
    # Ctrl-C is for the commands: one that comes while a process is forked waits there until it can be heard.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    import_everything()
    assert _only_thread(), "a fork takes along only one"
    gc.collect()
    gc.freeze()  # so that no command looks through what was imported, and copies its pages
    with socket.socket(fileno=int(sys.argv[1])) as _requests:
        _wanted = _fork_as_asked(_requests)
    if _wanted is not None:
        _begin_as(_wanted)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        _run_to_its_end(_wanted.module)
