"""From the settings of a server that is kept as dumps to what dumps it. The adapters are imported when one is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.adapters.streams.workplace import Errand, Workplace
from understudy.judge.preflight import Finding, Grade
from understudy.ports.collection import Collection, Staging
from understudy.ports.dumps import DumpServer, DumpServers
from understudy.ports.trying_out import ContentTrial
from understudy.stack.checks import SqlCheck
from understudy.stack.dumps import PostgresDumpResource
from understudy.stack.secrets import PlainText, SecretReference, resolve_text
from understudy.stack.values import parse_connection
from understudy.vocabulary.errors import GiveUp
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


def trial_of_dump(
    name: ResourceName, settings: PostgresDumpResource, workplace: Workplace, drills: Path, sockets: Callable[[str], str]
) -> ContentTrial:
    """
    Args:
        drills: Where drills make their directories.
        sockets: The short directory that a server of a place has its socket in.
    """
    from understudy.adapters.dumps.trial import DumpTrial

    directory = drills / f"{workplace.run}-{name}-server"
    return DumpTrial(
        directory,
        Path(sockets(str(directory))),
        Errand(workplace, name, settings.time_limit),
        programs=settings.programs,
        jobs=settings.jobs,
        checks=check_fields(settings.checks),
    )


def servers_of(name: ResourceName, settings: PostgresDumpResource, workplace: Workplace) -> DumpServers:
    return _Servers(settings, Errand(workplace, name, settings.time_limit))


@dataclass(frozen=True, slots=True)
class _Servers:
    settings: PostgresDumpResource
    errand: Errand

    def at(self, reference: str) -> DumpServer:
        from understudy.adapters.dumps.client import PostgresClient
        from understudy.adapters.dumps.loading import LoadingServer

        url = self._url(reference)
        client = PostgresClient(lambda: resolve_text(url), self.errand, self.settings.programs)
        return LoadingServer(client, self.errand, self.settings.jobs, check_fields(self.settings.checks))

    def _url(self, reference: str) -> SecretReference | PlainText:
        if reference:
            return parse_connection(reference)
        if self.settings.recover is None:
            raise GiveUp(
                "load_target_undeclared",
                found=f"no recover below resources.{self.errand.resource} in the stack file",
                expected="the running server that dumps are loaded into",
                hint=f"add recover: {{url: …}}, or name it: understudy restore {self.errand.resource} --load --into REFERENCE",
            )
        return self.settings.recover.url


def check_fields(checks: Iterable[SqlCheck]) -> tuple[Mapping[str, str], ...]:
    """As steps and adapters have them."""
    return tuple({name: str(value) for name, value in check.model_dump(exclude_none=True).items()} for check in checks)


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
