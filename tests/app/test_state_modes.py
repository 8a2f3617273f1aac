"""What lies in the state directory is closed to every other user, also where an earlier version left it open."""

import os
from pathlib import Path

import pytest

from tests.restore_matrix.estate import SilentWatcher
from understudy.app.backups import back_up
from understudy.app.installation import Installation
from understudy.app.recoveries import Choice, drill
from understudy.stack.models import Scenario

TELL_NOTHING = {"controller.lock", "serving", "stack-file"}
"""A process's number and a path."""


@pytest.fixture
def protected(desk, postgres_servers):
    before = os.umask(0o022)
    server = postgres_servers("wheel18")
    desk.write(server, "checks: [{sql: select 42, equals: '42'}]", url=server.url)
    installation = Installation.open(desk.stack_file, desk.state)
    yield installation
    os.umask(before)
    installation.receivers["orders"].stop()


def open_to_others(state: Path) -> list[str]:
    """What another user reaches and may read."""
    found = []
    for directory, folders, files in os.walk(state):
        folders[:] = [name for name in folders if (Path(directory) / name).stat().st_mode & 0o011]
        found += [str((Path(directory) / name).relative_to(state)) for name in files if name not in TELL_NOTHING]
    return sorted(name for name in found if (state / name).lstat().st_mode & 0o077)


def carry_out_everything(installation):
    assert back_up(installation, "orders", None, SilentWatcher()).succeeded
    assert drill(installation, Scenario.DATABASE_CORRUPTION, (), Choice(), SilentWatcher()).succeeded


def test_nothing_in_it_is_to_be_read_by_others_after_a_backup_and_a_drill(protected):
    carry_out_everything(protected)
    assert protected.state.stat().st_mode & 0o777 == 0o711
    assert (protected.state / "evidence").is_dir() and (protected.state / "engine.db").exists()
    assert open_to_others(protected.state) == []


def test_what_an_earlier_version_left_open_is_closed(protected):
    carry_out_everything(protected)
    state = protected.state
    closed = [state / "state.db", state / "engine.db", state / "seen", state / "evidence", state / "repositories"]
    for path in closed:
        path.chmod(path.stat().st_mode | 0o055)
    assert open_to_others(state)
    carry_out_everything(Installation.open(Path(protected.state).parent / "understudy.yaml", state))
    assert open_to_others(state) == []
