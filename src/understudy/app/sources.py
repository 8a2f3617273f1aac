"""Which repository a restore reads from, and what a person can do where that one will not do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol, TypeVar

from understudy.app.damage import marked_in
from understudy.app.installation import Installation
from understudy.app.quarantines import quarantines_in
from understudy.app.repositories import made_repository
from understudy.plan.request import Choice
from understudy.repository.manifests import BackupManifest
from understudy.repository.quarantine import believed
from understudy.vocabulary.errors import Refusal, UnderstudyError
from understudy.vocabulary.identifiers import RepositoryName, ResourceName


class HoldsBackups(Protocol):
    @property
    def backups(self) -> Sequence[BackupManifest]: ...


H = TypeVar("H", bound=HoldsBackups)
T = TypeVar("T")

_NO_SOUND_BACKUP = "no_sound_backup"
_HOLDS_NONE = ("no_backup", "repository_missing")


def source_first(installation: Installation, name: ResourceName, source: RepositoryName | None) -> tuple[RepositoryName, ...]:
    """The one that is read from, by default the resource's first; then the others."""
    names = installation.repository_names(name)
    source = source or names[0]
    return (source, *(each for each in names if each != source))


def source_that_will_do(
    installation: Installation,
    name: ResourceName,
    choice: Choice,
    look: Callable[[RepositoryName, frozenset[str]], H],
) -> tuple[RepositoryName, H]:
    """The first repository; the one behind it where runs before this one found no sound backup in it that will do.

    ``look``: what a repository holds without the given labels; refuses with ``no_sound_backup`` where nothing is left. Where that
    was so, a repository behind it that never held a backup adds nothing: taking one is no advice in the middle of a recovery.

    Raises:
        Refusal: ``no_backup``, ``no_sound_backup``; ``target_in_no_backup``: sound ones were tried, and replay met the target
            from none of them; and what the stores raise.
    """
    names = (choice.repository,) if choice.repository else installation.repository_names(name)
    all_tried: Refusal | None = None
    for repository in names:
        without = choice.left_out_of(repository)
        try:
            held = look(repository, without)
        except Refusal as error:
            if error.code != _NO_SOUND_BACKUP and (all_tried is None or error.code not in _HOLDS_NONE):
                raise
            all_tried = all_tried or (_target_in_none(name, choice) if choice.not_met else error)
            if repository == names[-1]:
                raise all_tried from None
            continue
        fits = not without or choice.label is None or any(each.label.text == choice.label for each in held.backups)
        if fits or repository == names[-1]:
            return repository, held
    raise ValueError(f"{name} has no repository")


def _target_in_none(name: ResourceName, choice: Choice) -> Refusal:
    """The newest backup was tried first, so nothing that the repository holds of the log is left."""
    target, tried = choice.target, ", ".join(sorted(choice.not_met))
    others = ", ".join(sorted(choice.without - choice.not_met))
    return Refusal(
        "target_in_no_backup",
        found=f"{target} was met from no backup of {name}: all WAL behind each of these was replayed ({tried})"
        + (f"; these are damaged: {others}" if others else ""),
        expected="a restore point, or a transaction that ended, between the oldest backup and the newest WAL in the repository",
        hint=f"is it written as the server's log has it? It may be older than every backup (understudy backups {name}), or newer "
        "than what is shipped; to get near it all the same, restore to a moment: --time",
    )


def sound_first(
    installation: Installation,
    name: ResourceName,
    choice: Choice,
    choose: Callable[[Choice], T],
    require_fit: Callable[[T], object] = lambda found: None,
) -> T:
    """What is chosen without the backups that were found damaged; where that, or ``require_fit``, refuses, with them: a run tells
    what is wrong, and what was found then may be mended by now. One that was named is meant.
    """
    marked = marked_in(installation, name) if choice.label is None else frozenset()
    if marked:
        try:
            found = choose(replace(choice, without=choice.without | marked))
            require_fit(found)
            return found
        except Refusal:
            pass
    return choose(choice)


@contextmanager
def other_copies_told(installation: Installation, name: ResourceName, choice: Choice) -> Iterator[None]:
    """A fault of the repository that is read from tells which others hold what is wanted: at three in the morning that counts."""
    try:
        yield
    except UnderstudyError as error:
        others = source_first(installation, name, choice.repository)[1:]
        held = [text for text in (_held_in(installation, name, other, choice.label) for other in others) if text]
        if held:
            instead = f"or go on from another repository: {'; '.join(held)}"
            error.hint = f"{error.hint}; {instead}" if error.hint else instead
        raise


def _held_in(installation: Installation, name: ResourceName, repository: RepositoryName, label: str | None) -> str:
    """What of the database can be restored from there, for people; empty where nothing can, or it is away too."""
    try:
        there = made_repository(installation, repository).backups(name).usable
        usable = believed(quarantines_in(installation, name, repository), there)
    except UnderstudyError:
        return ""
    fitting = [backup for backup in usable if label in (None, backup.label.text)]
    newest = max(fitting, key=lambda backup: backup.stop_time, default=None)
    return f"--repository {repository} (backup {newest.label}, {newest.stop_time.isoformat()})" if newest else ""
