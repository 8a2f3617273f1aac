"""Whether what a recovery brings back can be put in its place: looked at before anybody is asked, and by ``check``.

A directory is what it is, not how it is called: links are followed, as they are when it is set aside.
"""

from __future__ import annotations

import os
import pwd
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from understudy.adapters.places import LocalPlaces
from understudy.app.damaged_parts import PART_DAMAGE
from understudy.app.installation import Installation
from understudy.plan.plan import Plan
from understudy.plan.snapshot_restore import HeldSnapshot
from understudy.plan.stack_recovery import require_apart
from understudy.stack.references import references_in
from understudy.stack.secrets import SecretPlace, SecretReference
from understudy.stack.streams import RedisRecoverSettings
from understudy.steps.provision_snapshot_target import ProvisionSnapshotTarget, is_directory
from understudy.steps.provision_target import ProvisionTarget
from understudy.vocabulary.errors import GiveUp, Refusal
from understudy.vocabulary.identifiers import ResourceName

_ELSEWHERE = "move one of them elsewhere, and correct the stack file"


def require_replaceable(installation: Installation, name: ResourceName, directory: str) -> None:
    """
    Raises:
        Refusal: ``place_is_needed``: the recovery itself needs what lies in it; ``target_is_mount_point``: it holds something and
            cannot be renamed.
    """
    place = Path(directory).resolve()
    for what, needed in _needed(installation):
        if needed.is_relative_to(place):
            raise Refusal(
                "place_is_needed",
                found=f"{directory}, where {name} comes back, holds {what} ({needed})",
                expected="that nothing which a recovery needs lies in what it sets aside",
                hint=_ELSEWHERE,
            )
    if place.is_mount() and not LocalPlaces().facts(directory).empty:
        raise Refusal(
            "target_is_mount_point",
            found=f"{directory}, where {name} comes back, is a mount point and holds something",
            expected="a directory that can be renamed, or an empty one",
            hint="nothing is overwritten, and a mount point cannot be set aside: move aside yourself what is in it; or keep a "
            f"directory below it in the stack file; or restore beside it: understudy restore {name} --to DIRECTORY",
        )


def require_room(installation: Installation, chosen: HeldSnapshot, directory: str) -> None:
    """What is sparse may take less than its size, and for that nobody is turned away.

    Raises:
        Refusal: ``target_too_small``.
    """
    free_bytes, needed_bytes = LocalPlaces().facts(directory).free_bytes, chosen.snapshot.content_bytes
    if free_bytes >= needed_bytes:
        return
    snapshot = chosen.snapshot
    held = installation.repository(chosen.repository).snapshots(snapshot.kind, snapshot.resource)
    try:
        needed_bytes -= held.opened(snapshot).sparse_bytes()
    except GiveUp as error:
        if error.code in PART_DAMAGE:
            return  # the run meets it, too, and goes on from another snapshot
        raise
    if free_bytes < needed_bytes:
        raise Refusal(
            "target_too_small",
            found=f"{free_bytes:,} bytes free on the file system of {directory}, where {snapshot.resource} comes back",
            expected=f"at least {needed_bytes:,} bytes there, beside what is set aside",
            hint="free space there; what stands in the directory now is set aside on the same file system, and keeps its room",
        )


def require_operable(name: ResourceName, recover: RedisRecoverSettings) -> None:
    """
    Raises:
        Refusal: ``program_missing``, ``server_user_missing``.
    """
    for key, command in (("stop", recover.stop), ("start", recover.start)):
        if command is not None and shutil.which(command[0]) is None:
            raise Refusal(
                "program_missing",
                found=f"no program {command[0]} in {os.environ.get('PATH', os.defpath)}",
                expected=f"the program that resources.{name}.recover.{key} names",
                hint="install it, or name it by its whole path in the stack file",
            )
    if recover.user is not None and os.geteuid() == 0:
        try:
            pwd.getpwnam(recover.user)
        except KeyError:
            raise Refusal(
                "server_user_missing",
                found=f"no operating-system user is called {recover.user}",
                expected=f"the user that resources.{name}.recover.user names",
                hint="correct it, or create the user",
            ) from None


def require_places_apart(plans: Mapping[ResourceName, Plan]) -> None:
    """As ``require_apart``, of what is one directory by different names, and of databases, too.

    Raises:
        Refusal: ``recovered_within_another``.
    """
    places: list[tuple[ResourceName, str]] = []
    for name, plan in plans.items():
        for step in (planned.step for planned in plan.steps):
            if isinstance(step, ProvisionSnapshotTarget) and is_directory(step.place):
                places.append((name, step.place))
            elif isinstance(step, ProvisionTarget):
                places += [(name, directory) for directory in step.bytes_needed]
    require_apart([(name, str(Path(place).resolve())) for name, place in places])


def _needed(installation: Installation) -> Iterator[tuple[str, Path]]:
    yield "the state directory", installation.state.resolve()
    for name, repository in installation.stack.repositories.items():
        if repository.url.startswith("file://"):
            yield f"the repository {name}", Path(repository.url.removeprefix("file://")).resolve()
    for name in installation.database_names():
        yield f"the spool of {name}", installation.spool_directory(name).resolve()
    encryption = installation.stack.encryption
    own = [("the age identity", encryption.identity), ("the signing key", encryption.signing_key)]
    for what, reference in [*own, *((named.meaning, named.reference) for named in references_in(installation.stack))]:
        if isinstance(reference, SecretReference) and reference.place is SecretPlace.FILE:
            yield what, Path(reference.name).resolve()
