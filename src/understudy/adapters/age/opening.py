"""The errors of opening, the same for both ways."""

from __future__ import annotations

from understudy.vocabulary.errors import GiveUp, TryAgain, UnderstudyError


def wrong_key() -> GiveUp:
    return GiveUp(
        "wrong_key",
        found="the identity opens none of the recipients that this was sealed to",
        expected="the identity whose recipient stood in the stack file when it was written",
        hint="the recipients are in repository.json; age-keygen -y IDENTITY shows the recipient of the identity at hand",
    )


def sealed_corrupt(found: str) -> GiveUp:
    return GiveUp(
        "sealed_corrupt",
        found=found or "sealed bytes that cannot be authenticated",
        expected="an age file, whole and unchanged",
        hint="this copy is damaged: use another repository, or an older backup",
    )


def sealer_failed(status: int, words: str) -> UnderstudyError:
    """The process ended in a way that says nothing of the data; killed by a signal it may do better next time."""
    how = f"signal {-status}" if status < 0 else f"exit status {status}"
    found = f"the age process ended with {how}: {words or 'no message'}"
    if status < 0:
        return TryAgain("sealer_killed", found=found, expected="exit status 0", hint="is the machine out of memory? see dmesg")
    return GiveUp("sealer_failed", found=found, expected="exit status 0", hint="check the recipients in the stack file")
