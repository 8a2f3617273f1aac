"""A command that resumes a run ends as the command would have that began it."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from tests.crash.postgres_stage import Stage
from tests.crash.test_postgres_requests import ask_and_kill
from understudy.vocabulary.identifiers import BackupKind


def test_a_restore_that_is_resumed_says_where_the_database_is_and_how_to_start_it(make_stage: Callable[[], Stage]) -> None:
    stage = make_stage()
    stage.back_up(BackupKind.FULL)
    stage.ship()
    ask_and_kill(stage, "restore", ("orders/promote:records.begin_step:after", 1))
    run = stage.installation.records.runs(1)[0].run
    code, printed = stage.call("resume", run)
    assert code == 0, printed
    copy = str(stage.directory / "copy")
    assert any(line.startswith("database:") and line.endswith(copy) for line in printed.splitlines()), printed
    command = shlex.split(printed.splitlines()[-1])
    assert command[-1] == "start"
    assert copy in command
