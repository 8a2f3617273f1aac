"""Another kind of S3 server: ``moto_server``, which knows conditional writes, versions and object lock, all in memory."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tests.servers.announcing_process import AnnouncingProcess

_STARTED = re.compile(r"Running on http://127\.0\.0\.1:(\d+)")


class MotoS3:
    """Context manager on a free port of the loopback. It takes every key pair; buckets are made by the test."""

    @property
    def port(self) -> int:
        return self._process.port

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> MotoS3:
        program = Path(sys.executable).parent / "moto_server"
        self._process = AnnouncingProcess([sys.executable, "-u", str(program), "-H", "127.0.0.1", "-p", "0"], _STARTED)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
