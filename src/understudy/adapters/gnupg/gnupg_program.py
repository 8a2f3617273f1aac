"""The ``gpg`` program as a sealer."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from understudy.adapters.filtering.filter_process import filter_through
from understudy.adapters.gnupg.failures import (
    identity_malformed,
    identity_protected,
    opening_failure,
    sealed_corrupt,
    sealed_to,
    sealer_failed,
    wrong_key,
)
from understudy.adapters.gnupg.home import Home, english_environment
from understudy.adapters.gnupg.public_keys import checked_fingerprints, public_keys, unusable
from understudy.vocabulary.errors import GiveUp, UnderstudyError
from understudy.vocabulary.sealing import Sealing
from understudy.vocabulary.secret import Secret

_ARMOR_BEGINS = "-----BEGIN PGP PRIVATE KEY BLOCK-----"


class GnupgProgram:
    """Seals and opens with ``gpg``: OpenPGP, AES-256, not compressed, with an authenticated end. Source: gpg(1).

    Recipients are fingerprints of primary keys; an identity is armored secret keys without passphrases.
    """

    sealing = Sealing.GPG

    def __init__(self, keys: Callable[[], Sequence[str]], program: str = "gpg") -> None:
        """
        Args:
            keys: Reads the public keys of the recipients, armored; asked when first something is sealed.
        """
        self._keys = keys
        self._program = program
        self._making = threading.Lock()
        self._sealing_home: Home | None = None
        self._found_usable: set[str] = set()
        self._opening: tuple[Secret, _Opening] | None = None

    def seal(self, chunks: Iterable[bytes], recipients: Sequence[str]) -> Iterator[bytes]:
        home = self._home_for(checked_fingerprints(recipients))
        arguments = ["--no-autostart", "--cipher-algo", "AES256", "--compress-algo", "none", "--no-encrypt-to"]
        for recipient in recipients:
            arguments += ["--recipient", recipient]
        command = home.command(*arguments, "--encrypt")

        def failure(status: int, words: str) -> UnderstudyError:
            # A key may have expired since it was looked at. One that is prolonged meanwhile is read anew.
            fault = unusable(recipients, public_keys(home.listed("--no-autostart", "--list-keys")))
            if fault is None:
                return sealer_failed(status, words)
            home.close()
            return fault

        return filter_through(lambda _: command, chunks, failure, environment=english_environment())

    def open(self, chunks: Iterable[bytes], identity: Secret) -> Iterator[bytes]:
        opening = self._opening_with(identity)

        def failure(status: int, words: str) -> UnderstudyError:
            return opening_failure(status, words, opening.keys) or sealer_failed(status, words)

        command = opening.home.command("--decrypt")
        return filter_through(
            lambda _: command,
            chunks,
            failure,
            verdict_on=lambda words: opening_failure(0, words, opening.keys),
            environment=english_environment(),
        )

    def opened_by(self, head: bytes, identity: Secret) -> str:
        opening = self._opening_with(identity)
        named = sealed_to(opening.home.run("--list-only", "--decrypt", given=head).stderr.decode(errors="replace"))
        if not named:
            raise sealed_corrupt("no OpenPGP message")
        found = next((opening.keys[each] for each in named if each in opening.keys), None)
        if found is None:
            raise wrong_key()
        return found

    def expiries(self, recipients: Sequence[str]) -> Mapping[str, datetime]:
        """From when on nothing can be sealed to them any more; those alone for which there is such a day. Raises as ``seal``."""
        home = self._home_for(checked_fingerprints(recipients))
        keys = {key.fingerprint: key for key in public_keys(home.listed("--no-autostart", "--list-keys"))}
        ends = {each: keys[each].usable_until for each in recipients}
        return {each: end for each, end in ends.items() if end is not None}

    def close(self) -> None:
        """Remove every keyring, and end the agents. What is sealed or opened afterwards makes new ones."""
        with self._making:
            for home in (self._sealing_home, self._opening[1].home if self._opening else None):
                if home is not None:
                    home.close()

    def _home_for(self, recipients: Sequence[str]) -> Home:
        program = self._found()
        with self._making:
            if self._sealing_home is None or not self._sealing_home.is_there:
                home = Home(program)
                for armored in self._keys():
                    home.run("--no-autostart", "--import", given=armored.encode())
                self._sealing_home, self._found_usable = home, set()
            if not self._found_usable.issuperset(recipients):
                fault = unusable(recipients, public_keys(self._sealing_home.listed("--no-autostart", "--list-keys")))
                if fault is not None:
                    self._sealing_home.close()  # a key that is prolonged meanwhile is read anew
                    raise fault
                self._found_usable.update(recipients)
            return self._sealing_home

    def _opening_with(self, identity: Secret) -> _Opening:
        """A home with this identity and nothing else."""
        program = self._found()
        with self._making:
            if self._opening is not None and self._opening[0] == identity and self._opening[1].home.is_there:
                return self._opening[1]
            opening = _Opening(program, identity)
            self._opening = (identity, opening)
            return opening

    def _found(self) -> str:
        found = shutil.which(self._program)
        if found is None:
            raise GiveUp(
                "sealer_missing",
                found=f"no program {self._program}",
                expected="GnuPG's gpg on the PATH: the stack file says encryption.sealing: gpg",
                hint="apt-get install gnupg",
            )
        return found


class _Opening:
    """A home with secret keys in it."""

    def __init__(self, program: str, identity: Secret) -> None:
        if _ARMOR_BEGINS not in identity.reveal():
            raise identity_malformed("no armored OpenPGP secret key where the identity is")
        self.home = Home(program)
        imported = self.home.run("--import", given=identity.reveal().encode())
        self.keys = dict(_keys_by_id(self.home.listed("--list-secret-keys")))
        """The fingerprint of the primary key, by the id of each of its keys."""
        if not self.keys:
            self.home.close()
            if imported.returncode < 0:
                raise sealer_failed(imported.returncode, imported.stderr.decode(errors="replace"))
            raise identity_malformed("an armored secret key that gpg cannot read")
        if self.home.holds_protected_keys():
            self.home.close()
            raise identity_protected()


def _keys_by_id(records: Iterable[Sequence[str]]) -> Iterator[tuple[str, str]]:
    ids: list[str] = []
    primary: str | None = None
    for record in records:
        if record[0] == "sec":
            ids, primary = [record[4]], None
        elif record[0] == "fpr" and primary is None:
            primary = record[9]
            yield from ((each, primary) for each in ids)
        elif record[0] == "ssb" and primary is not None:
            yield record[4], primary
