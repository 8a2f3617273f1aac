"""What a snapshot of very many entries takes of memory."""

import json
import subprocess
import sys
from pathlib import Path

ENTRIES = 100_000
BOUND_KIBIBYTES = 35 * 1024
"""Without contents 22 MiB; a list of all entries alone would add 31."""


def test_a_hundred_thousand_entries_are_written_twice_and_restored_without_being_held(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tests.repository.large_collection", str(tmp_path), str(ENTRIES)],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout)
    assert measured["written"] - measured["before"] < BOUND_KIBIBYTES
    assert measured["restored"] - measured["before"] < BOUND_KIBIBYTES
