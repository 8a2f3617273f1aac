"""Who wrote a document: Ed25519 signatures over its canonical JSON.

Sealing says nothing of the writer, so every document that a restore trusts (manifests, WAL sidecars, the repository's own
description, epochs) is an envelope ``{"signed": {…}, "signature": {"signer": …, "ed25519": …}}``, keys and signatures in
base64. The signature covers a domain, a zero byte, and the canonical JSON of ``signed``.

``signed`` names its kind under ``document``, so that a document of one kind never passes for another; and it repeats what its key
says (resource, label, segment), so that one moved to another key is found out.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Collection, Mapping
from typing import cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from understudy.ports.world import Keys
from understudy.vocabulary.canonical import SIGNING_DOMAIN, canonical_json, signing_bytes
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.json import Json, JsonObject
from understudy.vocabulary.secret import Secret

_KIT_HINT = "compare the signers in the stack file with the recovery kit; if they are right, somebody else wrote this document"


class Signer:
    """Signs documents with one private key."""

    def __init__(self, private_key: Secret) -> None:
        """``private_key``: 32 bytes in base64.

        Raises:
            GiveUp: ``signing_key_malformed``.
        """
        try:
            raw = base64.b64decode(private_key.reveal().strip(), validate=True)
            self._key = Ed25519PrivateKey.from_private_bytes(raw)
        except (binascii.Error, ValueError):
            raise GiveUp(
                "signing_key_malformed",
                found="a signing key that is not one",
                expected="32 bytes in base64 (44 characters)",
                hint="copy the signing key from the recovery kit again, whole and without quotes",
            ) from None

    @classmethod
    def of(cls, keys: Keys) -> Signer:
        """The signer that this controller has.

        Raises:
            GiveUp: ``signing_key_missing``.
        """
        if keys.signing_key is None:
            raise GiveUp(
                "signing_key_missing",
                found="no signing key here",
                expected="the key whose public half the stack file names as a signer",
                hint="it is in the state directory of the controller, and in the recovery kit",
            )
        return cls(keys.signing_key)

    @property
    def public_key(self) -> str:
        return base64.b64encode(self._key.public_key().public_bytes_raw()).decode()

    def sign(self, document: JsonObject) -> JsonObject:
        """The envelope around ``document``."""
        signature = self._key.sign(signing_bytes(SIGNING_DOMAIN, document))
        return {
            "signed": document,
            "signature": {"signer": self.public_key, "ed25519": base64.b64encode(signature).decode()},
        }

    def seal_document(self, document: JsonObject) -> bytes:
        """The signed envelope as it is stored: canonical JSON and a line end. The same document gives the same bytes."""
        return canonical_json(self.sign(document)) + b"\n"


def new_signing_key() -> Secret:
    """A fresh private key, as ``Signer`` takes it."""
    return Secret(base64.b64encode(Ed25519PrivateKey.generate().private_bytes_raw()).decode())


def verify(envelope: JsonObject, trusted: Collection[str]) -> JsonObject:
    """The document inside, once a trusted signer's signature fits.

    Raises:
        GiveUp: ``signature_missing``, ``signature_untrusted`` (signed, by nobody we know), ``signature_wrong`` (changed since).
    """
    document, signature = envelope.get("signed"), envelope.get("signature")
    if not isinstance(document, Mapping) or not isinstance(signature, Mapping):
        raise _missing("a document without a signature")
    signer, value = signature.get("signer"), signature.get("ed25519")
    if not isinstance(signer, str) or not isinstance(value, str):
        raise _missing("a signature without signer or value")
    if signer not in trusted:
        raise GiveUp(
            "signature_untrusted",
            found=f"a document signed by {signer}",
            expected=f"one of {', '.join(sorted(trusted)) or 'no signer at all: none is trusted'}",
            hint=_KIT_HINT,
        )
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(signer, validate=True))
        key.verify(base64.b64decode(value, validate=True), signing_bytes(SIGNING_DOMAIN, document))
    except (InvalidSignature, ValueError):
        raise GiveUp(
            "signature_wrong",
            found=f"a document that {signer} did not sign in this form",
            expected="a document unchanged since it was signed",
            hint="it was changed or damaged in the store; use another copy of the repository",
        ) from None
    return document


def read_document(stored: bytes, trusted: Collection[str]) -> JsonObject:
    """Parse and verify what ``Signer.seal_document`` made.

    Raises:
        GiveUp: ``document_malformed``, and as ``verify`` does.
    """
    return verify(parse_json(stored), trusted)


def parse_json(stored: bytes) -> JsonObject:
    """Strict JSON: an object, UTF-8, no name twice, no NaN.

    Raises:
        GiveUp: ``document_malformed``.
    """
    try:
        value = _STRICT.decode(stored.decode())
    except (ValueError, RecursionError) as error:
        raise malformed(str(error)) from None
    if not isinstance(value, dict):
        raise malformed(f"a JSON {type(value).__name__}")
    return cast(JsonObject, value)


def malformed(found: str, expected: str = "a JSON document of this product") -> GiveUp:
    """The error for a document that cannot be what it claims."""
    return GiveUp(
        "document_malformed",
        found=found,
        expected=expected,
        hint="it was changed or damaged in the store; use another copy of the repository",
    )


def _missing(found: str) -> GiveUp:
    return GiveUp("signature_missing", found=found, expected="an envelope with signed and signature", hint=_KIT_HINT)


def _names_once(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("one name stands twice in an object")
    return value


def _no_constant(name: str) -> Json:
    raise ValueError(f"{name} is not JSON")


_STRICT = json.JSONDecoder(object_pairs_hook=_names_once, parse_constant=_no_constant)
