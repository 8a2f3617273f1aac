"""The statements of what pg_dumpall writes of roles and tablespaces. Pure."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass

_IDENTIFIER = r'("(?:[^"]|"")+"|[^\s;"]+)'
_OF_A_ROLE = re.compile(rf"(?:CREATE|ALTER|COMMENT ON) ROLE {_IDENTIFIER}")
_MEMBERSHIP = re.compile(rf"GRANT {_IDENTIFIER} TO {_IDENTIFIER}")
_OF_A_TABLESPACE = re.compile(rf"(?:(?:CREATE|ALTER|COMMENT ON) TABLESPACE|(?:GRANT|REVOKE) .* ON TABLESPACE) {_IDENTIFIER}")
_SETTING = re.compile(r"SET ")


def statements(text: str) -> Iterator[str]:
    """Without comments and psql's own commands, which begin a line. A string may hold line ends; its quotes are doubled, and so
    the number of quotes tells whether it has ended.
    """
    pending = ""
    for line in text.splitlines(keepends=True):
        if not pending and (line.startswith(("--", "\\")) or not line.strip()):
            continue
        pending += line
        if pending.rstrip().endswith(";") and pending.count("'") % 2 == 0:
            yield pending.strip()
            pending = ""


@dataclass(frozen=True, slots=True)
class RoleStatement:
    text: str
    about: str
    """The role, or what else it is about: for people, who must not read its password."""


def role_statements(text: str, there: Container[str]) -> Iterator[RoleStatement]:
    """What makes the roles that are not ``there`` already, and the memberships of all."""
    for statement in statements(text):
        if _SETTING.match(statement) or _OF_A_TABLESPACE.match(statement):
            continue
        if of_a_role := _OF_A_ROLE.match(statement):
            name = plain(of_a_role[1])
            if name not in there:
                yield RoleStatement(statement, f"the role {name}")
        elif membership := _MEMBERSHIP.match(statement):
            yield RoleStatement(statement, f"that {plain(membership[2])} is a member of {plain(membership[1])}")
        else:
            yield RoleStatement(statement, " ".join(statement.split()[:4]))


def created_roles(text: str) -> list[str]:
    found = (re.match(rf"CREATE ROLE {_IDENTIFIER}", each) for each in statements(text))
    return [plain(each[1]) for each in found if each]


def tablespaces(text: str) -> list[str]:
    found = (re.match(rf"CREATE TABLESPACE {_IDENTIFIER}", each) for each in statements(text))
    return [plain(each[1]) for each in found if each]


def plain(identifier: str) -> str:
    """As the catalogs have it."""
    return identifier[1:-1].replace('""', '"') if identifier.startswith('"') else identifier


def missing(wanted: Iterable[str], there: Container[str]) -> list[str]:
    return [each for each in wanted if each not in there]
