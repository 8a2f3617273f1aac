"""Evidence as people handle it: kept, copied, exported, verified; each way to forge it noticed."""

import json
import re
import shutil
import sqlite3

import pytest

from tests.app.desk import Desk, KeptDesk
from tests.app.recovered import edited, findings_of_edited, verify_here
from tests.documents.read_pages import ReadPage
from tests.restore_matrix.estate import SilentWatcher, expect_success
from tests.servers import programs
from tests.servers.postgres import PostgresServer
from understudy import __version__
from understudy.app.backups import back_up
from understudy.app.filing import file_evidence
from understudy.app.installation import Installation
from understudy.app.measuring import measure
from understudy.app.proving import export_evidence, verify_evidence
from understudy.app.reporting import report_run
from understudy.app.run_report import report_of
from understudy.documents.run_page import run_page
from understudy.documents.words import duration
from understudy.records.verification import ChainFault
from understudy.repository.layout import evidence_key
from understudy.repository.sealing import read_sealed, store_sealed
from understudy.vocabulary.canonical import canonical_json
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import BackupKind
from understudy.vocabulary.json_form import to_json
from understudy.vocabulary.sealing import Sealing


@pytest.fixture(scope="module")
def after_a_backup():
    """A desk with one finished backup, and its run."""
    with PostgresServer() as server:
        desk = Desk()
        view = backed_up_at(desk, server)
        kept = KeptDesk(desk)
        yield kept, view
        kept.close()


def backed_up_at(desk, server):
    desk.write(server, url=server.url)
    return expect_success(back_up(Installation.open(desk.stack_file, desk.state), "orders", BackupKind.FULL, SilentWatcher()))


@pytest.fixture
def desk(after_a_backup):
    return after_a_backup[0].put_back()


@pytest.fixture
def backed_up(desk, after_a_backup):
    """An installation with one finished backup, and its run."""
    return Installation.open(desk.stack_file, desk.state), after_a_backup[1]


@pytest.fixture
def desk_of_its_own():
    """For who takes a second backup, which the server would remember, or none."""
    made = Desk()
    yield made
    made.close()


def test_a_sealed_copy_of_each_runs_evidence_lies_in_the_repository(backed_up):
    installation, view = backed_up
    sealed = read_sealed(
        installation.stores["near"], installation.sealer, evidence_key(view.run.run, Sealing.AGE), installation.keys.keys.identity
    )
    copy = json.loads(b"".join(sealed))
    assert copy["run"]["state"] == "succeeded"
    assert copy["head"]["signed"]["count"] == len(view.steps) + 1


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
    assert verdict.links == len(view.steps) + 1


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
    done = programs.run("evidence", "verify", file, "--stack", desk.stack_file, "--state", desk.state)
    assert done.returncode == 1
    assert "cut off at link" in done.stdout


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


def understudy(desk, *arguments):
    return programs.run(*arguments, cwd=desk.directory)


def verify(desk, *arguments):
    """A process of its own, which knows nothing but what lies on disk."""
    return understudy(desk, "evidence", "verify", "--json", "--stack", desk.stack_file, "--state", desk.state, *arguments)


def faults(done):
    assert done.returncode == 1, done.stdout + done.stderr
    return {finding["fault"] for finding in json.loads(done.stdout)["findings"]}


def remove_records(desk):
    for file in desk.state.glob("state.db*"):
        file.unlink()


def test_a_whole_chain_says_with_how_many_copies_it_was_compared(backed_up, desk):
    verdict = json.loads(verify(desk).stdout)
    assert (verdict["findings"], verdict["copies"], verdict["not_compared"]) == ([], 2, {})


def test_records_that_were_all_removed_show_by_the_copies_in_the_state_directory_and_the_repository(backed_up, desk):
    remove_records(desk)
    assert faults(verify(desk)) == {"records_replaced"}
    assert not (desk.state / "state.db").exists()


def test_records_that_were_all_removed_show_by_the_repository_alone(backed_up, desk):
    remove_records(desk)
    shutil.rmtree(desk.state / "evidence")
    assert faults(verify(desk)) == {"records_replaced"}


def test_records_that_were_all_removed_show_by_a_manifest_alone_and_without_an_identity(backed_up, desk):
    remove_records(desk)
    shutil.rmtree(desk.state / "evidence")
    shutil.rmtree(desk.directory / "repository" / "evidence")
    desk.stack_file.write_text(desk.stack_file.read_text().replace(f"  identity: file:{desk.identity_file}\n", ""))
    assert faults(verify(desk)) == {"record_missing"}


def test_records_that_began_anew_show_by_the_copies_in_the_state_directory(desk_of_its_own, postgres_servers):
    desk = desk_of_its_own
    view = backed_up_at(desk, postgres_servers("wheel18"))
    remove_records(desk)
    again = Installation.open(desk.stack_file, desk.state)
    back_up(again, "orders", BackupKind.FULL, SilentWatcher(), take_over=True)
    found = faults(verify(desk))
    assert "records_replaced" in found
    shutil.rmtree(desk.state / "evidence")
    done = verify(desk)
    assert done.returncode == 0, done.stdout
    assert list(json.loads(done.stdout)["of_others"].values()) == [len(view.steps) + 1]


