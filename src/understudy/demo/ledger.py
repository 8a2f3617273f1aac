"""What the writers were promised: one line per commit that the server acknowledged, written the moment it did."""

from __future__ import annotations

from pathlib import Path

TABLE = "understudy_ledger"
MAKE_TABLE = (
    f"CREATE TABLE IF NOT EXISTS {TABLE} (writer int, entry int, written timestamptz DEFAULT now(), PRIMARY KEY (writer, entry))"
)


def read_ledger(directory: Path) -> set[tuple[int, int]]:
    """Every acknowledged commit as (writer, entry). A last line without its end is no acknowledgement that was written down."""
    acknowledged: set[tuple[int, int]] = set()
    for path in directory.glob("writer-*.txt"):
        writer = int(path.stem.partition("-")[2])
        *lines, _unfinished = path.read_text().split("\n")
        acknowledged.update((writer, int(line)) for line in lines)
    return acknowledged
