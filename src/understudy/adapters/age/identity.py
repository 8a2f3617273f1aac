"""age identities: the private key for the safe, and the recipient that everybody may know."""

from __future__ import annotations

import pyrage

from understudy.adapters.age.opening import wrong_key
from understudy.ports.sealer import Sealer
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.secret import Secret


def new_identity() -> tuple[Secret, str]:
    """A fresh identity (``AGE-SECRET-KEY-1…``) and its recipient (``age1…``)."""
    identity = pyrage.x25519.Identity.generate()
    return Secret(str(identity)), str(identity.to_public())


def identity_lines(identity: Secret) -> list[str]:
    """The keys of an identity file: its lines without comments and blank ones."""
    lines = (line.strip() for line in identity.reveal().splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def recipient_of(identity: Secret) -> str:
    """The recipient of the first key in an identity.

    Raises:
        GiveUp: ``identity_malformed``.
    """
    try:
        return str(pyrage.x25519.Identity.from_str(identity_lines(identity)[0]).to_public())
    except (IndexError, pyrage.IdentityError):
        raise identity_malformed() from None


def opened_by(sealer: Sealer, head: bytes, identity: Secret) -> str:
    """As ``Sealer.opened_by``: each key is tried alone, because age does not say which of them it was."""
    keys = [Secret(line) for line in identity_lines(identity)]
    if not keys:
        raise identity_malformed()
    for key in keys:
        try:
            for _ in sealer.open([head], key):
                break
        except GiveUp as error:
            if error.code == "wrong_key":
                continue
            if error.code != "sealed_corrupt":  # the head alone may be cut off; that it got so far says enough
                raise
        return recipient_of(key)
    raise wrong_key()


def identity_malformed() -> GiveUp:
    return GiveUp(
        "identity_malformed",
        found="an age identity that cannot be read",
        expected="a line that begins with AGE-SECRET-KEY-1",
        hint="copy the identity from the recovery kit again, whole and without quotes",
    )
