"""Where a database serves from: at the resource's ``url``, or, since a recovery, where that brought it up on this host.

What a recovery found stands in its evidence, and nowhere else; so it is the same for every process, and survives what they do.
"""

from __future__ import annotations

from dataclasses import dataclass

from understudy.adapters.postgres.connection import address_of, connection_parameters
from understudy.records.records import Records
from understudy.stack.resources import PostgresResource
from understudy.stack.secrets import resolve_text
from understudy.steps.check_address import check_address_key
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import ResourceName, RunId
from understudy.vocabulary.secret import Secret


@dataclass(frozen=True, slots=True)
class Landed:
    """A recovery through ``recover.url``, and what ``url`` named then. Addresses are ``host:port``."""

    run: RunId
    address: str
    url_address: str


def landed(records: Records | None, name: ResourceName) -> Landed | None:
    """The newest recovery, if it went through ``recover.url`` and that is not where ``url`` led anyway.

    Raises:
        TryAgain: ``state_unreadable``.
    """
    step = records.newest_success(check_address_key(name)) if records is not None else None
    if step is None or step.evidence is None or "url_address" not in step.evidence.proof:
        return None
    found = Landed(step.run, str(step.evidence.proof["address"]), str(step.evidence.proof["url_address"]))
    return found if found.address != found.url_address else None


def still_there(resource: PostgresResource, since: Landed | None) -> bool:
    """Until ``url`` names another address than it did at the recovery, or no other is named any more.

    Raises:
        GiveUp: ``secret_missing``, ``connection_string_malformed``.
    """
    if since is None or resource.recover is None or resource.recover.url is None:
        return False
    return address_of(connection_parameters(resolve_text(resource.url))) == since.url_address


def serving_connection(resource: PostgresResource, since: Landed | None) -> Secret:
    """The connection string of where the database serves from now.

    Raises:
        GiveUp: as ``still_there`` does.
    """
    recover = resource.recover
    if recover is not None and recover.url is not None and still_there(resource, since):
        return resolve_text(recover.url)
    return resolve_text(resource.url)


def landed_for_people(resource: PostgresResource, since: Landed | None) -> Landed | None:
    """What ``status`` shows, which answers where secrets are missing, too."""
    try:
        return since if still_there(resource, since) else None
    except GiveUp:
        return since
