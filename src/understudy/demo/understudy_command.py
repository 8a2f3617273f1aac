"""The command line, driven as a user would: as a program, with ``--json`` to read its answers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.json import JsonObject
from understudy.vocabulary.secret import Secret

_INTERRUPT_SECONDS = 20


def revealed(secrets: Mapping[str, Secret]) -> dict[str, str]:
    """For the environment of a child process: what the stack file's references point to."""
    return {name: secret.reveal() for name, secret in secrets.items()}


class UnderstudyCommand:
    """Runs ``understudy`` with one stack file and the secrets that this refers to."""

    def __init__(self, stack_file: Path, secrets: Mapping[str, Secret]) -> None:
        self.stack_file = stack_file
        self._environment = {**os.environ, **revealed(secrets), "UNDERSTUDY_STACK": str(stack_file)}
        self._serving: subprocess.Popen[bytes] | None = None

    def answer(self, *arguments: str, may_fail: bool = False) -> JsonObject:
        """The object that the command prints with ``--json``.

        Raises:
            GiveUp: ``demo_command_failed``, with what it said.
        """
        done = subprocess.run(
            [sys.executable, "-m", "understudy", *arguments, "--json"], env=self._environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0 and not (may_fail and done.stdout):
            said = (done.stderr or done.stdout).strip()[-1500:]
            raise GiveUp(
                "demo_command_failed",
                found=f"understudy {' '.join(arguments)} ended with {done.returncode}: {said}",
                expected="that it succeeds",
                hint="this is a defect of Understudy or an odd machine: please report it with this message",
            )
        return cast(JsonObject, json.loads(done.stdout))

    def start_serving(self, log: Path) -> None:
        with log.open("wb") as out:
            self._serving = subprocess.Popen(
                [sys.executable, "-m", "understudy", "serve"], env=self._environment, stdin=subprocess.DEVNULL,
                stdout=out, stderr=out,
                start_new_session=True,
            )  # fmt: skip

    @property
    def serving(self) -> bool:
        return self._serving is not None and self._serving.poll() is None

    def stop_serving(self) -> None:
        """It lets go of a run in the middle, but may be in the middle of a long read: then it and its helpers are killed."""
        if self._serving is None or self._serving.poll() is not None:
            return
        self._serving.send_signal(signal.SIGTERM)
        try:
            self._serving.wait(_INTERRUPT_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self._serving.pid, signal.SIGKILL)
            self._serving.wait()
