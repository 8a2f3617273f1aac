"""The most memory that a backup and a restore take, at two sizes (PostgreSQL 18)."""

from __future__ import annotations

from tests.servers.flavours import Flavour

from bench.databases import bytes_of, database
from bench.ground import Ground
from bench.processes import MemoryWatch
from bench.results import Compared, Measured, RowResult
from bench.rounds import Options
from bench.subject import UnderstudySubject

NAME = "memory"
TITLE = "Peak memory of backup and restore (PostgreSQL 18)"

_LIMIT_MIB = 400.0
_HOW = (
    "The highest sum of resident memory over the processes of `understudy backup --full` and of `understudy drill "
    "database_corruption` — Python, age, pg_receivewal where it is a descendant — looked at every 20 ms, the database "
    "server's own processes left out. Pages that processes share are counted for each, so the truth is lower."
)


def measure(ground: Ground, options: Options) -> RowResult:
    measured, compared = [], []
    for scale in (max(1, options.scale // 4), options.scale):
        with database(ground, Flavour.WHEEL_18, scale) as server, UnderstudySubject(ground, server) as subject:
            subject.back_up("--full")
            peaks = {
                "backup": _peaks(options.rounds, subject, "backup", "orders", "--full"),
                "drill": _peaks(options.rounds, subject, "drill", "database_corruption"),
            }
        size = f"{bytes_of(scale) / 2**30:.2f} GiB"
        for what, values in peaks.items():
            measured.append(Measured(f"{what} of {size}", "peak MiB", values))
            compared.append(Compared(f"peak memory of {what} of {size}, MiB", values, None, _LIMIT_MIB))
    return RowResult(NAME, TITLE, _HOW, measured, compared)


def _peaks(rounds: int, subject: UnderstudySubject, *arguments: str) -> tuple[float, ...]:
    found = []
    for _ in range(rounds):
        with MemoryWatch() as watch:
            subject.run(*arguments)
        found.append(watch.peak_bytes / 2**20)
    return tuple(found)
