"""Another kind of S3 server: ``moto_server``, which knows conditional writes, versions and object lock, all in memory."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from tests.servers.announcing_process import AnnouncingProcess

_STARTED = re.compile(r"Running on http://127\.0\.0\.1:(\d+)")


class MotoS3:
    """Context manager on a free port of the loopback. It takes every key pair; buckets are made by the test."""

    def __init__(self, page_of: int = 1000) -> None:
        """``page_of``: how many objects it lists at once, where nobody says. Amazon's does 1000."""
        self._environment = os.environ | {"MOTO_S3_DEFAULT_MAX_KEYS": str(page_of)}

    @property
    def port(self) -> int:
        return self._process.port

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> MotoS3:
        program = Path(sys.executable).parent / "moto_server"
        command = [sys.executable, "-u", str(program), "-H", "127.0.0.1", "-p", "0"]
        self._process = AnnouncingProcess(command, _STARTED, env=self._environment)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
