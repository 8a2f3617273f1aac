"""Repositories made ready to be written to: described, and ours."""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING

from understudy.app.stores import create_store
from understudy.repository.catalog import Repository
from understudy.repository.layout import stack_key
from understudy.repository.sealing import store_sealed
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import RepositoryName

if TYPE_CHECKING:
    from understudy.app.installation import Installation

_locks: dict[RepositoryName, threading.Lock] = {}
_making_locks = threading.Lock()


def prepare_repository(installation: Installation, name: RepositoryName, *, take_over: bool = False) -> Repository:
    """Describe an empty place as a repository, once; claim it for this controller; keep the stack file's version in it.

    A place that was a repository before and now is empty is never described anew: it is a disk that is not mounted, or a bucket
    that somebody emptied.

    ``take_over`` claims a repository that another controller wrote to last: a person says that this one is gone for good.

    Raises:
        Refusal: ``controller_superseded``: another controller writes here; ``repository_of_another``.
        GiveUp: ``repository_missing``; and what the store raises.
    """
    with _preparing(name):
        return _prepared(installation, name, take_over)


def _preparing(name: RepositoryName) -> threading.Lock:
    """One thread at a time for each repository: two that find it empty would each describe it in their own way."""
    with _making_locks:
        return _locks.setdefault(name, threading.Lock())


def _prepared(installation: Installation, name: RepositoryName, take_over: bool) -> Repository:
    seen = installation.state / "repositories" / name
    repository = installation.repository(name)
    if seen.exists():
        repository.describe()
    else:
        create_store(installation.stack.repositories[name])
        description = _described(repository) or repository.create(secrets.token_hex(8), installation.clock.now()).repository_id
        seen.parent.mkdir(exist_ok=True)
        seen.write_text(description)
    controller = installation.records.controller_id()
    if take_over or repository.current_epoch() is None:
        repository.claim_epoch(controller, installation.clock.now())
    repository.require_epoch(controller)
    _keep_stack_file(installation, name)
    return repository


def _described(repository: Repository) -> str | None:
    try:
        return repository.describe().repository_id
    except GiveUp as error:
        if error.code != "repository_missing":
            raise
        return None


def _keep_stack_file(installation: Installation, name: RepositoryName) -> None:
    """Every version that ran, sealed; found again by its digest."""
    store = installation.stores[name]
    if any(installation.digest in found.key for found in store.list("stack/")):
        return
    key = stack_key(f"{installation.clock.now():%Y%m%dT%H%M%SZ}", installation.digest)
    store_sealed(store, installation.sealer, key, [installation.stack_text], installation.keys.keys.recipients)
