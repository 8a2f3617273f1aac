"""Runs of steps that need no server: who is asked what, who goes on with what, and what a command says when it can't."""

import os
import subprocess
from types import SimpleNamespace

import pytest

from tests.app.desk import desk
from tests.cli.commands import understudy
from tests.runner.stage import CONDUCTS, NoteStep, lines, plan_of
from tests.servers import programs
from tests.servers.processes import wait_until
from understudy.app.carrying_out import SERVING_FILE, Asked, Serving, approve_waiting, cancel, carry_out, resume
from understudy.app.installation import Installation
from understudy.app.run_secrets import has_secrets_or_says, require_secrets
from understudy.cli.exit_codes import ExitCode
from understudy.plan.plan import Approval, PlannedStep, in_sequence
from understudy.plan.request import BackupRequest
from understudy.records.controller_lock import ControllerLock
from understudy.records.run import RunState
from understudy.runner.plan_json import plan_to_json
from understudy.runner.runner import Runner
from understudy.steps.start_wal_stream import StartWalStream
from understudy.steps.take_base_backup import TakeBaseBackup
from understudy.vocabulary.errors import GiveUp, Refusal
from understudy.vocabulary.identifiers import Person, ResourceName

__all__ = ["desk"]
ANNA = Person("anna")
NOWHERE = SimpleNamespace(replication_url="postgresql://anna@127.0.0.1:1/postgres", port=1, programs="/nowhere")


@pytest.fixture
def installation(desk):
    desk.write(NOWHERE)
    return Installation.open(desk.stack_file, desk.state)


@pytest.fixture
def notes(tmp_path):
    return tmp_path / "notes"


class Watching:
    """A door that notes what it is asked; ``answer`` is called with the step."""

    def __init__(self, answer=lambda step: None):
        self.answer = answer
        self.asked = []

    def show(self, view):
        pass

    def ask(self, step):
        self.asked.append(step.approval_question)
        return self.answer(step)


def runner_of(installation):
    return Runner(installation.state, installation.records, installation.clock, installation.world_for)


def asking(notes, question="Really?"):
    return plan_of(PlannedStep(NoteStep("a", str(notes)), approval=Approval(question)))


def left_asking(installation, plan):
    """A run whose process has ended while it waited for a person."""
    with runner_of(installation) as runner:
        run = runner.submit(plan)
        wait_until(lambda: installation.records.run(run).state is RunState.AWAITING_APPROVAL, "the run to ask")
    assert installation.records.run(run).state is RunState.INTERRUPTED
    return run


def test_a_run_that_somebody_asked_to_end_asks_nobody_any_more(installation, notes):
    run = left_asking(installation, asking(notes))
    watching = Watching()
    assert cancel(installation, run, ANNA, watching).run.state is RunState.CANCELLED
    assert watching.asked == []


def test_an_answer_to_a_question_that_was_reworded_meanwhile_counts_for_nothing_and_the_new_one_is_asked(installation, notes):
    def answer(step):
        if step.approval_question == "Really?":
            reworded = plan_to_json(asking(notes, "Stop the server, too?"))
            installation.records.ask_anew(step.run, reworded, step.key, "Stop the server, too?")
            return ANNA
        assert installation.records.approval(step.run, step.key) is None, "nobody has agreed to that yet"
        return ANNA

    watching = Watching(answer)
    view = carry_out(installation, asking(notes), watching)
    assert watching.asked == ["Really?", "Stop the server, too?"]
    assert view.succeeded


def test_who_approves_gets_told_what_they_agreed_to_and_needs_no_key(desk, installation, notes):
    run = left_asking(installation, asking(notes))
    desk.identity_file.unlink()
    elsewhere = Installation.open(desk.stack_file, desk.state)
    assert approve_waiting(elsewhere, run, ANNA) == {"a": "Really?"}
    assert installation.records.approval(run, "a").by == ANNA


def test_what_a_run_did_is_shown_where_the_keys_are_not(desk, installation, notes):
    run = left_asking(installation, asking(notes))
    desk.identity_file.unlink()
    shown = understudy(desk, "show", run)
    assert "asked: Really?" in shown.stdout, shown.stderr


