"""What ``adopt`` leaves on a host, in an order in which each file is there whole or not at all, and the stack file last."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from understudy.adapters.clock.system import SystemClock
from understudy.adapters.files.renaming import name_if_free
from understudy.app.initialising import CLAIM
from understudy.app.key_ring import own_signing_key, write_secret
from understudy.app.seen import SeenServer, keep_seen
from understudy.records.private_files import make_private_directory
from understudy.records.receipts import sync_directory
from understudy.records.records import Records
from understudy.records.state_database import state_unwritable
from understudy.repository.manifests import BackupManifest
from understudy.repository.signing import Signer
from understudy.vocabulary.errors import GiveUp, Refusal
from understudy.vocabulary.identifiers import ResourceName
from understudy.vocabulary.secret import Secret

_IDENTITY = "identity"
_OF_ANOTHER = frozenset({CLAIM, _IDENTITY, "signing.key", "state.db"})
_REPOSITORIES = "repositories"
_PUBLIC_MODE = 0o644


@dataclass(frozen=True, slots=True)
class AdoptedState:
    """One state directory, and the stack file that it is to belong to."""

    directory: Path
    stack_file: Path

    @property
    def identity(self) -> Path:
        return self.directory / _IDENTITY

    @property
    def signing_key(self) -> Path:
        return self.directory / "signing.key"

    def adopted_as(self, repository_id: str) -> str | None:
        """What the repository is called, where all of it is there already, of this repository; None where it is not."""
        if not self.stack_file.exists() or not self._claimed():
            return None
        return next((name for name, remembered in self._remembered().items() if remembered == repository_id), None)

    def controller(self) -> str | None:
        """This host's name among controllers; None before it ran for the first time."""
        if not (self.directory / "state.db").exists():
            return None
        with contextlib.closing(Records(self.directory, SystemClock())) as records:
            return records.controller_id()

    def require_free(self, repository_id: str) -> None:
        """Before anything is written. What an earlier try for the same stack file and repository left is gone on with.

        Raises:
            Refusal: ``already_there``, ``stack_in_use``.
            GiveUp: ``place_denied``, ``state_unwritable``.
        """
        if os.path.lexists(self.stack_file):
            raise Refusal(
                "already_there",
                found=f"{self.stack_file} is there already, and is not that of this repository's adoption",
                expected="a name that is free: a stack file is never overwritten",
                hint="name another one (--stack FILE), or move it away",
            )
        remembered = self._remembered()
        others = _OF_ANOTHER & _entries(self.directory)
        if (others and not self._claimed()) or (remembered and repository_id not in remembered.values()):
            raise Refusal(
                "stack_in_use",
                found=f"the state directory {self.directory} holds {', '.join(sorted(others))}, of another stack or repository"
                f"{f' ({self._claim()})' if self._claim() else ''}",
                expected="a directory that is empty or absent: what another stack remembers and signs with is not mixed in",
                hint="name another one (--state DIR), or move it away if it is that of an adoption of another repository",
            )
        if not os.access(self.stack_file.parent, os.W_OK | os.X_OK):
            raise _denied(f"{self.stack_file.parent} is not there, or may not be written to")
        above = next(each for each in (self.directory, *self.directory.parents) if os.path.lexists(each))
        if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
            raise state_unwritable(f"{above} is no directory, or may not be written to by the user that runs this")

    @contextlib.contextmanager
    def begun(self, repository: str, repository_id: str) -> Iterator[None]:
        """The directory, made and named after its stack file, and what is written in it by one process at a time.

        Raises:
            Refusal: ``busy``.
            GiveUp: ``state_unwritable``.
        """
        try:
            # As every state directory: others pass, because drills run below it as the server's user; each thing in it is closed.
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o711)
            descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _write_once(self.directory / CLAIM, Secret(str(self.stack_file)))
                make_private_directory(self.directory / _REPOSITORIES)
                _write_once(self.directory / _REPOSITORIES / repository, Secret(repository_id))
                yield
            finally:
                os.close(descriptor)
        except BlockingIOError:
            raise Refusal(
                "busy",
                found=f"another adopt writes in {self.directory}",
                expected="one at a time",
                hint="wait until it has ended, then look: understudy adopt with the same arguments",
            ) from None
        except OSError as error:
            raise state_unwritable(f"{error.filename}: {error.strerror}") from error

    def keep_identity(self, identity: Secret) -> None:
        """A copy of its own: the kit goes back into the safe, and restores and drills need the key from now on.

        Raises:
            Refusal: ``already_there``: another one is.
        """
        if not _write_once(self.identity, identity):
            raise Refusal(
                "already_there",
                found=f"{self.identity} holds another key than the kit's",
                expected="none, or the kit's: an earlier adopt with this kit",
                hint="move it away, or take the kit of the earlier adopt",
            )

    def make_signing_key(self) -> str:
        """A new one, once; its public half."""
        return Signer(own_signing_key(self.directory)).public_key

    def remember(self, resource: ResourceName, newest: BackupManifest) -> None:
        """What the lost host knew of the server: another cluster at its address is told from it."""
        seen = SeenServer(newest.system_identifier, newest.server_version_number, newest.segment_bytes)
        keep_seen(self.directory, resource, seen)

    def write_stack_file(self, text: str) -> None:
        """Last: with it the adoption is complete.

        Raises:
            Refusal: ``already_there``.
            GiveUp: ``place_denied``.
        """
        try:
            if not _write_once(self.stack_file, Secret(text), _PUBLIC_MODE):
                raise Refusal(
                    "already_there",
                    found=f"{self.stack_file} has come up meanwhile",
                    expected="a name that is free: a stack file is never overwritten",
                    hint="look whose it is, then name another one: --stack FILE",
                )
        except OSError as error:
            raise _denied(f"{error.filename}: {error.strerror}") from error

    def tidy(self) -> None:
        """Away with what a try that was killed left beside the stack file that it had written."""
        with contextlib.suppress(OSError):
            _aside(self.stack_file).unlink(missing_ok=True)

    def _claimed(self) -> bool:
        return self._claim() == str(self.stack_file)

    def _claim(self) -> str:
        path = self.directory / CLAIM
        return path.read_text().strip() if os.access(path, os.R_OK) else ""

    def _remembered(self) -> dict[str, str]:
        """The id of each repository that was used from here, by its name."""
        files = [self.directory / _REPOSITORIES / name for name in sorted(_entries(self.directory / _REPOSITORIES))]
        return {file.name: file.read_text().strip() for file in files if os.access(file, os.R_OK)}


def _write_once(path: Path, content: Secret, mode: int = 0o600) -> bool:
    """Aside, then under its name, where nothing is overwritten. Whether the file has this content now."""
    aside = _aside(path)
    aside.unlink(missing_ok=True)
    write_secret(aside, content)
    try:
        aside.chmod(mode)
        name_if_free(aside, path)
    except FileExistsError:
        return _holds(path, content)
    finally:
        aside.unlink(missing_ok=True)
        sync_directory(path.parent)
    return True


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.adopting")


def _holds(path: Path, content: Secret) -> bool:
    return Secret(path.read_text().rstrip("\n")) == content


def _entries(directory: Path) -> set[str]:
    """Nothing where we may not look: whoever writes there is told."""
    try:
        return {each.name for each in directory.iterdir() if not each.name.startswith(".")}
    except OSError:
        return set()


def _denied(found: str) -> GiveUp:
    return GiveUp(
        "place_denied",
        found=found,
        expected="a directory that exists and may be written to, for the stack file",
        hint="make it, or name another one: --stack FILE",
    )
