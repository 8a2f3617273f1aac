"""Restoring a snapshot of what is no database, or some of it; loading one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from understudy.app.dump_parts import dump_landing, part_of_dump, require_loadable, require_parts_of_their_kind
from understudy.app.free_directory import require_free_directory
from understudy.app.identities import new_plan_id
from understudy.app.installation import Installation
from understudy.app.quarantines import chosen_from, remembered_quarantines
from understudy.app.repositories import made_repository
from understudy.app.snapshots import snapshots_of
from understudy.app.sources import sound_first
from understudy.plan.dump_load import plan_dump_load
from understudy.plan.plan import Plan, Procedure
from understudy.plan.request import Choice, RecoveryRequest
from understudy.plan.snapshot_restore import (
    HeldSnapshot,
    LoadFacts,
    SnapshotLanding,
    choose_snapshot,
    moment_of,
    plan_load,
    plan_snapshot_restore,
)
from understudy.repository.quarantine import believed, require_believed_label
from understudy.stack.dumps import PostgresDumpResource
from understudy.stack.expectation import Unfit
from understudy.stack.resources import SnapshotResource
from understudy.stack.snapshots import BucketResource, FilesResource
from understudy.stack.streams import ONE_CONTENT, CommandResource
from understudy.stack.values import parse_bucket_url
from understudy.steps.provision_snapshot_target import is_directory
from understudy.steps.write_snapshot_manifest import snapshot_completed_key
from understudy.vocabulary.errors import Refusal, TryAgain, UnderstudyError
from understudy.vocabulary.identifiers import Person, RepositoryName, ResourceName


def snapshot_restore_request(installation: Installation, resource: str, place: str, choice: Choice) -> RecoveryRequest:
    """What is asked for, with the place as it is written in plans.

    Raises:
        Refusal: ``target_needs_a_database``, ``place_of_another_kind``, ``only_unusable``, ``part_unusable``.
    """
    settings = installation.in_snapshots(resource)
    _require_no_database(resource, choice)
    moment_of(choice.target)
    place = _bucket(place) if isinstance(settings, BucketResource) else local_directory(place)
    return RecoveryRequest(Procedure.RESTORE, ResourceName(resource), _within(settings, choice), place)


def load_request(
    installation: Installation,
    resource: str,
    choice: Choice,
    approved_by: Person | None,
    into: str = "",
    renamed: str = "",
) -> RecoveryRequest:
    """
    Raises:
        Refusal: ``load_undeclared``, ``target_needs_a_database``, ``only_unusable``; and as ``require_loadable`` does.
    """
    if isinstance(settings := installation.resource(resource), PostgresDumpResource):
        require_loadable(resource, settings, choice, into, renamed)
    elif into or renamed:
        raise Refusal(
            "load_undeclared",
            found=f"--into or --as, and {resource} is of kind {settings.kind}",
            expected="a resource of kind postgres-dump",
            hint="leave them out, or see what a restore of it takes: understudy restore --help",
        )
    else:
        _load_of(installation, resource)
    _require_no_database(resource, choice)
    moment_of(choice.target)
    choice = _within(installation.in_snapshots(resource), choice)
    name = ResourceName(resource)
    return RecoveryRequest(Procedure.RESTORE, name, choice, approved_by=approved_by, load=True, into=into, renamed=renamed)


def _load_of(installation: Installation, resource: str) -> LoadFacts:
    settings = installation.resource(resource)
    if not isinstance(settings, CommandResource) or settings.load is None:
        is_command = isinstance(settings, CommandResource)
        raise Refusal(
            "load_undeclared",
            found=f"--load, and {resource} " + ("has no load in the stack file" if is_command else f"is of kind {settings.kind}"),
            expected="a resource of kind command with a load, or of kind postgres-dump",
            hint=f"restore it into a directory: understudy restore {resource} --to DIRECTORY",
        )
    return LoadFacts(settings.load, settings.load_again)


def plan_requested_snapshot_restore(installation: Installation, request: RecoveryRequest) -> Plan:
    """
    Raises:
        Refusal: ``no_backup``, ``no_sound_backup``, ``no_such_backup``, ``backup_quarantined``, ``target_not_empty``,

            ``load_undeclared``; what the stores raise.
    """
    name, choice = request.resource, request.choice
    if is_directory(request.directory):
        require_free_directory(installation, Path(request.directory))
    dump = isinstance(installation.resource(name), PostgresDumpResource)
    load = _load_of(installation, name) if request.load and not dump else None
    chosen = choose_held(installation, name, choice)
    plan_id = new_plan_id(installation.clock, Procedure.RESTORE)
    if request.load and dump:
        landing = dump_landing(installation, request, plan_id, part_of_dump(installation, name, chosen, choice))
        return plan_dump_load(name, chosen, landing, plan_id, installation.digest)
    if load is not None:
        place = str(installation.state / "loads" / plan_id)
        return plan_load(name, chosen, place, load, plan_id, installation.digest)
    only = part_of_dump(installation, name, chosen, choice) or choice.only
    return plan_snapshot_restore(name, chosen, SnapshotLanding(request.directory), only, plan_id, installation.digest)


def choose_held(installation: Installation, name: ResourceName, choice: Choice) -> HeldSnapshot:
    """What a restore of the resource goes by. Raises as ``plan_requested_snapshot_restore`` does."""
    _require_no_database(name, choice)
    return sound_first(
        installation,
        name,
        choice,
        lambda chosen: choose_snapshot(name, _held(installation, name, chosen), chosen.target, chosen.label),
    )


def _held(installation: Installation, name: ResourceName, choice: Choice) -> tuple[HeldSnapshot, ...]:
    """What the repository holds that is read from: the one that was named, else the first. Where runs before this one found
    damage, what the others hold comes behind, so that the same snapshot is tried there before an older one is.
    """
    first, *others = (choice.repository,) if choice.repository else installation.repository_names(name)
    try:
        held = [*_of(installation, name, first, choice)]
    except UnderstudyError as error:
        held = _from_the_next(installation, name, first, others, choice, error)
        if not held:
            error.hint = _other_copies(installation, name, others, choice, error.hint)
            raise
    suspected = () if choice.quarantined else remembered_quarantines(installation, name)
    if choice.without or (suspected and not held):
        for other in others:
            try:
                held += _of(installation, name, other, choice)
            except UnderstudyError:
                continue  # the first one will do, or says why not
    if not held:
        anew = " --full" if choice.without else ""  # else it would stand on what is damaged
        hint = _other_copies(installation, name, others, choice, f"take one: understudy backup {name}{anew}")
        if choice.without:
            damaged = ", ".join(sorted(choice.without))
            raise Refusal("no_sound_backup", found=f"no snapshot of {name} is left that is not damaged ({damaged})",
                          expected="one that can be restored", hint=hint)  # fmt: skip
        if suspected:
            since = min(each.since for each in suspected)
            raise Refusal(
                "no_sound_backup",
                found=f"every snapshot of {name} is quarantined: nothing from {since.isoformat()} on is to be believed",
                expected="one from before that",
                hint=f"to look at one that is quarantined: understudy restore {name} --to PLACE --quarantined",
            )
        raise Refusal("no_backup", found=f"{first} holds no snapshot of {name}", expected="at least one", hint=hint)
    return tuple(held)


def _from_the_next(
    installation: Installation,
    name: ResourceName,
    first: RepositoryName,
    others: list[RepositoryName],
    choice: Choice,
    error: UnderstudyError,
) -> list[HeldSnapshot]:
    """What the nearest other one holds, where the first is away and nothing can be lost by that: a run before this one gave up
    waiting for it, or the snapshot was named, or the newest that is known to lie there lies here, too. Else a person decides.
    """
    if not isinstance(error, TryAgain):
        return []
    newest = installation.records.newest_success(snapshot_completed_key(name))
    wanted = choice.label or (str(newest.evidence.proof["label"]) if newest is not None and newest.evidence is not None else None)
    gave_up = any(each.startswith(f"{first}/") for each in choice.without)
    for other in others:
        try:
            held = [*_of(installation, name, other, choice)]
        except UnderstudyError:
            continue
        if held and (gave_up or wanted in [each.snapshot.label.text for each in held]):
            return held
    return []


def _of(installation: Installation, name: ResourceName, repository: RepositoryName, choice: Choice) -> Iterator[HeldSnapshot]:
    there = made_repository(installation, repository)
    names = installation.repository_names(name)
    otherwise = () if choice.repository else names[names.index(repository) + 1 :]
    without = choice.left_out_of(repository)
    quarantines = chosen_from(installation, name, repository, choice)
    found = snapshots_of(installation, name, repository).found().usable
    require_believed_label(name, choice.label, quarantines, found)
    for snapshot in believed(quarantines, found):
        if snapshot.label.text not in without:
            there.require_sealing_of(snapshot.listing.name)
            yield HeldSnapshot(repository, snapshot, otherwise)


def _other_copies(installation: Installation, name: ResourceName, others: list[RepositoryName], choice: Choice, hint: str) -> str:
    """At three in the morning it counts which other repository holds what is wanted."""
    found = []
    for other in others:
        try:
            held = [*_of(installation, name, other, choice)]
        except UnderstudyError:
            continue
        fitting = [each.snapshot for each in held if choice.label in (None, each.snapshot.label.text)]
        if fitting:
            newest = max(fitting, key=lambda each: each.stop_time)
            found.append(f"--repository {other} (snapshot {newest.label}, {newest.stop_time.isoformat()})")
    if not found:
        return hint
    instead = f"or go on from another repository: {'; '.join(found)}"
    return f"{hint}; {instead}" if hint else instead


def _require_no_database(resource: str, choice: Choice) -> None:
    meant = [name for name, value in (("--timeline", choice.timeline), ("--tablespace", choice.tablespaces)) if value]
    if meant:
        raise Refusal(
            "target_needs_a_database",
            found=f"{meant[0]}, and {resource} is no database",
            expected="--time, --backup, --repository or --only",
            hint=f"what a restore of {resource} takes: understudy restore --help",
        )


def _bucket(place: str) -> str:
    try:
        return parse_bucket_url(place)
    except Unfit as unfit:
        raise Refusal(
            "place_of_another_kind",
            found=place,
            expected=unfit.expected,
            hint="a bucket is restored into another one, or a prefix in it, which is empty: --to s3://BUCKET/PREFIX",
        ) from None


def local_directory(place: str) -> str:
    """The absolute path of where a database or a directory is restored to.

    Raises:
        Refusal: ``place_of_another_kind``.
    """
    if "://" in place:
        raise Refusal(
            "place_of_another_kind",
            found=place,
            expected="a directory of this host",
            hint="name one that is empty, or is to be made: --to /srv/restored",
        )
    return os.path.abspath(place)  # noqa: PTH100 - links stay as they are: the place is what it is called


def _within(settings: SnapshotResource, choice: Choice) -> Choice:
    """``only`` as the listing has it: below the directory, without the directory's own path."""
    require_parts_of_their_kind(settings, choice)
    if choice.only is None:
        return choice
    only = choice.only
    if isinstance(settings, FilesResource):
        only = only.removeprefix(settings.path) if (only + "/").startswith(settings.path + "/") else only
        only = only.strip("/") or "."
    if settings.kind in ONE_CONTENT:
        raise Refusal(
            "only_unusable",
            found=f"--only {only}, and {settings.kind} resources have one content",
            expected="a restore of all of it",
            hint="leave out --only",
        )
    try:
        only.encode()
    except UnicodeEncodeError:
        raise Refusal(
            "only_unusable",
            found=f"{only!r}, which is no UTF-8",
            expected="a name that is",
            hint="restore the directory that it lies in: --only DIRECTORY",
        ) from None
    return replace(choice, only=None if only == "." else only)
