"""A demo that goes on after its command has ended, and its end."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from understudy.adapters.clock.system import SystemClock
from understudy.adapters.postgres.processes import process_facts
from understudy.app.carrying_out import serving_pid
from understudy.app.installation import Installation
from understudy.demo.home import end_servers
from understudy.demo.stack_file import RESOURCE, STACK_FILE
from understudy.demo.understudy_command import revealed
from understudy.vocabulary.errors import GiveUp, Refusal
from understudy.vocabulary.identifiers import ResourceName
from understudy.vocabulary.secret import Secret

_NOTE = "kept.json"
_LOOK_SECONDS = 0.1
_GRACE_SECONDS = 30.0


def keep_demo(home: Path, secrets: Mapping[str, Secret], s3_pids: Sequence[int]) -> None:
    """Write down what another terminal needs to join in, readable by this user only, and what ending it needs.

    With ``environment`` read in, ``understudy`` is this very program and speaks of this very stack.
    """
    values = revealed(secrets)
    environment = home / "environment"
    environment.touch(mode=0o600)
    exports = {**values, "UNDERSTUDY_STACK": str(home / STACK_FILE)}
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in exports.items()]
    environment.write_text("".join([*lines, f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH\n"]))
    note = home / _NOTE
    note.touch(mode=0o600)
    note.write_text(json.dumps({"s3_pids": list(s3_pids), "secrets": values}))


def end_kept_demo(home: Path) -> None:
    """Stop what the demo in ``home`` left running, and remove it.

    Raises:
        Refusal: ``no_demo_here``.
    """
    try:
        note = json.loads((home / _NOTE).read_text())
    except (OSError, ValueError) as error:
        raise Refusal("no_demo_here", found=f"{home} holds no kept demo ({error})",
                      expected="the directory that demo --keep named",
                      hint="look for /tmp/understudy-demo-*/kept.json") from None  # fmt: skip
    os.environ.update(note["secrets"])
    installation = Installation.open(home / STACK_FILE)
    controller = serving_pid(installation.state)
    if controller is not None:
        end_process(controller, "python")
    resource = ResourceName(RESOURCE)
    installation.receivers[resource].stop()
    end_servers(home, installation.instances[resource])
    for pid in note["s3_pids"]:
        end_process(int(pid), "rclone")
    shutil.rmtree(home)


def end_process(pid: int, program: str, grace_seconds: float = _GRACE_SECONDS) -> None:
    """By its id, and only if that is still the program that was started; one that does not end when asked to is killed.

    Raises:
        GiveUp: ``demo_not_ended``: the kernel does not let go of it.
    """
    clock = SystemClock()
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not _still_runs(pid, program):
            return
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        until = clock.monotonic_seconds() + grace_seconds
        while _still_runs(pid, program) and clock.monotonic_seconds() < until:
            clock.wait(_LOOK_SECONDS)
    if _still_runs(pid, program):
        raise GiveUp("demo_not_ended", found=f"process {pid} ({program}) runs although it was killed",
                     expected="that it ends",
                     hint="it waits for a disk that does not answer: see dmesg, then try again")  # fmt: skip


def _still_runs(pid: int, program: str) -> bool:
    found = process_facts(pid)
    return found is not None and not found.ended and found.name.startswith((program, "understudy"))
