"""Keys for one test module: an identity and a signer of its own."""

from tests.openpgp_keys import openpgp_key
from understudy.adapters.age import new_identity
from understudy.adapters.gnupg import GnupgProgram
from understudy.ports.world import Keys
from understudy.repository.signing import Signer, new_signing_key


def fresh_keys():
    return keys_around(*new_identity())


def gpg_keys():
    """And the sealer that knows their public halves."""
    key = openpgp_key("host")
    return keys_around(key.secret, key.fingerprint), GnupgProgram(lambda: [key.public])


def keys_around(identity, recipient):
    signing_key = new_signing_key()
    return Keys((recipient,), identity, signing_key, frozenset({Signer(signing_key).public_key}))
