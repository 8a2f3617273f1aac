"""Keys for one test module: an age identity and a signer of its own."""

from understudy.adapters.age import new_identity
from understudy.ports.world import Keys
from understudy.repository.signing import Signer, new_signing_key


def fresh_keys():
    identity, recipient = new_identity()
    signing_key = new_signing_key()
    return Keys((recipient,), identity, signing_key, frozenset({Signer(signing_key).public_key}))
