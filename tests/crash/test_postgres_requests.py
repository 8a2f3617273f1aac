"""What was asked for goes on when its process is killed between the end of one run and the beginning of the next."""

from __future__ import annotations

import signal
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.crash.marching import assert_same_story, story
from tests.crash.postgres_scenes import BACKUP_FIGURES, REPLAY_FIGURES, STREAM_FIGURES
from tests.crash.postgres_stage import PERSON, Stage
from tests.servers import programs
from tests.servers.postgres import PostgresServer
from tests.servers.processes import wait_until
from understudy.records.run import RequestRecord, RunState
from understudy.vocabulary.identifiers import BackupKind

pytestmark = pytest.mark.timeout(600)

BETWEEN = ("run:records.finish:after", 1)
BEFORE_THE_SECOND = ("run:records.submit:before", 2)
BEFORE_IT_STARTS = ("run:records.submit:after", 2)
BUSY = 4
Calm: TypeAlias = Callable[[str, Callable[[Stage], None], tuple[str, ...]], Stage]


def ask_and_kill(stage: Stage, what: str, point: tuple[str, int]) -> None:
    where = Path(__file__).parents[2]
    asked = programs.run(stage.directory, what, *point, module="tests.crash.asked", cwd=where, timeout=200)
    assert asked.returncode == -signal.SIGKILL, f"{asked.returncode}\n{asked.stdout}\n{asked.stderr}"


def the_request(stage: Stage) -> RequestRecord:
    request = stage.installation.records.requests.of(stage.installation.records.runs(1)[0].run)
    assert request is not None
    return request


def resume(stage: Stage) -> None:
    """By the name of the first run, which has ended."""
    code, printed = stage.call("resume", the_request(stage).request)
    assert code == 0, printed


def serve(stage: Stage) -> None:
    serving = stage.start("serve")
    try:
        wait_until(lambda: the_request(stage).ended is not None or serving.poll() is not None, "serve to finish the request")
    finally:
        serving.terminate()
        printed, _ = serving.communicate(timeout=60)
    assert serving.returncode == 0, printed


CARRY_ON = {"resume": resume, "serve": serve}


@pytest.fixture(scope="module")
def calm_stages() -> Iterator[Calm]:
    """Each request played once without being killed, for all that are compared with it, which only look."""
    played: dict[str, Stage] = {}

    def play(what: str, prepare: Callable[[Stage], None], command: tuple[str, ...]) -> Stage:
        if what not in played:
            played[what] = Stage(PostgresServer().start())
            prepare(played[what])
            assert played[what].call(*command)[0] == 0
        return played[what]

    yield play
    for stage in played.values():
        stage.close()


def after_a_full_backup_without_identity(stage: Stage) -> None:
    stage.back_up(BackupKind.FULL)
    stage.give_away_identity()


def after_two_backups_of_which_the_newer_is_damaged(stage: Stage) -> None:
    stage.back_up(BackupKind.FULL)
    stage.back_up(BackupKind.FULL)
    stage.ship()
    stage.damage(stage.backups()[-1])


def assert_finished_like(calm: Stage, killed: Stage, figures: Collection[str]) -> None:
    for stage in (calm, killed):
        request, runs = the_request(stage), stage.installation.records.runs(2)
        assert request.ended is not None
        assert request.error is None
        assert len(request.runs) == 2
        assert runs[0].follows == runs[1].run == request.request
        assert [run.state for run in runs] == [RunState.SUCCEEDED, RunState.FAILED]
        assert stage.installation.records.holds() == ()
    assert_same_story(calm.directory, killed.directory, forget=figures)


