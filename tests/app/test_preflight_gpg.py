"""``check`` where everything is to be sealed with gpg: what keeps a key from being of use is told with its reason."""

import shutil
from datetime import UTC, datetime, timedelta

import pytest

from tests.openpgp_keys import openpgp_key, revoked_key
from understudy.app.preflight import check
from understudy.judge.preflight import Grade
from understudy.judge.preflight_host import judge_recipients

pytestmark = pytest.mark.skipif(shutil.which("gpg") is None, reason="gpg is not installed")


@pytest.fixture
def found(tmp_path):
    """The findings about keys by their aspect, for these recipients and this identity."""

    def look(*keys, identity, public=None):
        (tmp_path / "docs").mkdir(exist_ok=True)
        (tmp_path / "keys.asc").write_text("".join(key.public for key in (keys if public is None else public)))
        (tmp_path / "identity").write_text(identity)
        (tmp_path / "identity").chmod(0o600)
        (tmp_path / "understudy.yaml").write_text(f"""\
stack: shelf
repositories: {{near: {{url: 'file://{tmp_path}/near'}}}}
encryption:
  sealing: gpg
  recipients: [{", ".join(key.fingerprint for key in keys)}]
  public_keys: ['file:{tmp_path}/keys.asc']
  identity: file:{tmp_path}/identity
resources: {{docs: {{kind: files, path: {tmp_path}/docs}}}}
""")
        return {
            each.aspect: each
            for each in check(tmp_path / "understudy.yaml", tmp_path / "state").findings
            if each.subject == "keys"
        }

    return look


def test_keys_that_seal_and_open_are_right(found):
    host, kit = openpgp_key("host"), openpgp_key("kit")
    told = found(host, kit, identity=host.secret.reveal())
    assert {each.grade for each in told.values()} == {Grade.OK}
    assert host.fingerprint in told["recipients"].found and kit.fingerprint in told["recipients"].found
    assert told["identity"].found == "opens what the recipients seal"


def test_a_key_that_nothing_can_be_sealed_to_is_a_failure(found):
    host = openpgp_key("host")
    for key, why in (
        (openpgp_key("expired", expire="1d", made="20200101T000000"), "has expired on 2020-01-02"),
        (revoked_key("revoked"), "is revoked"),
        (openpgp_key("signing", usage="sign"), "has no key for encryption"),
    ):
        told = found(host, key, identity=host.secret.reveal())
        assert told["recipients"].grade is Grade.FAILURE
        assert f"{key.fingerprint} {why}" in told["recipients"].found
        assert "gpg --armor --export" in told["recipients"].change


def test_a_recipient_without_its_public_key_is_a_failure(found):
    host = openpgp_key("host")
    told = found(host, openpgp_key("kit"), identity=host.secret.reveal(), public=[host])
    assert told["recipients"].grade is Grade.FAILURE
    assert "none of the keys in encryption.public_keys" in told["recipients"].found


def test_an_identity_that_fits_no_recipient_is_a_failure(found):
    told = found(openpgp_key("host"), identity=openpgp_key("kit").secret.reveal())
    assert told["recipients"].grade is Grade.OK
    assert told["identity"].grade is Grade.FAILURE
    assert "wrong_key" in told["identity"].found


def test_an_identity_of_age_is_a_failure_and_not_shown(found):
    told = found(openpgp_key("host"), identity="AGE-SECRET-KEY-1NONSENSE")
    assert told["identity"].grade is Grade.FAILURE
    assert "NONSENSE" not in repr(told)


def test_where_gpg_is_not_installed_it_is_said_what_to_install(found, monkeypatch):
    identity = openpgp_key("host").secret.reveal()
    monkeypatch.setenv("PATH", "/nowhere")
    told = found(openpgp_key("host"), identity=identity)
    assert told["recipients"].grade is Grade.FAILURE
    assert told["recipients"].change == "apt-get install gnupg"


def test_a_key_that_expires_soon_is_a_warning_with_what_prolongs_it(found):
    key = openpgp_key("short", expire="10d")
    told = found(key, identity=key.secret.reveal())
    assert told["recipients"].grade is Grade.WARNING
    assert f"gpg --quick-set-expire {key.fingerprint} 2y" in told["recipients"].change
    now = datetime(2026, 11, 27, tzinfo=UTC)
    assert judge_recipients("gpg", ["A"], {"A": now + timedelta(days=31)}, now).grade is Grade.OK
