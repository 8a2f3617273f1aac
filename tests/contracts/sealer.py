"""What every ``Sealer`` promises."""

import os
import threading

import pytest

from understudy.adapters.age import new_identity
from understudy.ports.sealer import Sealer
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.secret import Secret

MIB = 1024 * 1024


class SourceFailed(Exception):
    pass


class SealerContract:
    """Inherit, and supply ``sealer``."""

    @pytest.fixture
    def sealer(self) -> Sealer:
        raise NotImplementedError

    @pytest.mark.parametrize("size", [0, 1, 64 * 1024, 5 * MIB + 17])
    def test_what_was_sealed_opens_again(self, sealer, size):
        identity, recipient = new_identity()
        plain = os.urandom(size)
        sealed = b"".join(sealer.seal([plain[:1000], plain[1000:]], [recipient]))
        assert sealed.startswith(b"age-encryption.org/v1\n")
        assert plain == b"".join(sealer.open([sealed[:7], sealed[7:]], identity))
        assert size < 100 or plain[:100] not in sealed

    def test_each_of_several_recipients_opens(self, sealer):
        pairs = [new_identity(), new_identity()]
        sealed = b"".join(sealer.seal([b"for both"], [recipient for _, recipient in pairs]))
        for identity, _ in pairs:
            assert b"".join(sealer.open([sealed], identity)) == b"for both"

    def test_an_identity_file_with_comments_is_an_identity(self, sealer):
        identity, recipient = new_identity()
        commented = Secret(f"# created: today\n# public key: {recipient}\n{identity.reveal()}\n")
        sealed = b"".join(sealer.seal([b"x"], [recipient]))
        assert b"".join(sealer.open([sealed], commented)) == b"x"

    def test_another_identity_is_the_wrong_key(self, sealer):
        _, recipient = new_identity()
        other, _ = new_identity()
        sealed = b"".join(sealer.seal([b"secret"], [recipient]))
        assert _code_of_opening(sealer, sealed, other) == "wrong_key"

    def test_what_is_no_identity_is_malformed(self, sealer):
        _, recipient = new_identity()
        sealed = b"".join(sealer.seal([b"secret"], [recipient]))
        for text in ("AGE-SECRET-KEY-1NONSENSE", "hello", ""):
            assert _code_of_opening(sealer, sealed, Secret(text)) == "identity_malformed"

    @pytest.mark.parametrize("at", [0, 200, 70_000, -1])
    def test_one_flipped_bit_is_noticed(self, sealer, at):
        identity, recipient = new_identity()
        sealed = bytearray(b"".join(sealer.seal([os.urandom(200_000)], [recipient])))
        sealed[at] ^= 1
        assert _code_of_opening(sealer, bytes(sealed), identity) == "sealed_corrupt"

    def test_any_cut_is_noticed(self, sealer):
        identity, recipient = new_identity()
        sealed = b"".join(sealer.seal([os.urandom(200_000)], [recipient]))
        for length in (0, 10, 150, 1000, 66_000, len(sealed) - 1):
            assert _code_of_opening(sealer, sealed[:length], identity) == "sealed_corrupt"

    def test_trailing_bytes_are_noticed(self, sealer):
        identity, recipient = new_identity()
        sealed = b"".join(sealer.seal([b"x" * 100], [recipient]))
        assert _code_of_opening(sealer, sealed + b"more", identity) == "sealed_corrupt"

    def test_a_source_that_fails_never_makes_a_valid_file(self, sealer):
        identity, recipient = new_identity()

        def failing():
            yield b"x" * MIB
            raise SourceFailed

        sealed = []
        with pytest.raises(SourceFailed):
            for piece in sealer.seal(failing(), [recipient]):
                sealed.append(piece)
        assert _code_of_opening(sealer, b"".join(sealed), identity) == "sealed_corrupt"

    def test_the_error_of_the_source_is_the_error_of_opening(self, sealer):
        identity, recipient = new_identity()
        sealed = b"".join(sealer.seal([b"x" * MIB], [recipient]))

        def failing():
            yield sealed[:500_000]
            raise SourceFailed

        with pytest.raises(SourceFailed):
            list(sealer.open(failing(), identity))

    def test_closing_early_ends_the_work_and_its_source(self, sealer):
        _, recipient = new_identity()
        ended = threading.Event()

        def endless():
            try:
                while True:
                    yield bytes(MIB)
            finally:
                ended.set()

        sealed = sealer.seal(endless(), [recipient])
        next(sealed)
        sealed.close()
        assert ended.is_set()
        assert not [thread for thread in threading.enumerate() if thread.name == "age feeder"]

    def test_a_typing_error_in_a_recipient_is_refused(self, sealer):
        _, recipient = new_identity()
        for wrong in (recipient[:-1], recipient.replace("age1", "age2"), "--output=/tmp/x", ""):
            with pytest.raises(GiveUp) as refused:
                list(sealer.seal([b"x"], [recipient, wrong]))
            assert refused.value.code == "recipient_malformed"
        with pytest.raises(GiveUp) as refused:
            list(sealer.seal([b"x"], []))
        assert refused.value.code == "recipient_missing"


def _code_of_opening(sealer, sealed, identity):
    with pytest.raises(GiveUp) as refused:
        list(sealer.open([sealed], identity))
    return refused.value.code
