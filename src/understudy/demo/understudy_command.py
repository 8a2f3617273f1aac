"""The command line, driven as a user would: as a program, with ``--json`` to read its answers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from understudy.cli.exit_codes import ExitCode
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

    def backed_up(self, resource: str) -> bool:
        """False where somebody else is backing it up.

        Raises:
            GiveUp: ``demo_command_failed``, with what it said.
        """
        done = self._run("backup", resource)
        if done.returncode == ExitCode.BUSY:
            return False
        _require_success(done, ("backup", resource))
        return True

    def answer(self, *arguments: str, may_fail: bool = False) -> JsonObject:
        """The object that the command prints with ``--json``.

        Raises:
            GiveUp: ``demo_command_failed``, with what it said.
        """
        done = self._run(*arguments)
        if not (may_fail and done.stdout):
            _require_success(done, arguments)
        return cast(JsonObject, json.loads(done.stdout))

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "understudy", *arguments, "--json"], env=self._environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
        )  # fmt: skip

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

    def kill_serving(self) -> None:
        """With its helpers, all at once."""
        if self._serving is not None and self._serving.poll() is None:
            os.killpg(self._serving.pid, signal.SIGKILL)
            self._serving.wait()

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


def _require_success(done: subprocess.CompletedProcess[str], arguments: Sequence[str]) -> None:
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()[-1500:]
        raise GiveUp(
            "demo_command_failed",
            found=f"understudy {' '.join(arguments)} ended with {done.returncode}: {said}",
            expected="that it succeeds",
            hint="this is a defect of Understudy or an odd machine: please report it with this message",
        )
