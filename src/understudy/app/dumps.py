"""From the settings of a server that is kept as dumps to what dumps it. The adapters are imported when one is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from understudy.adapters.streams.workplace import Errand, Workplace
from understudy.judge.preflight import Finding, Grade
from understudy.ports.collection import Collection, Staging
from understudy.stack.dumps import PostgresDumpResource
from understudy.stack.secrets import resolve_text
from understudy.vocabulary.identifiers import ResourceName
from understudy.vocabulary.secret import Secret

if TYPE_CHECKING:
    from understudy.adapters.dumps.client import PostgresClient


def dump_of(name: ResourceName, settings: PostgresDumpResource, workplace: Workplace) -> Collection:
    """What is kept. Nothing is started yet.

    Raises:
        GiveUp: ``secret_missing``, ``secret_unreadable``, ``connection_string_malformed``.
    """
    from understudy.adapters.dumps.dump_collection import DumpCollection, DumpWish

    wish = DumpWish(settings.databases, settings.jobs, settings.count_rows)
    errand = Errand(workplace, name, settings.time_limit)
    return DumpCollection(_client(settings, errand), wish, errand)


def staging_of(name: ResourceName, settings: PostgresDumpResource, workplace: Workplace) -> Staging:
    """Needs no secret."""
    from understudy.adapters.dumps.staging import DumpStaging

    return DumpStaging(Errand(workplace, name, settings.time_limit))


def _client(settings: PostgresDumpResource, errand: Errand) -> PostgresClient:
    from understudy.adapters.dumps.client import PostgresClient

    return PostgresClient(lambda: _resolved(settings), errand, settings.programs)


def _resolved(settings: PostgresDumpResource) -> Secret:
    return resolve_text(settings.url)


def check_dump(subject: str, name: ResourceName, settings: PostgresDumpResource, workplace: Workplace) -> tuple[Finding, ...]:
    """Nothing is dumped for it.

    Raises:
        GiveUp, TryAgain: what stands in the way.
    """
    from understudy.adapters.dumps.databases import choose_databases, unreadable_tables

    client = _client(settings, Errand(workplace, name, settings.time_limit))
    seen = client.see()
    programs = client.programs(seen.major)
    names, left_out = choose_databases(client, settings.databases)
    found = f"PostgreSQL {seen.version}, pg_dump {programs.major}; dumped: {', '.join(names) or 'no database'}"
    findings = [Finding(subject, "source", Grade.OK, found)]
    if left_out:
        findings.append(
            Finding(
                subject, "passed_over", Grade.WARNING, f"not dumped: {'; '.join(left_out)}", "every database, or a list of them",
                "GRANT CONNECT ON DATABASE … to the role of url; or list those that count: databases",
            )
        )  # fmt: skip
    if not seen.reads_passwords:
        findings.append(
            Finding(
                subject, "passwords", Grade.WARNING, "the role may not read pg_authid: roles are kept without their passwords",
                "roles with their passwords, or a person who knows them",
                "managed servers allow no better: keep the passwords where secrets are kept, and set them again after a load",
            )
        )  # fmt: skip
    if denied := {each: tables for each in names if (tables := unreadable_tables(client, each))}:
        told = "; ".join(f"{each}: {', '.join(tables)}" for each, tables in denied.items())
        findings.append(
            Finding(
                subject, "rights", Grade.FAILURE, f"the role may not read {told}", "that it may read every table",
                "GRANT pg_read_all_data TO the role of url",
            )
        )  # fmt: skip
    return tuple(findings)
