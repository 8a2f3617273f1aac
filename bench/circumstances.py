"""What a measurement depends on beyond the programs: the machine, its versions, and who else was at work."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from tests.servers.flavours import Flavour, available, programs_of

import understudy
from bench import barman, pgbackrest
from bench.ground import Ground
from bench.processes import run
from bench.rounds import Options
from bench.statistics import Spread

_BUSY_SHARE = 0.1


def circumstances(ground: Ground, options: Options) -> Mapping[str, str]:
    return {
        "measured": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, scale {options.scale}",
        "machine": f"{os.cpu_count()} cores ({_processor()}), {_memory_gibibytes():.0f} GiB, Linux {platform.release()}",
        "versions": _versions(),
        "disk": _disk(ground),
        "priority": f"nice {os.nice(0)}",
        "caches": "before each measured command the page cache held none of the data, but all programs",
        "disturbance": _disturbance(ground),
    }


def _disk(ground: Ground) -> str:
    if ground.image is None:
        return "the machine's own file system: first writes may be slower"
    lies_on = run(["stat", "-f", "-c", "%T", str(ground.image)]).strip()
    if lies_on == "tmpfs":
        return "an ext4 file system on an image IN MEMORY: the disk is left out of every figure, on all sides"
    return "a file system on a prewritten image"


def _disturbance(ground: Ground) -> str:
    spread = Spread.of(ground.disturbed or [0.0])
    shares = f"{spread.median:.0%} (median; {spread.least:.0%}–{spread.most:.0%})"
    text = f"others and the kernel's own writing used {shares} of the cores while commands ran"
    if ground.busy_before:
        text += f"; before {len(ground.busy_before)} of {ground.measured} commands the machine did not become quiet within 2 s"
    if spread.median > _BUSY_SHARE or ground.busy_before:
        return f"the machine was SHARED AND BUSY: {text}"
    return text


def _versions() -> str:
    found = [f"Understudy {understudy.__version__}", f"Python {platform.python_version()}"]
    for flavour in Flavour:
        if available(flavour):
            found.append(run([str(programs_of(flavour) / "postgres"), "--version"]).strip())
    found += [peer for peer in (pgbackrest.version(), barman.version()) if peer]
    found.append(f"age {run(['age', '--version']).strip()}")
    found.append(run(["zstd", "-q", "--version"]).strip())
    return ", ".join(found)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _memory_gibibytes() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
