"""Signatures: who wrote a document, and that nothing changed since."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.repository.signing import Signer, new_signing_key, parse_json, read_document, verify
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.secret import Secret

SIGNER = Signer(new_signing_key())
DOCUMENT = {"document": "test", "text": "grüße", "list": [1, None, True], "deep": {"b": 1, "a": "2"}}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


def code_of(call):
    with pytest.raises(GiveUp) as refused:
        call()
    assert refused.value.hint
    return refused.value.code


@given(st.dictionaries(st.text(max_size=5), json_values, max_size=4))
def test_what_was_signed_verifies_after_storage(document):
    stored = SIGNER.seal_document(document)
    assert read_document(stored, {SIGNER.public_key}) == document


def test_the_same_document_gives_the_same_bytes():
    assert SIGNER.seal_document(DOCUMENT) == SIGNER.seal_document(dict(reversed(DOCUMENT.items())))


def test_one_changed_byte_anywhere_is_noticed():
    stored = SIGNER.seal_document(DOCUMENT)
    for at in range(len(stored) - 1):
        changed = bytearray(stored)
        changed[at] ^= 1
        assert code_of(lambda changed=changed: read_document(bytes(changed), {SIGNER.public_key})) in {
            "signature_wrong",
            "signature_missing",
            "signature_untrusted",
            "document_malformed",
        }


def test_an_unknown_signer_is_not_trusted():
    envelope = SIGNER.sign(DOCUMENT)
    assert code_of(lambda: verify(envelope, {Signer(new_signing_key()).public_key})) == "signature_untrusted"
    assert code_of(lambda: verify(envelope, set())) == "signature_untrusted"


def test_naming_a_trusted_signer_is_not_signing():
    forged = dict(Signer(new_signing_key()).sign(DOCUMENT))
    forged["signature"] = {**forged["signature"], "signer": SIGNER.public_key}
    assert code_of(lambda: verify(forged, {SIGNER.public_key})) == "signature_wrong"


def test_a_document_without_signature_is_refused():
    for envelope in (DOCUMENT, {"signed": DOCUMENT}, {"signed": DOCUMENT, "signature": {}}, {"signed": 1, "signature": {}}):
        assert code_of(lambda envelope=envelope: verify(envelope, {SIGNER.public_key})) == "signature_missing"


@pytest.mark.parametrize("stored", [b"", b"[]", b"{", b'{"a":1,"a":2}', b'{"a":NaN}', b"\xff\xfe", b"[" * 100_000, b'{"a":1}x'])
def test_what_is_no_strict_json_object_is_refused(stored):
    assert code_of(lambda: parse_json(stored)) == "document_malformed"


def test_a_key_restored_from_its_text_is_the_same_signer():
    key = new_signing_key()
    assert Signer(key).public_key == Signer(Secret(f" {key.reveal()}\n")).public_key


@pytest.mark.parametrize("text", ["", "hello", "AAAA", "ü"])
def test_what_is_no_key_is_refused(text):
    assert code_of(lambda: Signer(Secret(text))) == "signing_key_malformed"


def test_an_envelope_is_readable_json_for_people():
    assert set(json.loads(SIGNER.seal_document(DOCUMENT))) == {"signed", "signature"}
