"""Recipients are checked before anything is sealed to them: nobody could open what a typing error sealed."""

from __future__ import annotations

from collections.abc import Sequence

import pyrage

from understudy.vocabulary.errors import GiveUp


def checked_recipients(recipients: Sequence[str]) -> Sequence[str]:
    """The recipients, as they came.

    Raises:
        GiveUp: ``recipient_malformed``, ``recipient_missing``.
    """
    if not recipients:
        raise GiveUp("recipient_missing", found="no recipient", expected="at least one age recipient (age1…)",
                     hint="name it in the stack file under encryption: recipients")  # fmt: skip
    for recipient in recipients:
        try:
            pyrage.x25519.Recipient.from_str(recipient)
        except pyrage.RecipientError as error:
            raise GiveUp(
                "recipient_malformed",
                found=f"{recipient!r}: {error}",
                expected="an age recipient: age1 and 58 more characters",
                hint="age-keygen -y IDENTITY prints it; correct it in the stack file under encryption: recipients",
            ) from None
    return recipients
