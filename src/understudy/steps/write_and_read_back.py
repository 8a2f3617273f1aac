"""The proof that the service is back: a commit, and another connection that sees it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from understudy.ports.world import World
from understudy.steps.codec import step_kind
from understudy.steps.placed import PlacedStep
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.phases import Phase

_TABLE = "understudy_recovery_proof"
_DATABASES = "SELECT datname FROM pg_database WHERE datallowconn AND datname <> 'template0' ORDER BY datistemplate, datname"


@step_kind("write_and_read_back")
@dataclass(frozen=True, slots=True)
class WriteAndReadBack(PlacedStep):
    """Here the recovery clock stops: ``pg_ctl`` and "accepts connections" are both true long before a write works."""

    database: str = "postgres"
    """Where the row goes; into the first that allows connections where there is none of that name."""
    VERB = "write-and-read-back"
    PHASE: ClassVar = Phase.CUT_OVER

    @property
    def time_limit(self) -> timedelta:
        return timedelta(minutes=5)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, "a commit was written and read back over another connection")
        instances = self.instances(world)
        names = [str(row[0]) for row in instances.query(self.place, _DATABASES)]
        database = self.database if self.database in names else names[0]
        instances.execute(
            self.place,
            (
                f"DROP TABLE IF EXISTS {_TABLE}",
                f"CREATE TABLE {_TABLE} (run text, written timestamptz DEFAULT now())",
                f"INSERT INTO {_TABLE} (run) VALUES ('{world.run}')",  # noqa: S608
            ),
            database,
        )
        read = f"SELECT written, pg_is_in_recovery() FROM {_TABLE} WHERE run = '{world.run}'"  # noqa: S608
        rows = instances.query(self.place, read, database)
        if len(rows) != 1:
            raise GiveUp(
                "write_not_read_back",
                found=f"{len(rows)} rows of this run in {_TABLE} after a commit",
                expected="exactly one",
                hint="the server accepted a commit that another connection can't see: do not let clients in; read its log",
            )
        instances.execute(self.place, (f"DROP TABLE {_TABLE}",), database)
        return witness.done(database=database, written=rows[0][0], in_recovery=rows[0][1])
