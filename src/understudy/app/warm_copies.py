"""Warm copies: what a seeding and a recovery need to know of them, and what status shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import cast

from understudy.app.carrying_out import Watcher, carry_out, serving_pid
from understudy.app.holdings import Holdings, holdings_of
from understudy.app.identities import new_plan_id
from understudy.app.installation import Installation
from understudy.app.landing import short_socket_directory
from understudy.app.quarantines import chosen_from
from understudy.app.repositories import made_repository
from understudy.app.run_view import RunView
from understudy.app.sources import other_copies_told, sound_first, source_first, source_that_will_do
from understudy.plan.plan import Plan, Procedure
from understudy.plan.recovery import RecoveryFacts
from understudy.plan.request import Choice
from understudy.plan.warm_copy import WarmCopyFacts
from understudy.plan.warm_seeding import SeedingWish, plan_seeding
from understudy.ports.instance import InstancePlace
from understudy.ports.warm_copies import WarmCopy
from understudy.repository.at_once import processors
from understudy.vocabulary.errors import GiveUp, Refusal, UnderstudyError
from understudy.vocabulary.identifiers import RepositoryName, ResourceName
from understudy.vocabulary.json import JsonObject

WARM_COPY = "warm_copy"
"""The kind of observation that tells how a copy follows."""
STAGED_SEGMENTS = 20
"""Room for the WAL that is fetched ahead."""
CLOSED_PORT = 5432
"""Of a server that only Understudy uses: a part of its socket's name."""
_RECOVERING = frozenset({"in archive recovery", "shut down in recovery"})


def copies_directory(installation: Installation, name: ResourceName) -> Path:
    """Below it each seeding makes a directory of its own.

    Raises:
        Refusal: ``warm_copy_not_declared``.
    """
    settings = installation.postgres(name)
    if settings.warm_copy is None or settings.recover is None:
        raise _not_declared(name)
    return Path(settings.warm_copy.directory or f"{settings.recover.directory}.warm")


def _not_declared(name: str) -> Refusal:
    return Refusal(
        "warm_copy_not_declared",
        found=f"the stack file keeps no warm copy of {name}",
        expected="warm_copy below a resource of kind postgres, beside recover",
        hint="add it: warm_copy: {} is enough; understudy serve then seeds and follows it",
    )


def closed_place(copy: WarmCopy) -> InstancePlace:
    return InstancePlace(copy.directory, copy.socket_directory, CLOSED_PORT)


def seed(installation: Installation, resource: str, watcher: Watcher) -> RunView:
    """Seed one now; it takes the place of the one before once it is verified.

    Raises as ``plan_next_seeding`` and ``carry_out`` do.
    """
    return carry_out(installation, plan_next_seeding(installation, ResourceName(resource)), watcher)


def plan_next_seeding(installation: Installation, name: ResourceName) -> Plan:
    """
    Raises:
        Refusal: ``warm_copy_not_declared``, ``warm_copy_elsewhere``; and as ``plan_seeding`` and the repositories do.
    """
    installation.require_believed_signer(own_key_will_do=True)
    directory = copies_directory(installation, name)
    settings, choice = installation.postgres(name), Choice()
    _require_same_file_system(installation, name, directory)
    with other_copies_told(installation, name, choice):
        source, holdings = sound_first(installation, name, choice, partial(_source, installation, name))
    plan_id = new_plan_id(installation.clock, Procedure.WARM_COPY)
    place = str(directory / plan_id)
    wish = SeedingWish(
        resource=name,
        repository=source,
        repositories=source_first(installation, name, source),
        place=InstancePlace(place, short_socket_directory(place), CLOSED_PORT),
        processors=processors(),
        checks=tuple(
            {key: str(value) for key, value in check.model_dump(exclude_none=True).items()} for check in settings.checks
        ),
        heartbeat_database=settings.heartbeat.database if settings.heartbeat else None,
        ship_every=settings.wal.ship_every,
    )
    facts = RecoveryFacts(
        now=installation.clock.now(),
        plan_id=plan_id,
        stack_digest=installation.digest,
        backups=holdings.backups,
        histories=holdings.histories,
        wal=holdings.wal,
        damaged_histories=holdings.damaged_histories,
        quarantines=holdings.quarantines,
        programs_major=installation.instances[name].major(),
        staged_wal_bytes=STAGED_SEGMENTS * holdings.wal.segment_bytes,
    )
    return plan_seeding(wish, facts)


def _source(installation: Installation, name: ResourceName, choice: Choice) -> tuple[RepositoryName, Holdings]:
    return source_that_will_do(
        installation,
        name,
        choice,
        lambda repository, without: holdings_of(
            made_repository(installation, repository), name, without, chosen_from(installation, name, repository, choice)
        ),
    )


def on_one_file_system(installation: Installation, name: ResourceName, directory: Path) -> bool:
    """Whether what lies there can be renamed to where a recovery brings the database up."""
    recover = installation.postgres(name).recover
    if recover is None:
        return False
    return len({_file_system(Path(each)) for each in (directory, Path(recover.directory).parent)}) == 1


def _file_system(directory: Path) -> int:
    return next(each for each in (directory, *directory.parents) if each.exists()).stat().st_dev


