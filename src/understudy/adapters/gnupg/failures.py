"""What ``gpg`` says, as errors. Source: doc/DETAILS of GnuPG, "Format of the --status-fd output"."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from understudy.vocabulary.errors import GiveUp, TryAgain, UnderstudyError

_OF_THE_AGENT = re.compile(r"agent|Cannot allocate memory|End of file|IPC", re.IGNORECASE)


def status_lines(words: str) -> Iterator[Sequence[str]]:
    """The keyword of each, and what follows it."""
    for line in words.splitlines():
        if line.startswith("[GNUPG:] "):
            yield line.split()[1:]


def sealed_to(words: str) -> tuple[str, ...]:
    """The ids of the keys that a message names as those that open it."""
    return tuple(line[1] for line in status_lines(words) if line[0] == "ENC_TO" and len(line) > 1)


def opening_failure(status: int, words: str, own_keys: Collection[str]) -> UnderstudyError | None:
    """None where the message was whole, sealed, and is as it was sealed.

    The exit status does not say so: it is 0 for a message that was cut off early, and for one that was never sealed at all.

    Args:
        own_keys: Ids of the keys that the identity holds.
    """
    said = [line[0] for line in status_lines(words) if line]
    if status == 0 and "DECRYPTION_OKAY" in said and "GOODMDC" in said and said.count("PLAINTEXT") == 1:
        return None
    if status < 0:
        return sealer_failed(status, words)
    named = sealed_to(words)
    if "DECRYPTION_KEY" not in said and named:
        # Before that, a name may be cut off.
        if not set(named) & set(own_keys) and "BEGIN_DECRYPTION" in said:
            return wrong_key()
        if _OF_THE_AGENT.search(_spoken(words)):
            return TryAgain(
                "sealer_killed", found=f"gpg could not use the secret key: {_spoken(words)}", expected="an agent that answers",
                hint="is the machine out of memory? see dmesg",
            )  # fmt: skip
    return sealed_corrupt(_spoken(words).partition("\n")[0])


def wrong_key() -> GiveUp:
    return GiveUp(
        "wrong_key",
        found="the secret key opens none of the keys that this was sealed to",
        expected="the secret key whose fingerprint stood in the stack file when it was written",
        hint="the recipients are in repository.json; gpg --show-keys IDENTITY shows the fingerprint of the key at hand",
    )


def sealed_corrupt(found: str) -> GiveUp:
    return GiveUp(
        "sealed_corrupt",
        found=found or "sealed bytes that cannot be authenticated",
        expected="an encrypted OpenPGP message, whole and unchanged",
        hint="this copy is damaged: use another repository, or an older backup",
    )


def sealer_failed(status: int, words: str) -> UnderstudyError:
    """The process ended in a way that says nothing of the data; killed by a signal it may do better next time."""
    how = f"signal {-status}" if status < 0 else f"exit status {status}"
    found = f"the gpg process ended with {how}: {_spoken(words) or 'no message'}"
    if status < 0:
        return TryAgain("sealer_killed", found=found, expected="exit status 0", hint="is the machine out of memory? see dmesg")
    return GiveUp(
        "sealer_failed",
        found=found,
        expected="exit status 0",
        hint="check encryption.recipients and public_keys: understudy check",
    )


def identity_malformed(found: str) -> GiveUp:
    return GiveUp(
        "identity_malformed",
        found=found,
        expected="armored OpenPGP secret keys, each from -----BEGIN PGP PRIVATE KEY BLOCK----- to its END line",
        hint="export it again: gpg --armor --export-secret-keys FINGERPRINT",
    )


def identity_protected() -> GiveUp:
    return GiveUp(
        "identity_protected",
        found="a secret key that is protected by a passphrase, which nobody can enter here",
        expected="a secret key without one, in a file that only its owner reads",
        hint="in the keyring that it comes from: gpg --edit-key FINGERPRINT passwd, leave the new passphrase empty, and export "
        "it again: gpg --armor --export-secret-keys FINGERPRINT",
    )


def _spoken(words: str) -> str:
    """Without status lines."""
    return "\n".join(line for line in words.splitlines() if not line.startswith("[GNUPG:] "))
