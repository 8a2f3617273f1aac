"""What commands cost: wall time, CPU of everything they started, the memory of their tree, and who disturbed them."""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.servers.flavours import run_as_owner
from tests.servers.processes import descendants

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_LOOK_EVERY_SECONDS = 0.02


class CommandFailed(Exception):
    """A measured command ended badly: the row can't be measured."""


@dataclass(frozen=True, slots=True)
class Cost:
    wall_seconds: float
    cpu_seconds: float
    """Of the commands and of everything that they started and waited for, and of the server where one was given."""
    disturbed_share: float
    """Of both cores: what others used meanwhile, the kernel's own writing included."""
    output: str = ""


def costs(work: Callable[[], str], server_pid: int | None = None) -> Cost:
    """Carry out ``work`` and say what it cost; what it returns is kept as output."""
    before, server_before, machine_before = _children_cpu(), tree_cpu_seconds(server_pid), machine_cpu_seconds()
    started = time.monotonic()
    output = work()
    wall = time.monotonic() - started
    cpu = _children_cpu() - before + tree_cpu_seconds(server_pid) - server_before
    disturbed = max(0.0, machine_cpu_seconds() - machine_before - cpu) / (wall * (os.cpu_count() or 1))
    return Cost(wall, cpu, disturbed, output)


def run(command: Sequence[str], *, as_owner: bool = False, environment: Mapping[str, str] | None = None, cwd: str = "/") -> str:
    """Standard output of a command that must succeed."""
    return pipeline([command], as_owner=as_owner, environment=environment, cwd=cwd)


def pipeline(
    commands: Sequence[Sequence[str]],
    *,
    as_owner: bool = False,
    environment: Mapping[str, str] | None = None,
    cwd: str = "/",
    output: Path | None = None,
) -> str:
    """Commands joined by pipes; every one must succeed. What the last one prints, or nothing where it goes to ``output``."""
    account = run_as_owner() if as_owner else {}
    variables = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8", "HOME": cwd, **(environment or {})}
    running: list[subprocess.Popen[bytes]] = []
    with (output or Path(os.devnull)).open("wb") as into, tempfile.TemporaryFile() as words:
        for number, command in enumerate(commands):
            last = number == len(commands) - 1
            process = subprocess.Popen(
                command, stdin=running[-1].stdout if running else subprocess.DEVNULL,
                stdout=into if last and output else subprocess.PIPE, stderr=words,
                cwd=cwd, env=variables, **account,
            )  # fmt: skip
            if running and running[-1].stdout:
                running[-1].stdout.close()
            running.append(process)
        printed, _ = running[-1].communicate()
        for process, command in zip(running, commands, strict=True):
            if process.wait() != 0:
                words.seek(0)
                said = ((printed or b"") + words.read()).decode(errors="replace")[-3000:]
                raise CommandFailed(f"{' '.join(command)}: exit status {process.returncode}\n{said}")
        if output:
            os.fsync(into.fileno())  # a backup that the disk has not got yet is none; the others flush theirs, too
    return (printed or b"").decode(errors="replace")


class MemoryWatch:
    """The highest sum of resident memory over the descendants that this process gets while in the ``with``, servers left out.

    Pages shared between programs count once for each, so this is never too low.
    """

    def __init__(self, leave_out: Sequence[str] = ("postgres",)) -> None:
        self._leave_out = leave_out
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._there_before: frozenset[int] = frozenset()
        self.peak_bytes = 0

    def __enter__(self) -> MemoryWatch:
        self._there_before = frozenset(descendants(os.getpid()))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stopping.wait(_LOOK_EVERY_SECONDS):
            begun = [pid for pid in descendants(os.getpid()) if pid not in self._there_before]
            self.peak_bytes = max(self.peak_bytes, sum(self._resident(pid) for pid in begun))

    def _resident(self, pid: int) -> int:
        try:
            if Path(f"/proc/{pid}/comm").read_text().strip() in self._leave_out or _is_still_its_parent(pid):
                return 0
            return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
        except (FileNotFoundError, ProcessLookupError):
            return 0


def _is_still_its_parent(pid: int) -> bool:
    """Forked, and not yet the program that it is to become: all its pages are its parent's."""
    parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
    return Path(f"/proc/{pid}/cmdline").read_bytes() == Path(f"/proc/{parent}/cmdline").read_bytes()


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def tree_cpu_seconds(pid: int | None) -> float:
    """A running process, its living descendants, and those that it has reaped."""
    if pid is None:
        return 0.0
    ticks = 0
    for each in (pid, *descendants(pid)):
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        ticks += sum(int(value) for value in fields[11:15])
    return ticks / _TICK


def machine_cpu_seconds() -> float:
    """Seconds that all cores were busy, since the machine started."""
    line = Path("/proc/stat").read_text().partition("\n")[0]
    user, nice, system, _idle, _waiting, irq, softirq, steal = (int(each) for each in line.split()[1:9])
    return (user + nice + system + irq + softirq + steal) / _TICK
