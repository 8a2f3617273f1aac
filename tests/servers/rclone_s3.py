"""A real S3 server: ``rclone serve s3`` over a directory, on a free port of the loopback."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from tests.servers.announcing_process import AnnouncingProcess

ACCESS_KEY, SECRET_KEY = "understudy-tests", "secret-of-the-tests"
_STARTED = re.compile(r"Starting s3 server on \[http://127\.0\.0\.1:(\d+)/\]")


class RcloneS3:
    """Context manager. Each directory below ``directory`` is a bucket; its files are the objects.

    The server remembers directories for minutes: files are put there before it starts, or through it. Its default way of
    taking multipart uploads blocks listings until the upload has ended, so it is told to keep parts in memory; and a directory
    cache of no seconds makes some of its requests hang.
    """

    def __init__(self, directory: Path, *buckets: str, port: int = 0) -> None:
        """``port`` 0: any free one; a server that is started again after an outage takes its old one."""
        self.directory = directory
        for bucket in buckets:
            (directory / bucket).mkdir(parents=True, exist_ok=True)
        self.port = port

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> RcloneS3:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        program = Path(sys.executable).parent / "rclone"
        self._process = AnnouncingProcess(
            [
                str(program), "serve", "s3", "--config", "", "--addr", f"127.0.0.1:{self.port}",
                "--auth-key", f"{ACCESS_KEY},{SECRET_KEY}",
                "--vfs-cache-mode", "off", "--disable-multipart-streaming", str(self.directory),
            ],
            _STARTED,
            {"PATH": os.environ["PATH"], "HOME": str(self.directory)},
        )  # fmt: skip
        self.port = self._process.port

    def stop(self) -> None:
        self._process.kill()
