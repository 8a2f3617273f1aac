"""Sealing with gpg, beside what every sealer promises: its keyrings are its own, and nothing of them stays."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.contracts.sealer import SealerContract
from tests.openpgp_keys import Keyring, openpgp_key, revoked_key
from tests.servers.processes import wait_until
from tests.told import told_whole
from understudy.adapters.gnupg import GnupgProgram
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.secret import Secret

pytestmark = pytest.mark.skipif(shutil.which("gpg") is None, reason="gpg is not installed")


@pytest.fixture(scope="module")
def made():
    sealer = GnupgProgram(lambda: [openpgp_key(each).public for each in ("host", "kit")])
    yield sealer
    sealer.close()


class TestGnupgProgram(SealerContract):
    begins_with = (b"\x84", b"\x85", b"\xc1")
    """A session key that is sealed to a public key, as OpenPGP has it."""
    no_identities = (
        "hello",
        "",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nbm8ga2V5\n=abcd\n-----END PGP PRIVATE KEY BLOCK-----",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----",
    )

    @pytest.fixture
    def sealer(self, made):
        return made

    @pytest.fixture
    def pairs(self):
        return [(key.secret, key.fingerprint) for key in (openpgp_key("host"), openpgp_key("kit"))]

    def mistyped(self, recipient):
        return recipient[:-1], recipient.replace(recipient[0], "G"), recipient.lower()


def sealed_for(*names, plain=b"secret"):
    keys = [openpgp_key(each) for each in names]
    sealer = GnupgProgram(lambda: [key.public for key in keys])
    sealed = b"".join(sealer.seal([plain], [key.fingerprint for key in keys]))
    sealer.close()
    return sealed


def homes():
    return {each for place in ("/dev/shm", "/tmp") for each in Path(place).glob("understudy-gnupg-*")}


def agents():
    """Of homes of ours. A process that has ended and that nobody reaps has no arguments any more."""
    shown = subprocess.run(["ps", "-ww", "-e", "-o", "args="], capture_output=True, text=True, check=True).stdout
    return [line for line in shown.splitlines() if "gpg-agent" in line and "understudy-gnupg-" in line]


def test_what_is_sealed_is_sealed_with_aes_256_and_authenticated_and_not_compressed():
    sealed = sealed_for("host", plain=b"\0" * 100_000)
    assert len(sealed) > 100_000
    key = openpgp_key("host")
    with Keyring() as ring:
        ring.run("--import", given=key.secret.reveal().encode())
        told = ring.run("--status-fd", "2", "--decrypt", given=sealed).stderr.decode()
    assert "DECRYPTION_INFO 2 9 " in told or "DECRYPTION_INFO 0 9 " in told, "MDC (or AEAD), and AES-256 by its number in OpenPGP"
    assert "GOODMDC" in told


def test_recipients_that_nothing_can_be_sealed_to_are_told_with_the_reason_all_at_once():
    good = openpgp_key("host")
    expired = openpgp_key("expired", expire="1d", made="20200101T000000")
    revoked = revoked_key("revoked")
    signing = openpgp_key("signing", usage="sign")
    absent = openpgp_key("absent")
    public = [key.public for key in (good, expired, revoked, signing)]
    sealer = GnupgProgram(lambda: public)
    with pytest.raises(GiveUp) as refused:
        list(sealer.seal([b"x"], [key.fingerprint for key in (good, expired, revoked, signing, absent)]))
    assert told_whole(refused.value) == "recipient_unusable"
    assert f"{expired.fingerprint} has expired on 2020-01-02" in refused.value.found
    assert f"{revoked.fingerprint} is revoked" in refused.value.found
    assert f"{signing.fingerprint} has no key for encryption" in refused.value.found
    assert f"{absent.fingerprint} is none of the keys in encryption.public_keys" in refused.value.found
    assert good.fingerprint not in refused.value.found
    assert list(sealer.seal([b"x"], [good.fingerprint])), "the keys were read anew"


def test_a_key_that_expires_meanwhile_is_told_and_used_again_once_it_is_prolonged():
    with Keyring() as ring:
        fingerprint = ring.make("brief", "default", "seconds=2")
        public = [ring.text("--armor", "--export", fingerprint)]
        sealer = GnupgProgram(lambda: public)
        faults = []

        def has_expired():
            try:
                list(sealer.seal([b"x"], [fingerprint]))
            except GiveUp as error:
                faults.append(error)
            return bool(faults)

        assert not has_expired()
        wait_until(has_expired, "the key to expire")
        assert told_whole(faults[0]) == "recipient_unusable"
        for which in ((), ("*",)):
            ring.run("--quick-set-expire", fingerprint, "1y", *which)
        public[0] = ring.text("--armor", "--export", fingerprint)
        assert list(sealer.seal([b"x"], [fingerprint]))
        sealer.close()


def test_a_secret_key_with_a_passphrase_is_refused_with_what_to_do():
    key = openpgp_key("protected", protection="long and good")
    sealer = GnupgProgram(lambda: [key.public])
    sealed = b"".join(sealer.seal([b"x"], [key.fingerprint]))
    with pytest.raises(GiveUp) as refused:
        list(sealer.open([sealed], key.secret))
    assert told_whole(refused.value) == "identity_protected"
    sealer.close()


def test_what_was_damaged_for_one_recipient_alone_is_no_wrong_key():
    sealed = bytearray(sealed_for("host"))
    sealed[60] ^= 1
    sealer = GnupgProgram(list)
    with pytest.raises(GiveUp) as refused:
        list(sealer.open([bytes(sealed)], openpgp_key("host").secret))
    assert refused.value.code == "sealed_corrupt"
    sealer.close()


def test_without_the_program_it_is_said_what_to_install():
    sealer = GnupgProgram(list, "no-such-gpg")
    for work in (lambda: sealer.seal([b""], ["A" * 40]), lambda: sealer.open([b""], Secret("x"))):
        with pytest.raises(GiveUp) as refused:
            work()
        assert told_whole(refused.value) == "sealer_missing"
        assert "apt-get install gnupg" in refused.value.hint


def test_nothing_depends_on_the_keyring_and_the_options_of_who_runs_it(tmp_path, monkeypatch):
    monkeypatch.setenv("GNUPGHOME", str(tmp_path))
    (tmp_path / "gpg.conf").write_text("no-such-option\n")
    assert sealed_for("host")
    assert [each.name for each in tmp_path.iterdir()] == ["gpg.conf"]


def test_neither_keyring_nor_agent_is_left_when_it_is_closed():
    sealer = GnupgProgram(lambda: [openpgp_key("host").public])
    sealed = b"".join(sealer.seal([b"x"], [openpgp_key("host").fingerprint]))
    assert b"".join(sealer.open([sealed], openpgp_key("host").secret)) == b"x"
    made = {sealer._sealing_home.directory, sealer._opening[1].home.directory}  # others work beside this test
    assert len(made) == 2 and made <= homes()
    assert {each.stat().st_mode & 0o777 for each in made} == {0o700}
    sealer.close()
    assert not homes() & made
    wait_until(lambda: not any(str(each) in agent for agent in agents() for each in made), "the agents to end")


LEAVING = """
import os, signal, sys
from understudy.adapters.gnupg import GnupgProgram
from understudy.vocabulary.secret import Secret
sealer = GnupgProgram(lambda: [open(sys.argv[1]).read()])
sealed = b"".join(sealer.seal([b"x"], [sys.argv[3]]))
assert b"".join(sealer.open([sealed], Secret(open(sys.argv[2]).read()))) == b"x"
print(sealer._sealing_home.directory, sealer._opening[1].home.directory, flush=True)
if sys.argv[4] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("how", ["killed", "ended"])
def test_neither_keyring_nor_agent_outlives_its_process(tmp_path, how):
    key = openpgp_key("host")
    (tmp_path / "public").write_text(key.public)
    (tmp_path / "secret").write_text(key.secret.reveal())
    command = [sys.executable, "-c", LEAVING, str(tmp_path / "public"), str(tmp_path / "secret"), key.fingerprint, how]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    assert ended.returncode == (-signal.SIGKILL if how == "killed" else 0)
    made = ended.stdout.split()
    assert len(made) == 2
    wait_until(lambda: not any(Path(each).exists() for each in made), "the homes to be removed")
    wait_until(lambda: not any(each in agent for agent in agents() for each in made), "the agents to end")


def test_what_a_killed_keeper_left_behind_is_removed_by_the_next():
    left = Path("/dev/shm/understudy-gnupg-left-behind")
    left.mkdir(exist_ok=True)
    (left / "pubring.kbx").write_bytes(b"x")
    assert sealed_for("host")
    assert not left.exists()


def test_the_secret_key_is_on_no_command_line_and_in_no_environment():
    key = openpgp_key("host")
    sealer = GnupgProgram(lambda: [key.public])
    sealed = b"".join(sealer.seal([os.urandom(4_000_000)], [key.fingerprint]))
    go_on = threading.Event()

    def slow():
        yield sealed[:3_000_000]
        go_on.wait(60)
        yield sealed[3_000_000:]

    opened = sealer.open(slow(), key.secret)
    next(opened)
    children = subprocess.run(["ps", "-ww", "-e", "-o", "args=", "e"], capture_output=True, text=True, check=True).stdout
    go_on.set()
    assert len(b"".join(opened)) > 0
    assert "gpg" in children
    assert key.secret.reveal().splitlines()[4] not in children
    sealer.close()
