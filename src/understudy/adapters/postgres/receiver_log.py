"""What ``pg_receivewal`` says, kept small. It speaks English, because it runs under ``LC_ALL=C``; the server may not."""

from __future__ import annotations

import os
from pathlib import Path

from understudy.adapters.postgres.last_words import log_tail

_LIMIT_BYTES = 1024 * 1024
_KEPT_BYTES = 64 * 1024
_DISCONNECTED = "disconnected; waiting"
_STARTED = "starting log streaming"


class ReceiverLog:
    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self) -> None:
        """Put the former receiver's log aside, replacing the one before."""
        if self.path.exists():
            self.path.replace(self._former)

    def keep_small(self) -> None:
        """Cut the log of a running receiver, whose descriptor appends: what it writes next goes to the new end."""
        try:
            size = self.path.stat().st_size
        except FileNotFoundError:
            return
        if size > _LIMIT_BYTES:
            with self.path.open("rb") as file:
                file.seek(size - _KEPT_BYTES)
                self._former.write_bytes(file.read())
            os.truncate(self.path, 0)

    def last_words(self) -> tuple[str, ...]:
        return log_tail(self.path)

    def disconnected(self) -> bool:
        """Whether it lost its server, or was refused, and has not begun to stream since."""
        for line in reversed(self.last_words()):
            if _DISCONNECTED in line:
                return True
            if _STARTED in line:
                return False
        return False

    def cause_of_failure(self) -> str:
        """Its last error, with what the server added to it."""
        lines = [line for line in self.last_words() if _DISCONNECTED not in line]
        errors = [index for index, line in enumerate(lines) if "error:" in line or "fatal:" in line]
        return " ".join(" ".join(lines[errors[-1] :] if errors else lines[-1:]).split())

    @property
    def _former(self) -> Path:
        return self.path.with_suffix(".log.1")
