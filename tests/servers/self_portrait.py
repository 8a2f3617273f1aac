"""A program that says what it finds itself to be, and ends as it is told: ``python -m tests.servers.self_portrait HOW``."""

from __future__ import annotations

import atexit
import gc
import json
import locale
import os
import random
import resource
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path


def portrait() -> dict[str, object]:
    """Whatever of it does not differ from one start to the next."""
    main = sys.modules["__main__"]
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        "arguments": [*sys.argv[1:], Path(sys.argv[0]).name],
        "main": (main.__name__, main.__spec__.name, main.__package__, Path(str(main.__file__)).name),
        "imports from": sys.path,
        "directory": os.getcwd(),  # noqa: PTH109
        "environment": dict(os.environ),
        "zone": (time.tzname, time.localtime(0)[:6]),
        "locale": (locale.setlocale(locale.LC_CTYPE), locale.getpreferredencoding(False).lower(), sys.getfilesystemencoding()),
        "temporary files": tempfile.gettempdir(),
        "group and session": (os.getpgrp() == os.getpid(), os.getsid(0) == os.getpid(), os.getpgid(0), os.getsid(0)),
        "status": {name: status[name].strip() for name in ("Umask", "Threads", "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt")},
        "signals": {each.name: str(signal.getsignal(each)) for each in signal.Signals},
        "limits": [resource.getrlimit(which) for which in range(16)],
        "descriptors": sorted(os.listdir("/proc/self/fd")),  # noqa: PTH208
        "streams": [
            (each.name, each.mode, each.encoding, each.errors, each.newlines, each.isatty(), each.line_buffering, each.fileno())
            for each in (sys.stdin, sys.stdout, sys.stderr)
        ],
        "original streams": [sys.__stdin__ is sys.stdin, sys.__stdout__ is sys.stdout, sys.__stderr__ is sys.stderr],
        "garbage": (gc.isenabled(), gc.get_threshold()),
    }  # fmt: skip


def end(how: str) -> None:
    if how == "waits":
        print("waiting", flush=True)  # noqa: T201
        print(f"read {sys.stdin.readline()!r}")  # noqa: T201
        how = "7"
    if how == "lingers":
        atexit.register(print, "at exit")
        threading.Thread(target=lambda: print(f"after {threading.main_thread().join()}")).start()  # noqa: T201
    if how == "says why not":
        sys.exit(how)
    if how == "raises":
        print("not flushed")  # noqa: T201
        raise ValueError(how)
    if how.isdigit():
        print("not flushed")  # noqa: T201
        sys.exit(int(how))
    if how.startswith("SIG"):
        os.kill(os.getpid(), signal.Signals[how])


if __name__ == "__main__":
    if sys.argv[1] == "portrait":
        json.dump(portrait(), sys.stdout)
    elif sys.argv[1] == "chance":
        json.dump(random.random(), sys.stdout)
    else:
        end(sys.argv[1])
