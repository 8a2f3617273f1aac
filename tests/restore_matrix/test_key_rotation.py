"""Keys are changed as docs/security.md says: what earlier ones sealed and signed stays of use for as long as a person wants."""

import json
import re
import shutil
import subprocess

import pytest

from tests.openpgp_keys import openpgp_key
from tests.restore_matrix.estate import dump_of, expect_success, failed_step, files_in, proof_of
from tests.tidy.sources import ROOT
from tests.told import told_whole
from understudy.adapters.age import new_identity
from understudy.app.recoveries import Choice
from understudy.vocabulary.errors import GiveUp, Refusal, UnderstudyError
from understudy.vocabulary.identifiers import BackupKind

_MAKING_A_SIGNING_KEY = re.compile(r"^\(umask 077; .* > main\.signing-key\.new\)$", re.M)


def rewrite(estate, **encryption):
    """These keys of ``encryption`` in the stack file, and a process that has read it."""
    stack = json.loads(estate.stack_file.read_text())
    stack["encryption"] |= encryption
    estate.stack_file.write_text(json.dumps(stack))
    estate.reopen()


def hold(estate, *identities):
    """The identity file with these keys, one a line."""
    (estate.directory / "identity").write_text("".join(f"{each}\n" for each in identities))
    estate.reopen()


def of_age(estate):
    """Two identities, and what changes the recipient of the first into that of the second."""
    made, recipient = new_identity()
    return (estate.directory / "identity").read_text(), made.reveal(), lambda: rewrite(estate, recipients=[recipient])


def of_gpg(estate):
    earlier, later = openpgp_key("earlier"), openpgp_key("later")
    hold(estate, earlier.secret.reveal())
    rewrite(estate, sealing="gpg", recipients=[earlier.fingerprint], public_keys=[earlier.public])
    changed = {"recipients": [later.fingerprint], "public_keys": [earlier.public, later.public]}
    return earlier.secret.reveal(), later.secret.reveal(), lambda: rewrite(estate, **changed)


needs_gpg = pytest.mark.skipif(shutil.which("gpg") is None, reason="gpg is not installed")


@pytest.mark.parametrize("sealed", [of_age, pytest.param(of_gpg, marks=needs_gpg)])
def test_backups_on_both_sides_of_a_change_of_recipients_are_read_while_both_identities_are_kept(make_estate, sealed):
    estate = make_estate()
    server = estate.server
    earlier, later, change_recipients = sealed(estate)
    server.sql("create table kept as select generate_series(1, 1000) as n")
    before = estate.back_up_well()
    server.sql("insert into kept values (0)")

    hold(estate, earlier, later)
    change_recipients()
    across = estate.back_up_well()
    assert (across.kind, across.parent) == (BackupKind.INCREMENTAL, before.label)
    server.sql("insert into kept values (-1)")
    estate.ship()
    assert dump_of(estate.restored(Choice())) == dump_of(server)

    after = estate.back_up_well(BackupKind.FULL)
    hold(estate, later)
    expect_success(estate.restore(Choice(), server.sibling().data))
    for label in (before.label, across.label):
        view = estate.restore(Choice(label=label.text), server.sibling().data)
        assert failed_step(view) == ("restore-base-backup", "wrong_key")

    hold(estate, earlier)
    view = estate.restore(Choice(label=after.label.text), server.sibling().data)
    assert failed_step(view) == ("restore-base-backup", "wrong_key"), "who is no recipient any more reads nothing new"
    taken = proof_of(expect_success(estate.back_up(BackupKind.INCREMENTAL)), "take-base-backup")
    assert taken["kind"] == "full"
    assert after.label.text in str(taken["reason"])


def test_a_new_signer_goes_on_with_what_the_earlier_one_signed_until_that_is_trusted_no_more(make_estate):
    estate = make_estate()
    earlier = estate.installation.keys.evidence_signer.public_key
    estate.server.sql("create table kept as select generate_series(1, 1000) as n")
    before = estate.back_up_well()

    (command,) = _MAKING_A_SIGNING_KEY.findall((ROOT / "docs" / "security.md").read_text())
    subprocess.run(["/bin/sh", "-c", command], check=True, cwd=estate.directory)
    rewrite(estate, signing_key=f"file:{estate.directory}/main.signing-key.new", signers=[earlier])
    checked = json.loads(estate.command("check", "--json", check=False).stdout)
    [finding] = [each for each in checked["findings"] if each["aspect"] == "signing_key"]
    assert finding["grade"] == "failure"
    later = re.search(r"- (\S+)$", finding["change"]).group(1)
    runs, stored = len(estate.installation.records.runs()), files_in(estate.directory / "repository")
    for sign in (estate.back_up, lambda: estate.drill(Choice()), lambda: estate.restore(Choice(), estate.server.sibling().data)):
        with pytest.raises(Refusal) as unnamed:
            sign()
        assert told_whole(unnamed.value) == "signer_not_named"
        assert later in unnamed.value.found and f"- {later}" in unnamed.value.hint
    assert (len(estate.installation.records.runs()), files_in(estate.directory / "repository")) == (runs, stored)
    rewrite(estate, signers=[earlier, later])

    after = estate.back_up_well()
    assert (after.kind, after.parent) == (BackupKind.INCREMENTAL, before.label)
    estate.ship()
    expect_success(estate.restore(Choice(), estate.server.sibling().data))
    assert "without a hole" in estate.command("verify").stdout
    assert "all as they were signed" in estate.command("evidence", "verify").stdout

    rewrite(estate, signers=[later])
    with pytest.raises(GiveUp) as refused:
        estate.back_up()
    assert refused.value.code == "signature_untrusted"
    assert earlier in refused.value.found
    with pytest.raises(UnderstudyError) as unusable:
        estate.restore(Choice(), estate.server.sibling().data)
    assert unusable.value.code == "chain_broken"
    assert f"stands on {before.label}, which is not usable" in unusable.value.found

    stack = json.loads(estate.stack_file.read_text())
    stack["repositories"] = {"anew": {"url": f"file://{estate.directory}/anew"}}
    estate.stack_file.write_text(json.dumps(stack))
    estate.reopen()
    expect_success(estate.back_up())
    expect_success(estate.restore(Choice(), estate.server.sibling().data))
    told = estate.command("evidence", "verify", check=False)
    assert told.returncode == 1
    assert earlier in told.stdout
    lines = [line for line in told.stdout.splitlines() if line.startswith("signer unknown")]
    assert lines and len(lines) == len(set(lines))
