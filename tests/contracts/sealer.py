"""What every ``Sealer`` promises."""

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

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

    @pytest.fixture
    def pairs(self) -> Sequence[tuple[Secret, str]]:
        """Two identities, each with its recipient."""
        raise NotImplementedError

    @pytest.fixture
    def pair(self, pairs):
        return pairs[0]

    begins_with: bytes | tuple[bytes, ...]
    no_identities: Sequence[str]
    """Texts that are none."""

    def mistyped(self, recipient: str) -> Sequence[str]:
        """What is no recipient."""
        raise NotImplementedError

    @pytest.mark.parametrize("size", [0, 1, 64 * 1024, 5 * MIB + 17])
    def test_what_was_sealed_opens_again(self, sealer, pair, size):
        identity, recipient = pair
        plain = os.urandom(size)
        sealed = b"".join(sealer.seal([plain[:1000], plain[1000:]], [recipient]))
        assert sealed.startswith(self.begins_with)
        assert plain == b"".join(sealer.open([sealed[:7], sealed[7:]], identity))
        assert size < 100 or plain[:100] not in sealed

    def test_each_of_several_recipients_opens(self, sealer, pairs):
        sealed = b"".join(sealer.seal([b"for both"], [recipient for _, recipient in pairs]))
        for identity, recipient in pairs:
            assert b"".join(sealer.open([sealed], identity)) == b"for both"
            assert sealer.opened_by(sealed, identity) == recipient
            assert sealer.opened_by(sealed[:600], identity) == recipient, "told by its head alone"

    def test_an_identity_of_several_keys_opens_what_any_of_them_does(self, sealer, pairs):
        both = Secret("\n".join(identity.reveal() for identity, _ in pairs))
        for _, recipient in pairs:
            sealed = b"".join(sealer.seal([b"for one"], [recipient]))
            assert b"".join(sealer.open([sealed], both)) == b"for one"
            assert sealer.opened_by(sealed, both) == recipient

    def test_an_identity_file_with_comments_is_an_identity(self, sealer, pair):
        identity, recipient = pair
        commented = Secret(f"# created: today\n# public key: {recipient}\n{identity.reveal()}\n")
        sealed = b"".join(sealer.seal([b"x"], [recipient]))
        assert b"".join(sealer.open([sealed], commented)) == b"x"

    def test_another_identity_is_the_wrong_key(self, sealer, pairs):
        (_, recipient), (other, _) = pairs
        sealed = b"".join(sealer.seal([b"secret"], [recipient]))
        assert _code_of_opening(sealer, sealed, other) == "wrong_key"
        with pytest.raises(GiveUp) as refused:
            sealer.opened_by(sealed, other)
        assert refused.value.code == "wrong_key"

    def test_what_is_no_identity_is_malformed(self, sealer, pair):
        _, recipient = pair
        sealed = b"".join(sealer.seal([b"secret"], [recipient]))
        for text in self.no_identities:
            assert _code_of_opening(sealer, sealed, Secret(text)) == "identity_malformed"

    @pytest.mark.parametrize("at", [0, 200, 70_000, -1])
    def test_one_flipped_bit_is_noticed(self, sealer, pair, at):
        identity, recipient = pair
        sealed = bytearray(b"".join(sealer.seal([os.urandom(200_000)], [recipient])))
        sealed[at] ^= 1
        assert _code_of_opening(sealer, bytes(sealed), identity) == "sealed_corrupt"

    def test_any_cut_is_noticed(self, sealer, pair):
        identity, recipient = pair
        sealed = b"".join(sealer.seal([os.urandom(200_000)], [recipient]))
        for length in (0, 10, 150, 1000, 66_000, len(sealed) - 1):
            assert _code_of_opening(sealer, sealed[:length], identity) == "sealed_corrupt"

    def test_what_was_never_sealed_is_not_opened(self, sealer, pair):
        for never in (b"hello", b"\xcb\x0bb\x00\x00\x00\x00\x00plain", bytes(1000)):  # the second is a literal OpenPGP message
            assert _code_of_opening(sealer, never, pair[0]) == "sealed_corrupt"

    def test_trailing_bytes_are_noticed(self, sealer, pair):
        identity, recipient = pair
        sealed = b"".join(sealer.seal([b"x" * 100], [recipient]))
        assert _code_of_opening(sealer, sealed + b"more", identity) == "sealed_corrupt"

    def test_a_source_that_fails_never_makes_a_valid_file(self, sealer, pair):
        identity, recipient = pair

        def failing():
            yield b"x" * MIB
            raise SourceFailed

        sealed = []
        with pytest.raises(SourceFailed):
            for piece in sealer.seal(failing(), [recipient]):
                sealed.append(piece)
        assert _code_of_opening(sealer, b"".join(sealed), identity) == "sealed_corrupt"

    def test_the_error_of_the_source_is_the_error_of_opening(self, sealer, pair):
        identity, recipient = pair
        sealed = b"".join(sealer.seal([b"x" * MIB], [recipient]))

        def failing():
            yield sealed[:500_000]
            raise SourceFailed

        with pytest.raises(SourceFailed):
            list(sealer.open(failing(), identity))

    def test_closing_early_ends_the_work_and_its_source(self, sealer, pair):
        _, recipient = pair
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
        assert not [thread for thread in threading.enumerate() if thread.name == "filter feeder"]

    def test_several_work_side_by_side(self, sealer, pair):
        identity, recipient = pair
        plains = [os.urandom(300_000) for _ in range(6)]

        def there_and_back(plain):
            return b"".join(sealer.open(sealer.seal([plain], [recipient]), identity))

        with ThreadPoolExecutor(6) as threads:
            assert list(threads.map(there_and_back, plains)) == plains

    def test_a_typing_error_in_a_recipient_is_refused(self, sealer, pair):
        _, recipient = pair
        for wrong in (*self.mistyped(recipient), "--output=/tmp/x", ""):
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
