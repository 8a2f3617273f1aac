"""Evidence as people handle it: kept, copied, exported, verified; each way to forge it noticed."""

import json
import sqlite3
import subprocess
import sys

import pytest

from tests.restore_matrix.estate import SilentWatcher
from understudy.app.backups import back_up
from understudy.app.installation import Installation
from understudy.app.proving import export_evidence, file_evidence, verify_evidence
from understudy.repository.layout import evidence_key
from understudy.repository.sealing import read_sealed
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import BackupKind


@pytest.fixture
def backed_up(desk, postgres_servers):
    """An installation with one finished backup, and its run."""
    server = postgres_servers("wheel18")
    desk.write(server, url=server.url)
    installation = Installation.open(desk.stack_file, desk.state)
    view = back_up(installation, "orders", BackupKind.FULL, SilentWatcher())
    yield installation, view
    installation.receivers["orders"].stop()


def test_a_sealed_copy_of_each_runs_evidence_lies_in_the_repository(backed_up):
    installation, view = backed_up
    sealed = read_sealed(
        installation.stores["near"], installation.sealer, evidence_key(view.run.run), installation.keys.keys.identity
    )
    copy = json.loads(b"".join(sealed))
    assert copy["run"]["state"] == "succeeded"
    assert copy["head"]["signed"]["count"] == len(view.steps)


def test_evidence_is_filed_once_however_often_it_is_asked_for(backed_up):
    installation, view = backed_up
    assert file_evidence(installation, view.run.run) == {}


def test_a_repository_that_is_away_is_named_and_the_run_stands(backed_up, tmp_path):
    installation, view = backed_up
    (installation.stores["near"]._root).rename(tmp_path / "unmounted")
    faults = file_evidence(installation, view.run.run)
    assert list(faults) == ["near"]
    (tmp_path / "unmounted").rename(installation.stores["near"]._root)


def test_the_chain_of_a_state_directory_verifies(backed_up):
    installation, view = backed_up
    verdict = verify_evidence(installation, None)
    assert verdict.findings == ()
    assert verdict.links == len(view.steps)


def test_an_exported_run_verifies_and_an_edited_one_does_not(backed_up, tmp_path):
    installation, view = backed_up
    file = tmp_path / "run.json"
    export_evidence(installation, view.run.run, file)
    assert verify_evidence(installation, file).findings == ()
    exported = json.loads(file.read_text())
    exported["steps"][0]["evidence"]["proof"]["receiver_pid"] = 1
    file.write_text(json.dumps(exported))
    assert verify_evidence(installation, file).findings


def test_a_removed_record_is_found_by_the_command_with_exit_code_1(backed_up, desk, tmp_path):
    installation, _ = backed_up
    file = tmp_path / "chain.json"
    export_evidence(installation, None, file)
    exported = json.loads(file.read_text())
    del exported["links"][-1]
    file.write_text(json.dumps(exported))
    done = subprocess.run(
        [sys.executable, "-m", "understudy", "evidence", "verify", str(file), "--stack", desk.stack_file, "--state", desk.state],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "cut_off" in done.stdout or "head_mismatch" in done.stdout


def test_a_file_that_is_no_evidence_is_refused_with_a_hint(backed_up, tmp_path):
    installation, _ = backed_up
    file = tmp_path / "notes.json"
    file.write_text("[]")
    with pytest.raises(GiveUp) as refusal:
        verify_evidence(installation, file)
    assert refusal.value.code == "evidence_unreadable"
    assert refusal.value.hint


def test_a_tail_that_was_cut_off_with_its_head_shows_by_the_copy_in_the_repository(backed_up):
    installation, _ = backed_up
    with sqlite3.connect(installation.state / "state.db") as database:
        kept = database.execute("SELECT head FROM chain_head").fetchone()[0]
        last = database.execute("SELECT max(sequence) FROM chain").fetchone()[0]
        links = database.execute("SELECT sequence, digest FROM chain ORDER BY sequence").fetchall()
        head = json.loads(kept)
        body = head.get("signed", head)
        shorter = dict(body) | {"count": last - 1, "digest": links[-2][1]}
        envelope = installation.keys.evidence_signer.sign(shorter)
        database.execute("DELETE FROM chain WHERE sequence = ?", (last,))
        database.execute("UPDATE chain_head SET head = ?", (json.dumps(envelope),))
    verdict = verify_evidence(installation, None)
    assert "cut_off" in {finding.fault.value for finding in verdict.findings}
