"""Which adapter stands behind the sealing that the stack file names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from understudy.adapters.age.choice import choose_sealer
from understudy.adapters.gnupg import GnupgProgram
from understudy.ports.sealer import Sealer
from understudy.stack.models import EncryptionSettings
from understudy.stack.secrets import resolve_text
from understudy.vocabulary.sealing import Sealing


def expiries(sealer: Sealer, recipients: Sequence[str]) -> Mapping[str, datetime]:
    """Of those recipients that nothing can be sealed to from some day on, that day. Keys of age have none."""
    return sealer.expiries(recipients) if isinstance(sealer, GnupgProgram) else {}


def sealer_for(encryption: EncryptionSettings) -> Sealer:
    """Nothing is read until it is needed."""
    if encryption.sealing is Sealing.AGE:
        return choose_sealer()

    def public_keys() -> Sequence[str]:
        """Raises as ``resolve`` does."""
        return [resolve_text(each).reveal() for each in encryption.public_keys]

    return GnupgProgram(public_keys)
