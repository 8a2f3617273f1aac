"""Both ways of sealing, the choice between them, and that each reads what the other wrote."""

import os
import shutil
import subprocess
import sys
import threading

import pytest

from tests.contracts.sealer import SealerContract
from understudy.adapters.age import AgeProgram, PyrageProcess, choose_sealer, new_identity, recipient_of
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.secret import Secret

needs_age = pytest.mark.skipif(shutil.which("age") is None, reason="the age program is not installed")


class AgeContract(SealerContract):
    begins_with = b"age-encryption.org/v1\n"
    no_identities = ("AGE-SECRET-KEY-1NONSENSE", "hello", "")

    @pytest.fixture
    def pairs(self):
        return [new_identity(), new_identity()]

    def mistyped(self, recipient):
        return recipient[:-1], recipient.replace("age1", "age2")


@needs_age
class TestAgeProgram(AgeContract):
    @pytest.fixture
    def sealer(self):
        return AgeProgram()


class TestPyrageProcess(AgeContract):
    @pytest.fixture
    def sealer(self):
        return PyrageProcess()


class TestTheChosenSealer(AgeContract):
    @pytest.fixture
    def sealer(self):
        return choose_sealer()


@needs_age
@pytest.mark.parametrize(("writer", "reader"), [(AgeProgram(), PyrageProcess()), (PyrageProcess(), AgeProgram())])
def test_each_reads_what_the_other_wrote(writer, reader):
    identity, recipient = new_identity()
    plain = os.urandom(3_000_000)
    assert b"".join(reader.open(writer.seal([plain], [recipient]), identity)) == plain


def test_without_the_program_pyrage_does_both():
    assert isinstance(choose_sealer("no-such-age-program"), PyrageProcess)


def test_a_missing_program_says_what_to_install():
    with pytest.raises(GiveUp) as refused:
        AgeProgram("no-such-age-program").seal([b""], ["age1"])
    assert refused.value.code == "sealer_missing"
    assert "apt-get install age" in refused.value.hint


def test_an_identity_knows_its_recipient():
    identity, recipient = new_identity()
    assert recipient_of(Secret(f"# comment\n{identity.reveal()}\n")) == recipient
    with pytest.raises(GiveUp) as refused:
        recipient_of(Secret("hello"))
    assert refused.value.code == "identity_malformed"


@pytest.mark.parametrize("sealer", [pytest.param(AgeProgram(), marks=needs_age), PyrageProcess()])
def test_the_identity_is_on_no_command_line_and_in_no_environment(sealer):
    identity, recipient = new_identity()
    sealed = b"".join(sealer.seal([os.urandom(4_000_000)], [recipient]))
    go_on = threading.Event()

    def slow():
        yield sealed[:3_000_000]
        go_on.wait(60)
        yield sealed[3_000_000:]

    opened = sealer.open(slow(), identity)
    next(opened)
    # Without -ww ps cuts each line at 80 columns where no terminal is, and would hide what is looked for.
    children = subprocess.run(
        ["ps", "-ww", "-o", "args=", "e", "--ppid", str(os.getpid())], capture_output=True, text=True, check=True
    ).stdout
    go_on.set()
    assert len(b"".join(opened)) > 0
    assert "age" in children
    assert identity.reveal() not in children


def test_the_child_starts_without_the_packages_of_this_process():
    shown = subprocess.run(
        [sys.executable, "-X", "importtime", "-I", "-S", "-c", "import understudy.adapters.age.filter_child"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 1, "isolated children must not see this package: they are started by the path of the file"
