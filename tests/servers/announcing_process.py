"""A server that says on its standard error which port it took."""

from __future__ import annotations

import re
import subprocess
import threading
from collections import deque
from collections.abc import Mapping, Sequence

_START_SECONDS = 60


class AnnouncingProcess:
    """One run of it, from its start to its kill."""

    def __init__(self, command: Sequence[str], announcement: re.Pattern[str], env: Mapping[str, str] | None = None) -> None:
        """Returns once ``announcement`` was said; its first group is the port.

        Raises:
            AssertionError: it ended, or did not say it in time; with its last words.
        """
        self.port = 0
        self._announcement = announcement
        self._last_words: deque[str] = deque(maxlen=50)
        self._process = subprocess.Popen(
            command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        started = threading.Event()
        self._reader = threading.Thread(target=self._read_words, args=(started,), daemon=True)
        self._reader.start()
        if not started.wait(_START_SECONDS) or self._process.poll() is not None:
            self.kill()
            raise AssertionError(f"{command[0]} did not start: {''.join(self._last_words)}")

    @property
    def pid(self) -> int:
        return self._process.pid

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stderr is not None
        self._process.stderr.close()

    def _read_words(self, started: threading.Event) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._last_words.append(line)
            if found := self._announcement.search(line):
                self.port = int(found.group(1))
                started.set()
        started.set()
