"""Looking at where a recovery would land, before there is one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from psycopg.conninfo import make_conninfo

from understudy.adapters.postgres.accounts import Account
from understudy.adapters.postgres.connection import connection_parameters
from understudy.app.installation import Installation
from understudy.app.landing import address_to_move, own_directory, recovery_place, unreadable_configuration
from understudy.judge.preflight import Finding, Grade, finding_of
from understudy.judge.preflight_landing import LandingFacts, judge_address, judge_configuration
from understudy.stack.resources import RecoverSettings
from understudy.stack.secrets import PlainText, SecretPlace, SecretReference, resolve_text
from understudy.vocabulary.errors import GiveUp, UnderstudyError
from understudy.vocabulary.identifiers import ResourceName

_KEPT = ("user", "dbname")


def check_landing(installation: Installation, name: ResourceName, settings: Mapping[str, str] | None) -> Iterator[Finding]:
    resource = installation.postgres(name)
    recover = resource.recover
    if recover is None:
        return
    try:
        account = Account.choose(recover.user)
    except UnderstudyError:
        return  # told with the directories
    unreadable = tuple(unreadable_configuration(recover.configuration, account)) if recover.configuration else ()
    facts = LandingFacts(
        subject=f"resource {name}",
        resource=name,
        address_to_move=address_to_move(resource),
        recovered_url=_recovered_url(resource.url, recover),
        recovered_reference=_beside(resource.url) if isinstance(resource.url, SecretReference) else None,
        configuration=recover.configuration,
        unreadable=unreadable,
        ours=own_directory(recover),
    )
    try:
        connection_parameters(resolve_text(recover.url or resource.url))
        yield judge_address(facts)
    except GiveUp as error:
        yield finding_of(error, facts.subject, "recover_address")
    yield judge_configuration(facts, settings)
    try:
        place = recovery_place(name, recover, (account.user_id, account.group_id))
        found = f"its clients find the server in {place.client_socket_directory}, people its log in {place.log}"
        yield Finding(facts.subject, "recover_place", Grade.OK, found)
    except UnderstudyError as error:
        yield finding_of(error, facts.subject, "recover_place")


def _recovered_url(url: SecretReference | PlainText, recover: RecoverSettings) -> str:
    """The connection string of ``url``, led to the recovered server: user and database only, never a secret."""
    try:
        known = connection_parameters(resolve_text(url))
    except GiveUp:
        known = {}
    first = recover.listen_addresses.partition(",")[0].strip()
    host = "localhost" if first in ("*", "0.0.0.0", "::", "localhost") else first  # noqa: S104 - compared, not bound to
    return make_conninfo("", host=host, port=recover.port, **{key: known[key] for key in _KEPT if key in known})


def _beside(url: SecretReference) -> str:
    return f"{url}_RECOVERED" if url.place is SecretPlace.ENVIRONMENT else f"{url}-recovered"