def test_nothing_is_handed_over_to_a_serve_that_goes_by_another_version_of_the_stack_file(desk, installation, notes):
    place = ("--stack", desk.stack_file, "--state", desk.state)
    serving = programs.start("serve", *place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: (desk.state / SERVING_FILE).exists() or serving.poll() is not None, "serve to announce itself")
        desk.stack_file.write_text(f"{desk.stack_file.read_text()}# corrected\n")
        edited = Installation.open(desk.stack_file, desk.state)
        with pytest.raises(Refusal) as refused:
            carry_out(edited, asking(notes), Watching())
        assert (refused.value.code, "restart understudy serve" in refused.value.hint) == ("stack_file_changed", True)
        assert edited.records.runs() == ()
    finally:
        serving.terminate()
        serving.wait(timeout=60)


def served_here(installation):
    """As ``serve`` announces itself; the lock that says so is to be released."""
    lock = ControllerLock(installation.state)
    lock.acquire()
    (installation.state / SERVING_FILE).write_text(str(Serving(os.getpid(), installation.digest)))
    return lock


def test_a_command_whose_serve_ends_in_the_middle_has_failed_and_was_not_refused(installation, notes):
    lock = served_here(installation)
    watching = Watching()
    watching.show = lambda view: lock.release()
    with pytest.raises(GiveUp) as gone:
        carry_out(installation, asking(notes), watching)
    assert gone.value.code == "controller_gone"
    assert "understudy resume" in gone.value.hint
    assert ExitCode.of(gone.value) is ExitCode.FAILED


def test_cancelling_an_interrupted_run_while_another_command_is_at_work_is_noted_and_does_not_wait(installation, notes):
    run = left_asking(installation, asking(notes))
    with runner_of(installation):
        with pytest.raises(Refusal) as busy:
            cancel(installation, run, ANNA, Watching())
        assert busy.value.code == "controller_busy"
        assert str(os.getpid()) in busy.value.found
        assert installation.records.run(run).cancel_requested_by == ANNA
    assert cancel(installation, run, ANNA, Watching()).run.state is RunState.CANCELLED


def test_a_run_that_lacks_a_secret_is_not_gone_on_with_and_is_once_it_is_there(desk, installation, caplog):
    stream = PlannedStep(StartWalStream("orders", "a_slot"), approval=Approval("Really?"))
    run = left_asking(installation, plan_of(stream))
    kept = (desk.directory / "url").rename(desk.directory / "kept")
    with pytest.raises(Refusal) as refused:
        resume(installation, run, lambda request: None, Watching())
    assert refused.value.code == "secret_missing"
    assert f"understudy resume {run}" in refused.value.hint
    assert not has_secrets_or_says(installation, run), "nor does serve"
    assert run in caplog.text
    assert installation.records.run(run).state is RunState.INTERRUPTED
    kept.rename(desk.directory / "url")
    require_secrets(installation, run)


def test_a_request_stays_open_where_who_goes_on_with_it_lacks_a_secret(installation, notes, monkeypatch):
    def refused(step, world):
        raise GiveUp("incremental_refused", found="WAL summaries are missing", expected="them", hint="a full one")

    def no_secret(request):
        raise GiveUp("secret_missing", found="$URL is not set", expected="a value", hint="export URL=…")

    monkeypatch.setitem(CONDUCTS, "refused", refused)
    label = "20261123-030000F"
    backup = TakeBaseBackup("orders", "near", f"{label}_20261123-120000I", label, "", 2**28, 3, None, "0" * 64, "manual")
    plan = plan_of(*in_sequence(PlannedStep(NoteStep("a", str(notes), "refused")), PlannedStep(backup)))
    with pytest.raises(GiveUp, match="secret_missing"):
        carry_out(installation, plan, Watching(), asked=Asked(BackupRequest(ResourceName("orders")), no_secret))
    [request] = installation.records.requests.open()
    assert request.error.code == "secret_missing"
    assert lines(notes) == ["a"]
