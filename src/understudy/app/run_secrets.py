"""The secrets that an interrupted run needs, looked for before anybody goes on with it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import cast

from understudy.app.commands import declared_commands
from understudy.app.installation import Installation
from understudy.app.other_identity import keys_of_run
from understudy.plan.plan import Procedure
from understudy.runner.plan_json import plan_outline
from understudy.stack.resources import SnapshotResource
from understudy.stack.secrets import PlainText, SecretReference, resolve_text
from understudy.stack.values import parse_connection
from understudy.vocabulary.errors import GiveUp, Refusal
from understudy.vocabulary.identifiers import RepositoryName, ResourceName, RunId
from understudy.vocabulary.json import JsonObject

_log = logging.getLogger(__name__)

_SPEAK_WITH_THE_SERVER = (Procedure.BACKUP, Procedure.RECOVERY)
"""The others read repositories and the spool, also where nobody knows the server's address any more."""

_STAYS_HERE = (Procedure.RESTORE, Procedure.DRILL)
"""The others sign what lies in repositories."""


def require_secrets(installation: Installation, run: RunId) -> None:
    """Look whether what the run's steps are told by reference can be read here.

    A step that misses a secret fails for good, and the run with it. A run that nobody went on with waits until it is there.

    Raises:
        Refusal: ``secret_missing``, ``secret_unreadable``, ``signer_not_named``.
    """
    try:
        own_key_will_do = installation.past.run(run).procedure in _STAYS_HERE
        installation.require_believed_signer(own_key_will_do=own_key_will_do)
        keys_of_run(installation, run)
        _read_all(installation, installation.past.run(run).procedure, tuple(_steps(installation.past.plan(run))))
    except GiveUp as error:
        hint = f"{error.hint}; then go on: understudy resume {run}"
        raise Refusal(error.code, found=error.found, expected=error.expected, hint=hint) from error


def has_secrets_or_says(installation: Installation, run: RunId) -> bool:
    """For the control plane, which goes on with every interrupted run that can be gone on with."""
    try:
        require_secrets(installation, run)
    except Refusal as error:
        _log.error("%s stays interrupted: %s", run, error)
        return False
    return True


def _read_all(installation: Installation, procedure: str, steps: Sequence[JsonObject]) -> None:
    """Raises GiveUp as ``resolve`` does."""
    for repository in set(_repositories(steps)) & set(installation.repository_names()):
        installation.stores.get(repository)  # made now, with its keys
    for command_reference in _of_commands(installation, steps):
        resolve_text(command_reference)
    for name in {str(fields["resource"]) for fields in steps if "resource" in fields} & set(installation.stack.resources):
        resource = installation.resource(name)
        if resource.kind != "postgres":
            installation.targets.get(ResourceName(name))  # made now, with its keys, like what reads it
            for reference in _of_stream(resource, procedure, steps):
                resolve_text(reference)
        elif procedure in _SPEAK_WITH_THE_SERVER:
            resolve_text(resource.url)
            if resource.recover is not None and resource.recover.url is not None:
                resolve_text(resource.recover.url)


def _of_commands(installation: Installation, steps: Sequence[JsonObject]) -> Iterator[SecretReference]:
    """Of the operator's commands that the run carries out."""
    declared = declared_commands(installation.stack)
    for name in {str(fields["command"]) for fields in steps if "command" in fields} & set(declared):
        yield from declared[name].environment.values()


def _of_stream(resource: SnapshotResource, procedure: str, steps: Sequence[JsonObject]) -> Iterator[SecretReference | PlainText]:
    if resource.kind == "command" and (procedure == Procedure.BACKUP or any("load_again" in each for each in steps)):
        yield from resource.environment.values()
    elif resource.kind == "postgres-dump" and procedure == Procedure.BACKUP:
        yield resource.url
    elif resource.kind == "postgres-dump":
        named = {str(each["into"]) for each in steps if "into" in each}
        yield from (parse_connection(each) for each in named if each)
        if "" in named and resource.recover is not None:
            yield resource.recover.url
    elif resource.kind == "redis" and procedure == Procedure.BACKUP:
        yield resource.url
        if resource.password is not None:
            yield resource.password


def _repositories(steps: Iterable[JsonObject]) -> Iterator[RepositoryName]:
    for fields in steps:
        for name in ("repository", "source"):
            if name in fields:
                yield RepositoryName(str(fields[name]))
        yield from map(RepositoryName, cast("Sequence[str]", fields.get("repositories", ())))


def _steps(plan: JsonObject) -> Iterator[JsonObject]:
    """Nothing of a plan that cannot be read: the runner tells of that."""
    try:
        outline = plan_outline(plan)
    except (ValueError, KeyError, TypeError):
        return
    for each in outline:
        yield each.step
