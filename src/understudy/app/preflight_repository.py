"""Looking at a repository before anything is kept in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from understudy.app.installation import Installation
from understudy.app.preflight_host import look_at_directory
from understudy.judge.preflight import Finding, Grade, finding_of
from understudy.judge.preflight_host import RepositoryFacts, judge_repository
from understudy.ports.object_store import ObjectStore
from understudy.ports.world import Keys
from understudy.records.records import Records
from understudy.repository.catalog import Repository
from understudy.vocabulary.errors import GiveUp, UnderstudyError
from understudy.vocabulary.identifiers import RepositoryName


def check_repository(installation: Installation, name: RepositoryName, keys: Keys | None) -> Iterator[Finding]:
    """``keys``: None where they could not be read, which is a finding of its own."""
    subject = f"repository {name}"
    place = _directory_of(installation, name)
    known = _known_as(installation, name)
    try:
        store = installation.stores[name]
        if place is not None and _not_made_yet(place):
            yield from _check_free_directory(subject, place, known)
            return
        facts = _facts(installation, store, keys, known, place)
    except UnderstudyError as error:
        yield finding_of(error, subject, "repository")
        return
    yield from judge_repository(subject, facts)


def _facts(
    installation: Installation, store: ObjectStore, keys: Keys | None, known: str | None, place: Path | None
) -> RepositoryFacts:
    """Asks what can be asked without keys first: a store that can't be reached is the better message."""
    abilities = store.probe()
    described: str | None = None
    held_by: str | None = None
    if keys is not None:
        repository = Repository(store, installation.sealer, keys)
        try:
            described = repository.describe().repository_id
        except GiveUp as error:
            if error.code != "repository_missing":
                raise
        epoch = repository.current_epoch()
        held_by = epoch.controller if epoch else None
    return RepositoryFacts(
        url=store.url,
        described_as=described,
        known_as=known if keys is not None else None,
        held_by=held_by,
        controller=_controller(installation),
        abilities=abilities,
        free_bytes=look_at_directory(place).free_bytes if place else None,
        lock_rule=store.lock_rule,
    )


def _check_free_directory(subject: str, place: Path, known: str | None) -> Iterator[Finding]:
    """A directory that no repository was made in yet."""
    facts = look_at_directory(place)
    seen = RepositoryFacts(place.as_uri(), None, known, None, None, None, facts.free_bytes)
    yield from judge_repository(subject, seen)
    if facts.writable:
        yield Finding(subject, "writable", Grade.OK, f"{facts.existing} can be written to")
        return
    yield Finding(
        subject, "writable", Grade.FAILURE, f"{facts.existing} is not writable", f"that {facts.path} can be made and written to",
        f"make it for the user that runs understudy: install -d -m 700 -o USER {facts.path}",
    )  # fmt: skip


def _directory_of(installation: Installation, name: RepositoryName) -> Path | None:
    address = urlsplit(installation.stack.repositories[name].url)
    return Path(address.path) if address.scheme == "file" else None


def _not_made_yet(place: Path) -> bool:
    """False also where we may not look: the store itself then says why."""
    try:
        return not place.exists() or (place.is_dir() and not any(place.iterdir()))
    except OSError:
        return False


def _known_as(installation: Installation, name: RepositoryName) -> str | None:
    seen = installation.state / "repositories" / name
    return seen.read_text().strip() if os.access(seen, os.R_OK) else None


def _controller(installation: Installation) -> str | None:
    """Who this state directory writes as; None before its first run (looking must not make its database), or where it is another
    user's, which is a finding of its own."""
    if not os.access(installation.state / "state.db", os.R_OK | os.W_OK):
        return None
    with closing(Records(installation.state, installation.clock)) as records:
        return records.controller_id()
