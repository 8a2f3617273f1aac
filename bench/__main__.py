"""``python -m bench [--rounds N] [--scale N] [--only ROW]…``: measure, print a table, write RESULTS.md."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
from pathlib import Path
from types import ModuleType

from tests.servers.flavours import Flavour, available, remove_session_directory

from bench import report, results
from bench.circumstances import circumstances
from bench.databases import bytes_of
from bench.ground import ground
from bench.results import Measurement
from bench.rounds import Options
from bench.rows import (
    bucket,
    chain,
    files,
    full_backup,
    incremental,
    loss,
    memory,
    recovery,
    restore,
    sealing,
    terminal,
    throughput,
)

ROWS: dict[str, ModuleType] = {
    row.NAME: row
    for row in (full_backup, restore, incremental, chain, recovery, loss, throughput, memory, files, bucket, sealing, terminal)
}
_NEEDS = {full_backup.NAME: Flavour.DEBIAN_15, restore.NAME: Flavour.DEBIAN_15}
_NOT_PART = {
    "incremental against pgBackRest's block-incremental": "it needs pgBackRest 2.46, Debian 12 has 2.45",
    "warm copy, switchover, probes, cost at rest": "not built yet",
}
_DIRECTORIES_AT_ONCE = 5
"""Of the database's size: source, repositories of all peers, one target, staging."""
_HERE = Path(__file__).parent
_REMARKS = _HERE / "remarks.md"
"""What a person wrote about the results: it goes into the page as it is."""


def main() -> None:
    arguments = _arguments()
    options = Options(arguments.rounds, arguments.scale)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that servers and mounts are cleared away
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for program in ("age", "gpg", "zstd", "tar"):
        if shutil.which(program) is None:
            sys.exit(f"{program} is not installed; the bench compares with it (Debian: apt-get install {program})")
    kept = results.load(arguments.results.with_suffix(".json"))
    room_bytes = _DIRECTORIES_AT_ONCE * bytes_of(options.scale) + 3 * 2**30
    try:
        with ground(room_bytes, arguments.directory) as place:
            for name in arguments.only or ROWS:
                needed = _NEEDS.get(name, Flavour.WHEEL_18)
                if not available(needed):
                    print(f"{name}: left out, PostgreSQL {needed.value} is not installed", file=sys.stderr)
                    continue
                print(f"{name}: measuring", file=sys.stderr, flush=True)
                place.begin_row()
                kept[name] = Measurement(ROWS[name].measure(place, options), circumstances(place, options))
                print(report.terminal(kept[name]), flush=True)
                _write(arguments.results, kept)
    finally:
        remove_session_directory()


def _write(page: Path, kept: dict[str, Measurement]) -> None:
    """After each row, so that a bench that is stopped has kept what it measured."""
    results.save(page.with_suffix(".json"), kept)
    missing = {name: "not measured yet, or PostgreSQL for it is not installed" for name in ROWS if name not in kept}
    ordered = {name: kept[name] for name in ROWS if name in kept}
    remarks = _REMARKS.read_text(encoding="utf-8") if _REMARKS.exists() else ""
    page.write_text(report.markdown(ordered, missing | _NOT_PART, remarks), encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measure Understudy beside its peers and the raw limits."
    )
    parser.add_argument("--rounds", type=int, default=5, help="how often each subject takes its turn (default: %(default)s)")
    parser.add_argument("--scale", type=int, default=70, help="pgbench's scale; each takes 20 MiB on disk (default: %(default)s)")
    parser.add_argument(
        "--only", action="append", choices=ROWS, metavar="ROW", help=f"only this row, repeatable: {', '.join(ROWS)}"
    )
    parser.add_argument("--directory", type=Path, default=Path("/tmp"), help="where the ground is made (default: %(default)s)")  # noqa: S108
    parser.add_argument(
        "--results", type=Path, default=_HERE / "RESULTS.md", help="the page that is written (default: %(default)s)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
