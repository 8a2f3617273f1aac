"""Read everything that came back, and ask the operator's questions of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.instance import Instances, LogicalRead
from understudy.ports.world import World
from understudy.steps.codec import step_kind
from understudy.steps.placed import PlacedStep
from understudy.steps.restore_base_backup import BACKUP_AT_FAULT
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.heartbeat import HEARTBEAT_TABLE
from understudy.vocabulary.json import Json, JsonObject
from understudy.vocabulary.phases import Phase
from understudy.vocabulary.sql_checks import judged_answer

_NEWEST_HEARTBEAT = (
    f"SELECT to_char(max(written) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"') FROM {HEARTBEAT_TABLE}"  # noqa: S608
)
_DATABASES = "SELECT datname FROM pg_database WHERE datallowconn AND datname <> 'template0' ORDER BY datname"
_SERVER_VERSION = "SELECT current_setting('server_version')"
_INVALID_INDEXES = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"
_UNLOGGED = "SELECT count(*) FROM pg_class WHERE relpersistence = 'u' AND relkind IN ('r', 'p')"

NO_NETWORK = "none: a namespace of its own"
CLOSED_BY_SETTINGS = "the host's, closed by the server's settings"
"""How the server was kept from the network while its rows and the operator's checks were read."""

_INVALID_PAGE = "invalid page in block"
"""What the server, which we start in English, says of a page that disagrees with its checksum. Rows that cannot be read for
another reason may well be so in every backup."""


@step_kind("verify_database")
@dataclass(frozen=True, slots=True)
class VerifyDatabase(PlacedStep):
    """A full logical read of every database, amcheck where the server has it, and the stack file's checks.

    ``checks`` are mappings with ``sql``, ``name``, ``database`` and bounds, each as text: ``equals`` alone, or ``at_least``,
    ``at_most`` or both; all must hold.
    """

    checks: tuple[Mapping[str, str], ...] = ()
    heartbeat_database: str | None = None
    """Where the table of heartbeats is; None where the stack file declares none."""
    workers: int = 2
    """How many connections read at once."""
    label: str = ""
    """The newest backup of the chain that was restored."""
    reads_rows: bool = True
    """A warm copy was read whole when it was seeded; what it replayed since is read once it serves (``VerifyServed``)."""
    VERB = "verify-database"
    PHASE: ClassVar = Phase.VERIFY

    @property
    def time_limit(self) -> timedelta:
        return timedelta(hours=12)

    def run(self, world: World) -> Evidence:
        claim = "every row can be read, and the operator's checks hold" if self.reads_rows else "the operator's checks hold"
        witness = Witness.of(world.clock, self.resource, claim)
        instances = self.instances(world)
        try:
            return self._verify(world, instances, witness)
        except GiveUp as error:
            if _INVALID_PAGE in error.found:
                error.add_proof(**{BACKUP_AT_FAULT: self.label})
            raise

    def _verify(self, world: World, instances: Instances, witness: Witness) -> Evidence:
        names = [str(row[0]) for row in instances.query(self.place, _DATABASES)] if self.reads_rows else []
        read = (
            instances.read_logically(self.place, names, self.workers, world.progress, world.cancellation)
            if self.reads_rows
            else {}
        )
        databases: dict[str, Json] = {}
        hints: list[str] = []
        for done, name in enumerate(names):
            world.cancellation.raise_if_requested()
            world.progress.report(f"checking the structure of database {name}", done, len(names), "databases")
            databases[name] = self._examine(instances, read[name], hints)
        results: list[Json] = [self._ask(instances, check) for check in self.checks]
        return witness.done(
            hint="; ".join(hints),
            server_version=instances.query(self.place, _SERVER_VERSION)[0][0],
            databases=databases,
            checks=results,
            newest_heartbeat=self._newest_heartbeat(instances),
            network=NO_NETWORK if instances.is_cut_off(self.place) else CLOSED_BY_SETTINGS,
        )

    def _newest_heartbeat(self, instances: Instances) -> str | None:
        if self.heartbeat_database is None:
            return None
        there = instances.query(self.place, f"SELECT to_regclass('{HEARTBEAT_TABLE}')", self.heartbeat_database)
        if there[0][0] is None:
            return None
        return instances.query(self.place, _NEWEST_HEARTBEAT, self.heartbeat_database)[0][0]

    def _examine(self, instances: Instances, read: LogicalRead, hints: list[str]) -> JsonObject:
        name = read.database
        changes = instances.changed_collations(self.place, name)
        unlogged = int(instances.query(self.place, _UNLOGGED, name)[0][0] or 0)
        if unlogged:
            hints.append(f"in database {name} {unlogged} unlogged tables came back empty, as PostgreSQL defines it")
        if changes.collations:
            hints.append(
                f"database {name} uses {len(changes.collations)} collations of another version on this host, which may sort "
                f"otherwise: REINDEX the {changes.index_count} indexes that the evidence names, look at range partitions and "
                "constraints on text, then ALTER DATABASE or ALTER COLLATION … REFRESH VERSION"
            )
        return {
            "relations": read.relations,
            "rows": read.rows,
            "relation_bytes": read.relation_bytes,
            "large_objects": read.large_objects,
            "foreign_tables_not_read": read.foreign_tables,
            "definitions_sha256": read.definitions_sha256,
            "amcheck_relations": instances.check_structure(self.place, name, self.workers),
            "invalid_indexes": str(instances.query(self.place, _INVALID_INDEXES, name)[0][0]),
            "unlogged_tables": unlogged,
            "changed_collations": [asdict(each) for each in changes.collations],
            "indexes_to_rebuild": list(changes.indexes),
            "indexes_to_rebuild_count": changes.index_count,
        }

    def _ask(self, instances: Instances, check: Mapping[str, str]) -> JsonObject:
        rows = instances.ask(self.place, check["sql"], check.get("database", "postgres"), self.time_limit)
        return judged_answer(check, rows[0][0] if rows and rows[0] else None)


@step_kind("verify_served")
@dataclass(frozen=True, slots=True)
class VerifyServed(VerifyDatabase):
    """What comes after the opening where a warm copy serves at once: the same reading, while clients are at work. The recovery
    time does not depend on the database's size by it; what it finds fails the run, and the service goes on.
    """

    VERB = "verify-served-database"
    PHASE: ClassVar = Phase.PROTECT