def test_an_older_state_database_that_was_put_back_shows(desk_of_its_own, postgres_servers, tmp_path):
    desk = desk_of_its_own
    backed_up_at(desk, postgres_servers("wheel18"))
    installation = Installation.open(desk.stack_file, desk.state)
    with sqlite3.connect(desk.state / "state.db") as now, sqlite3.connect(tmp_path / "older.db") as older:
        now.backup(older)
    back_up(installation, "orders", BackupKind.FULL, SilentWatcher())
    assert verify(desk).returncode == 0
    remove_records(desk)
    shutil.copyfile(tmp_path / "older.db", desk.state / "state.db")
    assert faults(verify(desk)) >= {"cut_off", "record_missing"}


def test_links_and_head_that_were_removed_show_by_the_steps_that_ended(backed_up, desk):
    shutil.rmtree(desk.state / "evidence")
    shutil.rmtree(desk.directory / "repository")
    with sqlite3.connect(desk.state / "state.db") as database:
        database.execute("DELETE FROM chain")
        database.execute("DELETE FROM chain_head")
    assert faults(verify(desk)) == {"record_missing"}


def test_a_copy_that_was_edited_here_shows(backed_up, desk):
    [file] = (desk.state / "evidence").glob("*.json")
    file.write_text(file.read_text().replace('"state": "succeeded"', '"state": "failed"'))
    assert "record_edited" in faults(verify(desk))


def test_a_copy_in_a_repository_that_was_sealed_anew_with_another_end_shows(backed_up, desk):
    installation, view = backed_up
    store, keys, key = installation.stores["near"], installation.keys.keys, evidence_key(view.run.run, Sealing.AGE)
    copy = json.loads(b"".join(read_sealed(store, installation.sealer, key, keys.identity)))
    copy["run"]["state"] = "failed"
    store.delete(key)
    store_sealed(store, installation.sealer, key, [canonical_json(copy)], keys.recipients)
    assert faults(verify(desk)) == {"record_edited"}


def test_where_nothing_was_recorded_nothing_is_said_to_be_as_it_was_signed(desk_of_its_own, postgres_servers):
    desk_of_its_own.write(postgres_servers("wheel18"))
    done = verify(desk_of_its_own)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "no_evidence" in done.stderr
    assert "as they were signed" not in done.stdout


def test_a_repository_that_is_away_is_named_and_does_not_pass_for_agreement(backed_up, desk):
    (desk.directory / "repository").rename(desk.directory / "unmounted")
    verdict = json.loads(verify(desk).stdout)
    assert verdict["copies"] == 1
    assert "store_unreachable" in verdict["not_compared"]["repository near"]


def test_a_third_party_verifies_with_a_public_key_and_nothing_else(backed_up, desk, tmp_path):
    installation, view = backed_up
    export_evidence(installation, view.run.run, tmp_path / "run.json")
    signer = installation.keys.evidence_signer.public_key
    elsewhere = ["evidence", "verify", tmp_path / "run.json", "--stack", tmp_path / "none.yaml", "--signer"]
    done = understudy(desk, *elsewhere, signer)
    assert done.returncode == 0, done.stderr
    assert f"{len(view.steps) + 1} links" in done.stdout
    stranger = understudy(desk, *elsewhere, "A" * 43 + "=")
    assert stranger.returncode == 1
    assert "signer unknown" in stranger.stdout
    assert understudy(desk, *elsewhere, "nonsense").returncode == 2


def test_what_nobody_edited_passes_in_the_state_database_and_as_a_file(recovered, tmp_path):
    code, said = verify_here(recovered)
    assert (code, "all as they were signed" in said, "not proven" in said) == (0, True, False), said
    file = tmp_path / "run.json"
    export_evidence(recovered.installation, recovered.run, file)
    verdict = verify_evidence(recovered.installation, file)
    assert (verdict.findings, verdict.unproven) == ((), {})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("state", "failed"),
        ("mode", "drill"),
        ("subject", "data_loss"),
        ("ended", "2026-11-24T12:00:00+00:00"),
        ("error", {"code": "disk_full", "found": "no room", "expected": "room", "hint": "make some"}),
    ],
)
def test_a_run_whose_end_alone_was_edited_is_found(recovered, tmp_path, name, value):
    [finding] = findings_of_edited(recovered, tmp_path / "run.json", lambda exported: exported["run"].update({name: value}))
    assert finding.fault is ChainFault.RECORD_EDITED
    assert f"{recovered.run} shows something else than the chain: {name}" in finding.found


