"""A key that no stack file names as a signer's signs nothing that others are to believe."""

import threading

import pytest

from tests.app.test_verifying import SilentWatcher
from tests.room import new_path
from tests.told import told_whole
from understudy.app.backups import back_up
from understudy.app.installation import Installation
from understudy.app.recoveries import plan_requested_recovery
from understudy.app.repositories import prepare_repository
from understudy.app.serving import serve
from understudy.plan.plan import Procedure
from understudy.plan.request import Choice, RecoveryRequest
from understudy.repository.signing import Signer, new_signing_key
from understudy.vocabulary.errors import Refusal, UnderstudyError
from understudy.vocabulary.identifiers import ResourceName

OTHER = Signer(new_signing_key()).public_key


@pytest.fixture
def installed(desk):
    """With a server that nobody may ask: it does not exist."""

    def make(*encryption):
        lines = (f"recipients: [{desk.recipient}]", f"identity: file:{desk.identity_file}", *encryption)
        desk.write(Absent, encryption=lines, url="host=127.0.0.1 port=1")
        return Installation.open(desk.stack_file, desk.state)

    return make


class Absent:
    port = 1
    programs = new_path("no-programs")
    replication_url = ""


def recovery(procedure):
    return RecoveryRequest(procedure, ResourceName("orders"), Choice(), "/nowhere", scenario="data_loss")


def test_whatever_is_to_sign_for_others_is_refused_before_it_writes_anything(desk, installed):
    path = desk.secret_file("signing", new_signing_key().reveal())
    installation = installed(f"signing_key: file:{path}", f"signers: ['{OTHER}']")
    signing = (
        lambda: back_up(installation, "orders", None, SilentWatcher()),
        lambda: prepare_repository(installation, installation.repository_name("near")),
        lambda: serve(installation, threading.Event(), lambda: None),
        *(
            lambda procedure=procedure: plan_requested_recovery(installation, recovery(procedure))
            for procedure in (Procedure.RECOVERY, Procedure.RESTORE, Procedure.DRILL)
        ),
    )
    for sign in signing:
        with pytest.raises(Refusal) as refused:
            sign()
        assert told_whole(refused.value) == "signer_not_named"
        own = installation.keys.evidence_signer.public_key
        assert f"file:{path}" in refused.value.found
        assert f"- {own}" in refused.value.hint
    assert list(desk.state.iterdir()) == []
    assert not (desk.directory / "repository").exists()


def test_the_key_of_the_state_directory_alone_still_signs_what_stays_here(installed):
    """So does whoever restores by the recovery kit, which leaves the signing key out."""
    installation = installed(f"signers: ['{OTHER}']")
    with pytest.raises(Refusal, match="signer_not_named"):
        plan_requested_recovery(installation, recovery(Procedure.RECOVERY))
    with pytest.raises(UnderstudyError) as later:
        plan_requested_recovery(installation, recovery(Procedure.RESTORE))
    assert later.value.code != "signer_not_named"
