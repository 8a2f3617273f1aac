"""Repositories made ready to be written to: described, and ours."""

from __future__ import annotations

import secrets
import threading
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.app.quarantines import carry_quarantines
from understudy.app.stores import create_store, is_bare
from understudy.records.private_files import make_private_directory
from understudy.records.state_database import writing_beside
from understudy.repository.catalog import Repository
from understudy.repository.description import RepositoryDescription
from understudy.repository.stack_files import keep_stack_file
from understudy.vocabulary.errors import GiveUp, Refusal, TryAgain
from understudy.vocabulary.identifiers import RepositoryName, ResourceName

if TYPE_CHECKING:
    from understudy.app.installation import Installation

_locks: dict[RepositoryName, threading.Lock] = {}
_making_locks = threading.Lock()


def is_unmade(installation: Installation, name: RepositoryName) -> bool:
    """Whether nothing is there and this state directory never used it. One that was used and is gone is away, not unmade."""
    return not was_used(installation, name) and is_bare(installation.stack.repositories[name])


def was_used(installation: Installation, name: RepositoryName) -> bool:
    """Whether this state directory ever wrote to it."""
    return _seen(installation, name).exists()


def made_repository(installation: Installation, name: str) -> Repository:
    """The repository, to be read.

    Raises:
        Refusal: ``no_such_repository``; ``repository_missing``: nothing was ever stored there from here.
    """
    named = installation.repository_name(name)
    if is_unmade(installation, named):
        raise Refusal(
            "repository_missing",
            found=f"nothing is in {installation.stack.repositories[named].url}, and nothing was ever stored there from here",
            expected="a repository, which the first backup makes",
            hint=f"take one: understudy backup {installation.resource_names()[0]}; or mount its disk, if there was one already",
        )
    return installation.repository(named)


def prepare_repository(
    installation: Installation, name: RepositoryName, *, take_over: bool = False, claim: bool = True
) -> Repository:
    """Describe an empty place as a repository, once; claim it for this controller; keep the stack file's version in it.

    A place that was a repository before and now is empty is never described anew: it is a disk that is not mounted, or a bucket
    that somebody emptied.

    ``take_over`` claims a repository that another controller wrote to last: a person says that this one is gone for good. Without
    ``claim`` it stays whose it is.

    Raises:
        Refusal: ``controller_superseded``: another controller writes here; ``repository_of_another``; ``signer_not_named``.
        GiveUp: ``repository_missing``, ``state_unwritable``; and what the store raises.
    """
    installation.require_believed_signer()
    with _preparing(name):
        return _prepared(installation, name, take_over, claim)


def prepare_repositories(installation: Installation, resource: ResourceName, *, take_over: bool = False) -> None:
    """A further one that is away just now does not keep the backup out of the first: the steps that copy it there wait for it,
    and look whose it is before they sign. One that was never there yet refuses the backup: its address may be wrong.
    """
    first, *others = installation.repository_names(resource)
    prepare_repository(installation, first, take_over=take_over)
    for other in others:
        try:
            prepare_repository(installation, other, take_over=take_over)
        except TryAgain:
            if take_over or not was_used(installation, other):
                raise


def _preparing(name: RepositoryName) -> threading.Lock:
    """One thread at a time for each repository: two that find it empty would each describe it in their own way."""
    with _making_locks:
        return _locks.setdefault(name, threading.Lock())


def _prepared(installation: Installation, name: RepositoryName, take_over: bool, claim: bool) -> Repository:
    controller = installation.records.controller_id()  # before anything is made: a state directory that is no use ends it here
    seen = _seen(installation, name)
    repository = installation.repository(name)
    with writing_beside(seen):
        make_private_directory(seen.parent)
    remembered = seen.read_text().strip() if seen.exists() else ""  # a power cut may have emptied it
    if remembered:
        _require_same(repository.describe(), remembered, installation.stack.repositories[name].url)
    elif seen.exists():
        _remember(seen, repository.describe().repository_id)
    else:
        create_store(installation.stack.repositories[name], installation.clock)
        _remember(seen, _described(repository) or _created(repository, installation.clock.now()))
    if claim:
        if take_over or repository.current_epoch() is None:
            repository.claim_epoch(controller, installation.clock.now())
        repository.require_epoch(controller)
        carry_quarantines(installation, name)
    keep_stack_file(
        installation.stores[name],
        installation.sealer,
        installation.keys.keys,
        installation.stack_text,
        installation.digest,
        name,
        installation.clock.now(),
    )
    return repository


def _seen(installation: Installation, name: RepositoryName) -> Path:
    """What this state directory remembers of a repository that it used."""
    return installation.state / "repositories" / name


def _remember(seen: Path, repository_id: str) -> None:
    with writing_beside(seen):
        seen.write_text(repository_id)


def _require_same(there: RepositoryDescription, remembered: str, url: str) -> None:
    """Two disks that were exchanged would each get what belongs to the other."""
    if there.repository_id != remembered:
        raise Refusal(
            "repository_of_another",
            found=f"{url} holds the repository {there.repository_id}, made {there.created.isoformat()}",
            expected=f"{remembered}, which was there before",
            hint="is another disk mounted there, or was the address changed? understudy check compares all of them",
        )


def _described(repository: Repository) -> str | None:
    try:
        return repository.describe().repository_id
    except GiveUp as error:
        if error.code != "repository_missing":
            raise
        return None


def _created(repository: Repository, now: datetime) -> str:
    """Its id, or that which another process gave it meanwhile: serve and the first command beside it may both find it empty."""
    try:
        return repository.create(secrets.token_hex(8), now).repository_id
    except Refusal as error:
        if error.code != "repository_of_another":
            raise
        return repository.describe().repository_id
