"""``encryption.sealing``: recipients, public keys and identities of the kind that it takes."""

import pytest

from tests.stack.files import RECIPIENT, load, mistakes_in
from understudy.vocabulary.sealing import Sealing

FINGERPRINT = "8EA4209998978C3B7B167A332F495A4404F5EA06"
PUBLIC_KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEZ0d\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----"
SECRET_KEY = PUBLIC_KEY.replace("PUBLIC", "PRIVATE")


def stack_with(encryption):
    return f"""\
stack: shop
repositories: {{near: {{url: file:///srv/near}}}}
encryption:
{encryption}
resources: {{orders: {{kind: postgres, url: env:ORDERS}}}}
"""


def sealed_with_gpg(recipient=FINGERPRINT, public_keys="public_keys: [file:/etc/understudy/keys.asc]"):
    return stack_with(f"  sealing: gpg\n  recipients: [{recipient}]\n  {public_keys}")


def test_without_a_word_everything_is_sealed_with_age():
    assert load(stack_with(f"  recipients: [{RECIPIENT}]")).encryption.sealing is Sealing.AGE


def test_with_gpg_recipients_are_fingerprints_and_their_public_keys_stand_in_the_file_or_in_another():
    indented = "\n".join(f"      {line}" for line in PUBLIC_KEY.splitlines())
    public_keys = f"public_keys:\n    - file:/etc/understudy/kit.asc\n    - |\n{indented}"
    encryption = load(sealed_with_gpg(FINGERPRINT.lower(), public_keys)).encryption
    assert encryption.sealing is Sealing.GPG
    assert encryption.recipients == (FINGERPRINT,)
    assert [str(each) for each in encryption.public_keys] == ["file:/etc/understudy/kit.asc", PUBLIC_KEY]


@pytest.mark.parametrize(
    ("text", "line", "path", "expected"),
    [
        (stack_with(f"  sealing: pgp\n  recipients: [{RECIPIENT}]"), 4, "encryption.sealing", "age or gpg"),
        (stack_with(f"  recipients: [{FINGERPRINT}]"), 4, "encryption.recipients[0]", "because sealing is age"),
        (sealed_with_gpg(RECIPIENT), 5, "encryption.recipients[0]", "because sealing is gpg"),
        (sealed_with_gpg(FINGERPRINT[:-1]), 5, "encryption.recipients[0]", "40 hexadecimal digits"),
        (sealed_with_gpg(public_keys="signers: []"), 4, "encryption.sealing", "public_keys beside it"),
        (
            stack_with(f"  recipients: [{RECIPIENT}]\n  public_keys: [file:/x]"),
            5,
            "encryption.public_keys",
            "only beside sealing: gpg",
        ),
        (sealed_with_gpg(public_keys="public_keys: [keys.asc]"), 6, "encryption.public_keys[0]", "BEGIN PGP PUBLIC KEY BLOCK"),
    ],
)
def test_keys_of_the_other_kind_are_mistakes_with_their_place(text, line, path, expected):
    (mistake,) = mistakes_in(text)
    assert (mistake.line, mistake.path) == (line, path)
    assert expected in mistake.expected


def test_keys_of_the_other_kind_are_told_beside_other_mistakes():
    text = stack_with(f"  recipients: [{FINGERPRINT}]").replace("kind: postgres", "kind: postgres, colour: red")
    assert {each.path for each in mistakes_in(text)} == {"encryption.recipients[0]", "resources.orders.colour"}


def test_a_secret_key_among_the_public_ones_is_refused_and_not_repeated():
    secret = "\n".join(f"      {line}" for line in SECRET_KEY.splitlines())
    (mistake,) = mistakes_in(sealed_with_gpg(public_keys=f"public_keys:\n    - |\n{secret}"))
    assert mistake.path == "encryption.public_keys[0]"
    assert "mDMEZ0d" not in str(mistake) and "PRIVATE" not in str(mistake)
