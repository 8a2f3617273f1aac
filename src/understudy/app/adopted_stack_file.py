"""The stored stack file, changed in as few places as a new host needs: its comments, and all else, stay as they were."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from understudy.stack.document import Path as StackPath
from understudy.stack.document import spell
from understudy.stack.edits import StackText
from understudy.stack.loader import LoadedStack, parse_stack
from understudy.stack.mistakes import StackFileInvalid
from understudy.stack.models import RepositorySettings, Stack
from understudy.vocabulary.errors import GiveUp

_OF_A_REPOSITORY = ("url", "endpoint", "region", "access_key", "secret_key")


@dataclass(frozen=True, slots=True)
class AdoptedKeys:
    """Of the new host."""

    identity: Path
    signing_key: Path
    signer: str
    """The public half of the signing key."""
    trusted: frozenset[str]
    """Whom the kit and the person name."""


@dataclass(frozen=True, slots=True)
class StackChange:
    """One place of the stored stack file that is another one here. Nothing in it is a secret."""

    key: str
    was: str
    """Empty where nothing stood there."""
    becomes: str


def adopted_stack_file(
    stored: LoadedStack, keys: AdoptedKeys, name: str, settings: RepositorySettings, state: Path | None
) -> tuple[LoadedStack, tuple[StackChange, ...]]:
    """
    Args:
        name: What it calls the repository that ``settings`` leads to now.
        state: The state directory, where a person names one.

    Raises:
        GiveUp: ``stack_file_not_edited``.
    """
    edit = _Edit(stored)
    encryption, declared = stored.stack.encryption, stored.stack.repositories[name]
    edit.put(("encryption", "identity"), encryption.identity, f"file:{keys.identity}")
    if encryption.signing_key is not None:
        edit.put(("encryption", "signing_key"), encryption.signing_key, f"file:{keys.signing_key}")
    for signer in (*(() if encryption.signers else sorted(keys.trusted)), keys.signer):
        if signer not in encryption.signers:
            edit.add(("encryption", "signers"), signer)
    edit.put_repository(name, declared, settings)
    if state is not None:
        edit.put(("state", "directory"), stored.stack.state.directory, str(state))
    return edit.checked(name, keys), tuple(edit.changes)


class _Edit:
    def __init__(self, stored: LoadedStack) -> None:
        self._stored = stored
        self._text = StackText(stored.content.decode("utf-8-sig"))
        self.changes: list[StackChange] = []

    def put(self, path: StackPath, was: object, becomes: str) -> None:
        present = "" if was is None else str(was)
        if present != becomes:
            self._text.put(path, becomes)
            self.changes.append(StackChange(spell(path), present, becomes))

    def add(self, path: StackPath, becomes: str) -> None:
        self._text.add(path, becomes)
        self.changes.append(StackChange(spell(path), "", becomes))

    def put_repository(self, name: str, declared: RepositorySettings, settings: RepositorySettings) -> None:
        """What the person left out stays; of a bucket that was copied into a directory, or the other way round, nothing does."""
        given = {key: str(value) for key in _OF_A_REPOSITORY if (value := getattr(settings, key)) is not None}
        path: StackPath = ("repositories", name)
        if declared.url.partition(":")[0] == settings.url.partition(":")[0]:
            for key, value in given.items():
                self.put((*path, key), getattr(declared, key), value)
        else:
            self._text.put_mapping(path, given)
            self.changes.append(StackChange(spell((*path, "url")), declared.url, settings.url))

    def checked(self, name: str, keys: AdoptedKeys) -> LoadedStack:
        """Loaded again: nothing else has become another one."""
        try:
            loaded = parse_stack(self._text.text.encode(), self._stored.file)
        except StackFileInvalid as invalid:
            raise self._not_edited(invalid.found) from invalid
        encryption = loaded.stack.encryption
        if _rest(loaded.stack, name) != _rest(self._stored.stack, name) or not (
            str(encryption.identity) == f"file:{keys.identity}" and keys.signer in encryption.signers
        ):
            raise self._not_edited("the edited text says something else than was put in")
        return loaded

    def _not_edited(self, found: str) -> GiveUp:
        return GiveUp(
            "stack_file_not_edited",
            found=f"{self._stored.file}: {found}",
            expected="a stack file that says the same with the new keys and the new address",
            hint="print it (the same command with --show), write it into a file and change these lines by hand: "
            + "; ".join(f"{change.key}: {change.becomes}" for change in self.changes),
        )


def _rest(stack: Stack, name: str) -> object:
    changed = {"identity", "signing_key", "signers"}
    dumped = stack.model_dump(exclude={"encryption": changed, "state": True})
    return {**dumped, "repositories": {key: value for key, value in dumped["repositories"].items() if key != name}}
