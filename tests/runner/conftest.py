"""What the tests of the runner share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from understudy.adapters.clock.system import SystemClock
from understudy.records.records import Records


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path / "notes"


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    records = Records(tmp_path / "state", SystemClock())
    yield records
    records.close()
