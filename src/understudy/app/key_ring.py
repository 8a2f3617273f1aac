"""The keys that this installation holds, from the stack file's references; a signing key is made where none is named."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from understudy.ports.world import Keys
from understudy.records.receipts import sync_directory
from understudy.records.state_database import state_unwritable
from understudy.repository.signing import Signer, new_signing_key
from understudy.stack.models import EncryptionSettings
from understudy.stack.secrets import resolve
from understudy.vocabulary.errors import GiveUp, Refusal
from understudy.vocabulary.secret import Secret

_OWN_KEY = "signing.key"


@dataclass(frozen=True, slots=True)
class KeyRing:
    keys: Keys
    evidence_signer: Signer

    @classmethod
    def of(cls, encryption: EncryptionSettings, state: Path) -> KeyRing:
        """
        Raises:
            GiveUp: ``secret_missing``, ``signing_key_malformed``.
        """
        signing_key = resolve(encryption.signing_key) if encryption.signing_key else own_signing_key(state)
        signer = Signer(signing_key)
        return cls(
            Keys(
                recipients=encryption.recipients,
                identity=resolve(encryption.identity) if encryption.identity else None,
                signing_key=signing_key,
                trusted_signers=frozenset(encryption.signers) | {signer.public_key},
            ),
            signer,
        )

    def require_believed(self, encryption: EncryptionSettings, *, own_key_will_do: bool = False) -> None:
        """Before anything is signed: who reads it with this stack file, but without this state directory, must believe it.

        ``own_key_will_do``: the state directory's own key signs also where others are named. What stays on this host (a restore
        by the recovery kit, which leaves the signing key out) is believed here.

        Raises:
            Refusal: ``signer_not_named``.
        """
        signer = self.evidence_signer.public_key
        if not encryption.signers or signer in encryption.signers or (own_key_will_do and encryption.signing_key is None):
            return
        raise Refusal(
            "signer_not_named",
            found=f"{signer} signs here{_origin(encryption)}, and it is not among encryption.signers",
            expected=f"a key of one of them ({', '.join(encryption.signers)}): nobody would believe what any other writes",
            hint="is it the right key? Then in the stack file, below encryption.signers: "
            f"- {signer}; otherwise name the right one: encryption.signing_key (understudy check compares them)",
        )


def _origin(encryption: EncryptionSettings) -> str:
    return f" ({encryption.signing_key})" if encryption.signing_key else " (the state directory's own key)"


def trusted_signers(encryption: EncryptionSettings, state: Path) -> frozenset[str]:
    """As far as they are known here; nothing is made, so that looking needs no key."""
    try:
        own = resolve(encryption.signing_key) if encryption.signing_key else existing_own_key(state)
    except GiveUp:
        own = None
    return frozenset(encryption.signers) | ({Signer(own).public_key} if own else frozenset())


def existing_own_key(state: Path) -> Secret | None:
    """The state directory's own key; None before its first use, or where it is another user's."""
    path = state / _OWN_KEY
    return Secret(path.read_text().strip()) if os.access(path, os.R_OK) else None


def own_signing_key(state: Path) -> Secret:
    """The state directory's own key, made on first use (mode 0600); two processes that make it at once end up with one.

    Raises:
        GiveUp: ``state_unwritable``.
    """
    path = state / _OWN_KEY
    if not path.exists():
        aside = path.with_suffix(f".{os.getpid()}")
        try:
            write_secret(aside, new_signing_key())
        except OSError as error:
            raise state_unwritable(f"{error.filename}: {error.strerror}") from error
        with contextlib.suppress(FileExistsError):
            os.link(aside, path)
        aside.unlink()
        sync_directory(state)
    return Secret(path.read_text().strip())


def write_secret(path: Path, secret: Secret) -> None:
    """A new file of mode 0600, durable when it returns.

    Raises:
        FileExistsError: nothing is overwritten. OSError: it cannot be written; nothing is left then.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secret.reveal().rstrip("\n") + "\n")
            file.flush()
            os.fsync(file.fileno())
        sync_directory(path.parent)
    except OSError:
        path.unlink()
        raise