@pytest.mark.parametrize(
    ("point", "carry_on"),
    [(BETWEEN, "resume"), (BEFORE_THE_SECOND, "resume"), (BEFORE_IT_STARTS, "resume"), (BETWEEN, "serve")],
)
def test_a_refused_incremental_backup_is_followed_by_a_full_one(
    make_stage: Callable[[], Stage], calm_stages: Calm, point: tuple[str, int], carry_on: str
) -> None:
    calm = calm_stages("backup", after_a_full_backup_without_identity, ("backup", "orders", "--incremental"))
    killed = make_stage()
    after_a_full_backup_without_identity(killed)
    ask_and_kill(killed, "backup", point)
    assert len(the_request(killed).runs) == (2 if point == BEFORE_IT_STARTS else 1)
    assert the_request(killed).ended is None
    CARRY_ON[carry_on](killed)
    assert_finished_like(calm, killed, BACKUP_FIGURES | STREAM_FIGURES)
    for stage in (calm, killed):
        stage.assert_backups_whole("FF")
        stage.assert_protected()
        assert stage.call("resume", the_request(stage).request)[0] != 0, "there is nothing left to go on with"


def test_what_keeps_the_next_run_from_beginning_is_told_to_who_follows_and_it_begins_once_that_is_over(
    make_stage: Callable[[], Stage],
) -> None:
    stage = make_stage()
    stage.back_up(BackupKind.FULL)
    stage.give_away_identity()
    ask_and_kill(stage, "backup", BETWEEN)
    first = the_request(stage).request
    repository, away = stage.directory / "repository", stage.directory / "away"
    repository.rename(away)
    told = stage.directory / "told"
    serving = stage.start("serve")
    try:
        wait_until(lambda: (stage.directory / "state" / "serving").exists(), "serve to be ready")
        following = stage.start("resume", first, output=told)
        wait_until(lambda: "store_unreachable" in told.read_text(), "the reason to be told")
        for words in (("status",), ("show", first)):
            assert "store_unreachable" in stage.call(*words)[1]
        away.rename(repository)
        assert following.wait(timeout=120) == 0, told.read_text()
    finally:
        serving.terminate()
        serving.communicate(timeout=60)
    assert told.read_text().count(f"waiting   for what is to follow {first}") == 1
    assert the_request(stage).error is None
    stage.assert_backups_whole("FF")


@pytest.mark.parametrize("carry_on", CARRY_ON)
def test_a_drill_goes_on_from_an_older_backup(make_stage: Callable[[], Stage], calm_stages: Calm, carry_on: str) -> None:
    calm = calm_stages("drill", after_two_backups_of_which_the_newer_is_damaged, ("drill", "database_corruption"))
    killed = make_stage()
    after_two_backups_of_which_the_newer_is_damaged(killed)
    ask_and_kill(killed, "drill", BETWEEN)
    CARRY_ON[carry_on](killed)
    assert_finished_like(calm, killed, REPLAY_FIGURES)
    for stage in (calm, killed):
        proof = story(stage.directory)["steps"]["orders/verify-database"]["evidence"]["proof"]
        assert [each["answer"] for each in proof["checks"]] == [str(stage.rows)]
        assert stage.leftovers() == set()


def test_a_recovery_goes_on_from_an_older_backup_with_the_approval_that_was_given(make_stage: Callable[[], Stage]) -> None:
    stage = make_stage()
    stage.fill()
    stage.back_up(BackupKind.FULL)
    stage.damage(stage.backups()[-1])
    stage.destroy_server()
    ask_and_kill(stage, "recover", BETWEEN)

    code, printed = stage.call("recover", "database_corruption", "--yes")
    assert (code, "busy" in printed) == (BUSY, True), f"nobody gets between the two runs of a request: {printed}"
    resume(stage)
    fenced = stage.installation.records.steps(stage.installation.records.runs(1)[0].run)[0]
    assert fenced.approval is not None
    assert fenced.approval.by == PERSON
    stage.assert_backups_whole("FIFF")
    stage.assert_protected()


def test_a_request_that_is_to_go_on_can_be_ended_instead(make_stage: Callable[[], Stage]) -> None:
    stage = make_stage()
    stage.back_up(BackupKind.FULL)
    stage.give_away_identity()
    ask_and_kill(stage, "backup", BETWEEN)
    request = the_request(stage)
    assert "to be followed" in stage.call("status")[1]
    assert stage.call("cancel", request.request)[0] == 0
    assert the_request(stage).error is not None
    assert stage.installation.records.holds() == ()
    assert stage.call("resume", request.request)[0] != 0
    assert the_request(stage).runs == request.runs
