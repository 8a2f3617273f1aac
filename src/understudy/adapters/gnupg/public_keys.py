"""Recipients are looked at before anything is sealed to them: nobody could open what is sealed to a key that nobody has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from understudy.vocabulary.errors import GiveUp

_FINGERPRINT = re.compile(r"[0-9A-F]{40}", re.ASCII)
_UNUSABLE = ("i", "d", "r", "e", "n")
_REASONS = {"i": "is invalid", "d": "is disabled", "r": "is revoked", "n": "is not valid"}


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A primary key with what its listing says of it as a whole."""

    fingerprint: str
    validity: str
    expires: str
    """Seconds since 1970, or empty."""
    capabilities: str
    """Capital letters are those of the key with its usable subkeys."""
    encryption_ends: tuple[str, ...] = ()
    """Likewise, of each of its keys for encryption that is usable now."""

    @property
    def fault(self) -> str | None:
        """Why nothing can be sealed to it; None where it can."""
        if self.validity == "e":
            when = f" on {datetime.fromtimestamp(int(self.expires), UTC):%Y-%m-%d}" if self.expires.isdigit() else ""
            return f"{self.fingerprint} has expired{when}"
        if self.validity in _REASONS:
            return f"{self.fingerprint} {_REASONS[self.validity]}"
        if "E" not in self.capabilities:
            return f"{self.fingerprint} has no key for encryption that is usable now, only for other uses"
        return None

    @property
    def usable_until(self) -> datetime | None:
        """When nothing can be sealed to it any more; None: no such day is set."""
        last = None if "" in self.encryption_ends else max(map(int, self.encryption_ends), default=None)
        ends = [int(self.expires) if self.expires else None, last]
        first = min((end for end in ends if end is not None), default=None)
        return None if first is None else datetime.fromtimestamp(first, UTC)


def public_keys(records: Iterable[Sequence[str]]) -> Iterator[PublicKey]:
    """From a listing with colons."""
    found: list[list[Sequence[str]]] = []
    for record in records:
        if record[0] == "pub":
            found.append([])
        if found and record[0] in ("pub", "sub", "fpr"):
            found[-1].append(record)
    for primary, named, *others in found:
        usable = [each for each in (primary, *others) if each[0] != "fpr" and each[1] not in _UNUSABLE]
        ends = tuple(each[6] for each in usable if "e" in each[11])
        yield PublicKey(named[9], primary[1], primary[6], primary[11], ends)


def checked_fingerprints(recipients: Sequence[str]) -> Sequence[str]:
    """
    Raises:
        GiveUp: ``recipient_malformed``, ``recipient_missing``.
    """
    if not recipients:
        raise GiveUp("recipient_missing", found="no recipient", expected="at least one fingerprint of an OpenPGP key",
                     hint="name it in the stack file under encryption: recipients")  # fmt: skip
    for recipient in recipients:
        if not _FINGERPRINT.fullmatch(recipient):
            raise GiveUp(
                "recipient_malformed",
                found=repr(recipient),
                expected="the fingerprint of an OpenPGP key: 40 hexadecimal digits",
                hint="gpg --show-keys FILE prints it; correct it in the stack file under encryption: recipients",
            )
    return recipients


def unusable(recipients: Sequence[str], keys: Iterable[PublicKey]) -> GiveUp | None:
    """What is wrong with them, all at once."""
    known = {key.fingerprint: key for key in keys}
    faults = [known[each].fault for each in recipients if each in known]
    faults += [f"{each} is none of the keys in encryption.public_keys" for each in recipients if each not in known]
    told = "; ".join(fault for fault in faults if fault is not None)
    if not told:
        return None
    return GiveUp(
        "recipient_unusable",
        found=told,
        expected="for each recipient its public key in the stack file, with a part for encryption, neither expired nor revoked",
        hint="export the key anew, into encryption.public_keys: gpg --armor --export FINGERPRINT. An expired one is prolonged "
        "before that, where its secret key is: gpg --quick-set-expire FINGERPRINT 2y, and again with '*' at its end; one that is "
        "revoked is replaced by another",
    )
