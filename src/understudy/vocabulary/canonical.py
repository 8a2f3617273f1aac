"""One byte form for each JSON value, so that digests and signatures of it can be compared anywhere.

Sorted keys, no blanks, UTF-8, no NaN: a subset of RFC 8785 (JSON Canonicalization Scheme) for values without fractions that
differ between printers. What is signed begins with a domain, so that a signature for one purpose never fits another.
"""

from __future__ import annotations

import hashlib
import json

from understudy.vocabulary.json import JsonObject

SIGNING_DOMAIN = "understudy/repository/1"
"""Of every document that this product signs; ``document`` inside names the kind, so that none passes for another."""


def canonical_json(value: JsonObject) -> bytes:
    """The value's only byte form.

    Raises:
        ValueError: it holds NaN or an infinity. TypeError: it holds something that JSON has no form for.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def signing_bytes(domain: str, value: JsonObject) -> bytes:
    """What an Ed25519 signature over ``value`` covers: the domain, a zero byte, the canonical form."""
    return domain.encode() + b"\x00" + canonical_json(value)


def sha256_of(value: JsonObject) -> str:
    """SHA-256 of the canonical form, hexadecimal."""
    return hashlib.sha256(canonical_json(value)).hexdigest()
