"""The way into a server of this host: the role and the database by which it lets us ask."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import psycopg

from understudy.adapters.postgres.local_session import LocalSession, local_session
from understudy.adapters.postgres.shared_catalogs import databases, superusers
from understudy.ports.instance import InstancePlace
from understudy.vocabulary.errors import GiveUp

_ROLE_REFUSED = re.compile(
    r'role "[^"]*" (is not permitted to log in|does not exist)|authentication failed|pg_hba\.conf|permission denied for database'
)
_DATABASE_REFUSED = re.compile(
    r'database "[^"]*" (does not exist|is not currently accepting connections)|cannot connect to invalid database'
)


class ServerRefuses(Exception):
    """The server answers, and lets no superuser in. It becomes ``instance_refuses_us``, and never leaves this folder."""


@dataclass(frozen=True, slots=True)
class _Way:
    superuser: str
    database: str


class Entrances:
    """By which role and database each server lets us in. What one did is tried first the next time.

    A hardened cluster may keep its bootstrap superuser from logging in, and may have no database ``postgres``.
    """

    def __init__(self) -> None:
        self._known: dict[str, _Way] = {}

    @contextmanager
    def session(self, place: InstancePlace, database: str | None = None) -> Iterator[LocalSession]:
        """As a superuser; without ``database`` in whichever lets us in, ``postgres`` if it can be.

        Raises:
            ServerRefuses: no superuser is let in.
            psycopg.OperationalError: it does not answer, or has no such ``database``.
        """
        with ExitStack() as opened:
            yield self._enter(opened, place, database)

    def superuser(self, place: InstancePlace) -> str:
        """Who is let in. Raises as ``session`` does."""
        with self.session(place):
            return self._known[place.directory].superuser

    def _enter(self, opened: ExitStack, place: InstancePlace, database: str | None) -> LocalSession:
        refusals: dict[str, None] = {}
        shut: set[str] = set()
        for way in self._ways(place, database):
            if way.superuser in shut:
                continue
            try:
                session = opened.enter_context(local_session(place, way.superuser, way.database))
            except psycopg.OperationalError as error:
                words = in_one_line(error)
                if _ROLE_REFUSED.search(words):
                    shut.add(way.superuser)
                elif database is not None or not _DATABASE_REFUSED.search(words):
                    raise
                refusals[words] = None
            else:
                if database is None:
                    self._known[place.directory] = way
                return session
        raise ServerRefuses("; ".join(refusals))

    def _ways(self, place: InstancePlace, database: str | None) -> list[_Way]:
        known = self._known.get(place.directory)
        names, roles = (database,) if database is not None else databases(place.directory), superusers(place.directory)
        ways = [_Way(role, name) for role in roles for name in names]
        if known is not None:
            ways.insert(0, _Way(known.superuser, database or known.database))
        return list(dict.fromkeys(ways))


def in_one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def names_no_database(words: str) -> bool:
    """Whether a server that refused a connection has no such database, or none that can be connected to."""
    return _DATABASE_REFUSED.search(words) is not None


def instance_refuses_us(place: InstancePlace, refused: ServerRefuses) -> GiveUp:
    return GiveUp(
        "instance_refuses_us",
        found=f"the server in {place.directory} lets no superuser in: {refused}",
        expected="one superuser that may log in, over the socket that only Understudy uses, and one database to connect to",
        hint="if it was started by somebody else, with other rules: stop it, and start again. Else, on the server that was "
        "backed up: ALTER ROLE … LOGIN for one superuser (pg_hba.conf can keep it out everywhere else), let the WAL stream, "
        "start again. If that server is gone: restore by hand with the repository's RECOVERY.md, stop what came back, and let "
        "the role in with postgres --single",
    )
