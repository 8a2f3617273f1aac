"""Sealed with gpg instead of age: a database with its WAL comes back, and a directory beside it; nothing is sealed otherwise."""

import json
import shutil

import pytest

from tests.openpgp_keys import openpgp_key
from tests.restore_matrix.estate import SilentWatcher, dump_of, expect_success, files_in
from tests.told import told_whole
from understudy.app.backups import back_up
from understudy.app.recoveries import Choice, restore
from understudy.app.run_view import view_of
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import BackupKind

pytestmark = pytest.mark.skipif(shutil.which("gpg") is None, reason="gpg is not installed")


def seal_with_gpg(estate, *names):
    """From the beginning: the first of the keys is the host's."""
    keys = [openpgp_key(name) for name in names]
    (estate.directory / "identity").write_text(keys[0].secret.reveal())
    (estate.directory / "keys.asc").write_text("".join(key.public for key in keys))
    rewrite(
        estate,
        sealing="gpg",
        recipients=[key.fingerprint for key in keys],
        public_keys=[f"file:{estate.directory / 'keys.asc'}"],
    )


def rewrite(estate, **encryption):
    stack = json.loads(estate.stack_file.read_text())
    stack["encryption"] = {key: value for key, value in (stack["encryption"] | encryption).items() if value is not None}
    estate.stack_file.write_text(json.dumps(stack))
    estate.reopen()


def opened_by(view):
    proofs = {step.key: step.evidence.proof for step in view.steps if step.evidence is not None}
    return {key: proof["opened_by"] for key, proof in proofs.items() if "opened_by" in proof}


def test_a_database_with_its_wal_and_a_directory_come_back_and_another_key_is_drilled(make_estate):
    estate = make_estate()
    server, docs = estate.server, estate.directory / "docs"
    docs.mkdir()
    (docs / "lease.txt").write_text("the lease")
    stack = json.loads(estate.stack_file.read_text())
    stack["resources"]["docs"] = {"kind": "files", "path": str(docs)}
    estate.stack_file.write_text(json.dumps(stack))
    seal_with_gpg(estate, "host", "kit")

    server.sql("create table kept as select generate_series(1, 1000) as n")
    estate.back_up_well()
    server.sql("insert into kept values (0)")
    taken = estate.back_up_well(BackupKind.INCREMENTAL)
    server.sql("insert into kept values (-1)")
    estate.ship()
    expect_success(back_up(estate.installation, "docs", None, SilentWatcher()))
    assert dump_of(estate.restored(Choice())) == dump_of(server)
    found = estate.directory / "found"
    view = expect_success(restore(estate.installation, "docs", str(found), Choice(), SilentWatcher()))
    assert (found / "lease.txt").read_text() == "the lease"
    assert opened_by(view) == {"docs/restore-snapshot": openpgp_key("host").fingerprint}
    assert "without a hole" in estate.command("verify", "--deep").stdout

    (estate.directory / "kit").write_text(openpgp_key("kit").secret.reveal())
    rewrite(estate, identity=None)
    told = estate.command("drill", "data_loss", "--resource", "orders", "--identity", f"file:{estate.directory}/kit").stdout
    (drilled,) = (run for run in estate.installation.records.runs() if run.procedure == "drill")
    assert opened_by(view_of(estate.installation, drilled.run)) == {"orders/restore-base-backup": openpgp_key("kit").fingerprint}
    assert "succeeded" in told

    names = [path.name for path in files_in(estate.repository_directory)]
    assert not [name for name in names if ".age" in name]
    assert {name.rpartition(".")[2] for name in names} == {"gpg", "json", "md", "SHA256SUMS"} - {""}
    assert taken.parts[0].name.endswith(".tar.zst.gpg")


def test_a_repository_that_was_sealed_in_the_other_way_is_refused_and_not_taken_for_damaged(make_estate):
    estate = make_estate()
    with_age = {**json.loads(estate.stack_file.read_text())["encryption"], "public_keys": None, "sealing": None}
    age_identity = (estate.directory / "identity").read_text()
    estate.back_up_well()
    stored = files_in(estate.repository_directory)
    seal_with_gpg(estate, "host")
    for attempt in (
        estate.back_up,
        lambda: estate.restore(Choice(), estate.server.sibling().data),
        lambda: estate.drill(Choice()),
    ):
        with pytest.raises(Refusal) as refused:
            expect_success(attempt())
        assert told_whole(refused.value) == "sealing_differs"
        assert "sealing: age" in refused.value.hint
    assert files_in(estate.repository_directory) == stored
    told = estate.command("check", "--json", check=False).stdout
    (finding,) = (each for each in json.loads(told)["findings"] if each["aspect"] == "repository")
    assert finding["grade"] == "failure" and "sealing_differs" in finding["found"]

    (estate.directory / "identity").write_text(age_identity)
    rewrite(estate, **with_age)
    expect_success(estate.restore(Choice(), estate.server.sibling().data))
