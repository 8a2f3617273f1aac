"""Another kind of S3 server: ``moto_server``, which knows conditional writes, versions and object lock, all in memory."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path

_STARTED = re.compile(r"Running on http://127\.0\.0\.1:(\d+)")


class MotoS3:
    """Context manager on a free port of the loopback. It takes every key pair; buckets are made by the test."""

    def __init__(self) -> None:
        self.port = 0
        self.last_words: deque[str] = deque(maxlen=50)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> MotoS3:
        program = Path(sys.executable).parent / "moto_server"
        self._process = subprocess.Popen(
            [sys.executable, "-u", str(program), "-H", "127.0.0.1", "-p", "0"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        started = threading.Event()
        self._reader = threading.Thread(target=self._read_words, args=(started,), daemon=True)
        self._reader.start()
        if not started.wait(60) or self._process.poll() is not None:
            self.__exit__()
            raise AssertionError("moto_server did not start: " + "".join(self.last_words))
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stderr is not None
        self._process.stderr.close()

    def _read_words(self, started: threading.Event) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.last_words.append(line)
            if found := _STARTED.search(line):
                self.port = int(found.group(1))
                started.set()
        started.set()
