"""One database, or one table, out of a dump: which entries of a snapshot that is, and where they are loaded."""

from __future__ import annotations

from typing import cast

from understudy.adapters.postgres.connection import address_of, connection_parameters
from understudy.app.installation import Installation
from understudy.app.snapshots import snapshots_of
from understudy.plan.dump_load import DumpLanding
from understudy.plan.plan import Mode
from understudy.plan.request import Choice, RecoveryRequest
from understudy.plan.snapshot_restore import HeldSnapshot
from understudy.ports.dumps import directory_of_database
from understudy.stack.dumps import PostgresDumpResource
from understudy.stack.expectation import Unfit
from understudy.stack.resources import SnapshotResource
from understudy.stack.secrets import resolve_text
from understudy.stack.values import parse_connection
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import PlanId, ResourceName
from understudy.vocabulary.json import JsonObject

_NEAR = 5


def require_parts_of_their_kind(settings: SnapshotResource, choice: Choice) -> None:
    """
    Raises:
        Refusal: ``part_unusable``, ``only_unusable``.
    """
    part = "--database" if choice.database is not None else "--table" if choice.table is not None else None
    if isinstance(settings, PostgresDumpResource):
        if choice.only is not None:
            raise Refusal(
                "only_unusable",
                found=f"--only {choice.only}, and the resource is of kind {settings.kind}",
                expected="--database NAME or --table DATABASE.SCHEMA.TABLE",
                hint="name the database, or the table; or leave it out",
            )
    elif part is not None:
        raise Refusal(
            "part_unusable",
            found=f"{part}, and the resource is of kind {settings.kind}",
            expected="a resource of kind postgres-dump",
            hint="a file or an object is named with --only",
        )


def part_of_dump(installation: Installation, name: ResourceName, chosen: HeldSnapshot, choice: Choice) -> str | None:
    """The directory of the database, or the file of the table; None: all of it is wanted.

    Raises:
        Refusal: ``table_missing``. That a database is missing is told by the restore, as for any part.
        GiveUp: what is found of a damaged listing.
    """
    if choice.database is not None:
        return directory_of_database(choice.database)
    if choice.table is None:
        return None
    snapshots = snapshots_of(installation, name, chosen.repository)
    near = []
    for listed in snapshots.opened(chosen.snapshot).listing():
        told = cast(JsonObject, listed.entry.attributes.get("postgres", {}))
        if "table" not in told:
            continue
        table = f"{told['database']}.{told['schema']}.{told['table']}"
        if table == choice.table:
            return listed.entry.key
        if str(told["table"]) == choice.table.rpartition(".")[2]:
            near.append(table)
    more = f"; of that name there are {', '.join(near[:_NEAR])}" if near else ""
    raise Refusal(
        "table_missing",
        found=f"snapshot {chosen.snapshot.label} of {name} holds no rows of a table {choice.table}{more}",
        expected="DATABASE.SCHEMA.TABLE, as they are called, without quotes",
        hint=f"see what there is: understudy restore {name} --to DIRECTORY --database NAME, then pg_restore --list; it may have "
        f"been made later, or removed before: understudy backups {name}",
    )


def require_loadable(resource: str, settings: PostgresDumpResource, choice: Choice, into: str, renamed: str) -> None:
    """
    Raises:
        Refusal: ``load_undeclared``, ``option_malformed``, ``part_unusable``.
    """
    if not into and settings.recover is None:
        raise Refusal(
            "load_undeclared",
            found=f"--load, and {resource} has no recover in the stack file",
            expected="the running server that it is loaded into",
            hint=f"name it: understudy restore {resource} --load --into env:NAME; or resources.{resource}.recover.url",
        )
    if into:
        try:
            parse_connection(into)
        except Unfit as unfit:
            raise Refusal(
                "option_malformed",
                found="--into (not shown: it may hold a password)",
                expected=unfit.expected,
                hint="put the connection string into a file that only you may read, and name it: --into file:/path",
            ) from None
    if renamed and choice.database is None and choice.table is None:
        raise Refusal(
            "part_unusable",
            found=f"--as {renamed}, and all databases are loaded",
            expected="one of them: --database NAME, or --table DATABASE.SCHEMA.TABLE",
            hint="name it, or leave out --as",
        )


def dump_landing(
    installation: Installation,
    request: RecoveryRequest,
    plan_id: PlanId,
    only: str | None = None,
    mode: Mode = Mode.ROUTINE,
    *,
    of_the_past: bool = False,
) -> DumpLanding:
    """Raises as ``resolve`` does, and ``connection_string_malformed``."""
    settings = installation.in_snapshots(request.resource)
    if not isinstance(settings, PostgresDumpResource):
        raise TypeError(f"no dump: {request.resource}")
    if request.into:
        url = parse_connection(request.into)
    elif settings.recover is not None:
        url = settings.recover.url
    else:
        raise Refusal(
            "restored_by_hand",
            found=f"{request.resource} is of kind {settings.kind}, and the stack file names no server for it",
            expected=f"resources.{request.resource}.recover.url",
            hint=f"add it; or restore it and load it yourself: understudy restore {request.resource} --to DIRECTORY",
        )
    shown = address_of(connection_parameters(resolve_text(url)))
    place = str(installation.state / "loads" / f"{plan_id}-{request.resource}")
    return DumpLanding(place, request.into, shown, only, request.renamed, mode, of_the_past)