def _require_same_file_system(installation: Installation, name: ResourceName, directory: Path) -> None:
    if not on_one_file_system(installation, name, directory):
        raise Refusal(
            "warm_copy_elsewhere",
            found=f"{directory} lies on another file system than resources.{name}.recover.directory",
            expected="the same one: a recovery renames the copy, it does not copy it",
            hint=f"name a directory on that file system as resources.{name}.warm_copy.directory",
        )


def warm_copy_facts(installation: Installation, name: ResourceName) -> WarmCopyFacts | None:
    """For a recovery, which fails by nothing that is wrong with the copy. None: none is kept."""
    if installation.postgres(name).warm_copy is None:
        return None
    try:
        copy = installation.warm_copies.read(name)
    except GiveUp:
        return None  # status tells it
    if copy is None:
        return None
    if copy.taken_by is not None:
        return WarmCopyFacts(copy, None)
    instances = installation.instances[name]
    try:
        control = instances.control_data(copy.directory)
        seen = instances.facts(closed_place(copy)).replayed
    except UnderstudyError as error:
        return WarmCopyFacts(copy, None, f"{error.code}: {error.found}")
    known = [each for each in (control.minimum_recovery_end, seen) if each is not None]
    trouble = ""
    if control.cluster_state not in _RECOVERING:
        trouble = f"its control file says that it is {control.cluster_state}"
    elif control.system_identifier != copy.system_identifier:
        trouble = f"its directory holds cluster {control.system_identifier}"
    same = on_one_file_system(installation, name, Path(copy.directory))
    return WarmCopyFacts(copy, max(known, default=None), trouble, same)


@dataclass(frozen=True, slots=True)
class WarmCopyStatus:
    """``fault``: why it is of no use to a recovery now, or behind for longer than a moment; empty where all is well."""

    directory: str
    """Empty: there is none yet."""
    label: str
    verified: datetime | None
    following: bool
    """Whether serve follows it now."""
    replayed_lsn: str
    lag_bytes: int | None
    """WAL that the repository holds and the copy has not replayed; None: not known."""
    lag_seconds: float | None
    """For how long the oldest of it has been there; None: not known."""
    last_replayed_commit: str
    seen: datetime | None
    fault: str
    hint: str
    seeding_refused: str
    """Why the next one could not be seeded, where that was tried."""
    usable: bool
    """Whether a recovery to the newest commit would use it, as far as is known here."""


def warm_copy_status(installation: Installation, name: ResourceName, *, served: bool) -> WarmCopyStatus | None:
    """By the note and what serve saw last. None: the stack file keeps none."""
    if installation.postgres(name).warm_copy is None:
        return None
    seen = installation.records.observed(name, WARM_COPY)
    refused = installation.records.observed(name, f"{WARM_COPY}_seeding")
    not_seeded = str(refused.value.get("fault") or "") if refused is not None else ""
    try:
        copy = installation.warm_copies.read(name)
    except GiveUp as error:
        return _none(f"{error.code}: {error.found}", error.hint, not_seeded)
    if copy is None:
        return _none("" if served else "nobody seeds one: understudy serve does not run", "", not_seeded)
    value: JsonObject = seen.value if seen is not None and seen.value.get("directory") == copy.directory else {}
    fault, hint = _fault_of(copy, value, served=served)
    lag_bytes, lag_seconds = value.get("lag_bytes"), value.get("lag_seconds")
    return WarmCopyStatus(
        directory=copy.directory,
        label=copy.label,
        verified=copy.verified,
        following=served and not fault,
        replayed_lsn=str(value.get("replayed_lsn") or ""),
        lag_bytes=None if lag_bytes is None else int(cast(int, lag_bytes)),
        lag_seconds=None if lag_seconds is None else float(cast(float, lag_seconds)),
        last_replayed_commit=str(value.get("last_replayed_commit") or ""),
        seen=seen.at if seen is not None and value else None,
        fault=fault,
        hint=hint,
        seeding_refused=not_seeded,
        usable=copy.taken_by is None and copy.fault is None,
    )


def look_at_warm_copies(installation: Installation, resource: str | None) -> Mapping[ResourceName, WarmCopyStatus]:
    """
    Raises:
        Refusal: ``no_such_resource``, ``resource_is_no_database``; ``warm_copy_not_declared``: of it, or of any.
    """
    names = [ResourceName(resource)] if resource is not None else installation.database_names()
    served = serving_pid(installation.state) is not None
    found = {name: warm_copy_status(installation, name, served=served) for name in names}
    kept = {name: each for name, each in found.items() if each is not None}
    if not kept:
        raise _not_declared(resource or "any resource")
    return kept


def _none(fault: str, hint: str, refused: str) -> WarmCopyStatus:
    return WarmCopyStatus("", "", None, False, "", None, None, "", None, fault, hint, refused, False)


def _fault_of(copy: WarmCopy, value: JsonObject, *, served: bool) -> tuple[str, str]:
    if copy.taken_by is not None:
        return f"run {copy.taken_by} has taken it", "serve seeds another one"
    if copy.fault is not None:
        return f"{copy.fault.code}: {copy.fault.found}", "serve seeds another one; a recovery restores a base backup until then"
    if not served:
        return "nobody feeds it: understudy serve does not run", "start it; a recovery uses the copy all the same"
    return str(value.get("fault") or ""), str(value.get("hint") or "")