@pytest.mark.parametrize(
    ("name", "value"),
    [("attempts", 7), ("started", "2026-11-24T12:00:00+00:00"), ("ended", None), ("asked", "Really?"), ("approval", None)],
)
def test_a_step_whose_times_or_approval_alone_were_edited_is_found(recovered, tmp_path, name, value):
    [finding] = findings_of_edited(recovered, tmp_path / "run.json", lambda exported: exported["steps"][0].update({name: value}))
    assert (finding.fault, name in finding.found) == (ChainFault.RECORD_EDITED, True)


def test_a_step_that_was_taken_out_or_invented_is_found(recovered, tmp_path):
    file = tmp_path / "run.json"
    assert findings_of_edited(recovered, file, lambda exported: exported["steps"].pop())
    invented = {"step": "orders/blessed", "state": "succeeded", "evidence": None}
    assert findings_of_edited(recovered, file, lambda exported: exported["steps"].append(invented))


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("steps", "state", "skipped"),
        ("steps", "state", "waiting"),
        ("steps", "evidence", '{"outcome": "done"}'),
        ("steps", "evidence", "blessed"),
        ("steps", "evidence", None),
        ("steps", "approved_by", "mallory"),
        ("steps", "ended", "2026-11-24T12:00:00+00:00"),
        ("runs", "state", "failed"),
        ("runs", "state", "blessed"),
        ("runs", "subject", "customers"),
        ("runs", "ended", None),
        ("runs", "plan", "{}"),
    ],
)
def test_a_step_or_run_edited_in_the_state_database_is_found(recovered, table, column, value):
    with edited(recovered.desk, table, column, value):
        code, said = verify_here(recovered)
    assert (code, "record edited: " in said, "all as they were signed" in said) == (1, True, False), said
    assert column.removesuffix("_by") in said or column == "plan"


def test_the_evidence_of_a_recovery_says_what_was_measured_checked_by_which_versions_and_who_agreed(recovered, tmp_path):
    told = export_evidence(recovered.installation, recovered.run, tmp_path / "run.json")["run"]
    measured = measure(recovered.installation, recovered.view)
    assert (told["measured"], told["met"], told["not_measured"]) == (to_json(measured), measured.met, "")
    assert {"fence", "restore", "replay", "verify", "cut_over"} <= told["measured"]["measurement"]["phases"].keys()
    assert told["measured"]["measurement"]["verdict"] == told["measured"]["tier_verdict"] == "met"
    assert told["measured"]["recovery_point"]["source"] != "none"
    assert told["measured"]["objectives"] == to_json(measured.objectives)
    outcomes = {each["step"].partition("/")[2]: each["outcome"] for each in told["checked"]}
    assert outcomes.items() >= {"verify-database": "done", "check-pages": "done", "write-and-read-back": "done"}.items()
    assert (told["understudy_version"], told["server_version"]) == (__version__, recovered.server_version)
    [agreed] = told["approved"]
    assert (agreed["step"], agreed["by"]) == ("orders/fence-old-server", "anna")
    assert "Recover orders there" in agreed["asked"] and agreed["at"]


def test_the_page_about_a_recovered_database_says_the_same_and_holds_no_secret(recovered):
    page = run_page(report_run(recovered.installation, recovered.run, "understudy evidence verify"))
    found, measured = ReadPage(page), measure(recovered.installation, recovered.view)
    took = duration(measured.measurement.recovery_time)
    assert f"recovery time the scenario 1 h 00 min {took} ✓ met" in found.section(page, "Objectives")
    assert "select count(*) from words 1" in found.section(page, "Checks")
    assert f"PostgreSQL, as the restored server says {recovered.server_version}" in found.section(page, "Versions")
    assert re.search(r"orders 20\d{6}-\d{6}F near succeeded WAL replayed up to", found.section(page, "Backups that were used"))
    assert "agreed by anna" in found.section(page, "Approval") and "Draft" in found.section(page, "Incident record")
    secrets = [recovered.desk.identity.reveal(), (recovered.desk.state / "signing.key").read_text().strip()]
    assert not [secret for secret in secrets if secret in page]


@pytest.mark.parametrize("name", ["measured", "met", "checked", "understudy_version", "server_version", "approved"])
def test_what_the_evidence_says_of_a_recovery_as_a_whole_cannot_be_edited_or_taken_out_unseen(recovered, tmp_path, name):
    def edit(exported):
        exported["run"][name] = "blessed"

    for change in (edit, lambda exported: exported["run"].pop(name)):
        [finding] = findings_of_edited(recovered, tmp_path / "run.json", change)
        assert (finding.fault, name in finding.found) == (ChainFault.RECORD_EDITED, True)


def test_a_run_whose_resource_the_stack_file_names_no_more_says_why_it_was_not_measured(recovered, tmp_path):
    renamed = tmp_path / "understudy.yaml"
    renamed.write_text(recovered.desk.stack_file.read_text().replace("\n  orders:\n", "\n  customers:\n"))
    report = report_of(Installation.open(renamed, recovered.desk.state), recovered.run, recovered.view.run.state)
    assert (report["measured"], report["met"]) == (None, None)
    assert "no_such_resource" in report["not_measured"]
    assert report["checked"] and report["server_version"] == recovered.server_version
