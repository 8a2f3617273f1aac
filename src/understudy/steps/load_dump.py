"""A dump goes into a running server: looked at first, loaded under temporary names, and renamed once its rows were counted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, cast

from understudy.ports.collection import EntryKind
from understudy.ports.dumps import DATABASE_ATTRIBUTE, GLOBALS, DumpedDatabase, DumpedTable, DumpServer, database_from_json
from understudy.ports.world import World
from understudy.repository.snapshots.scratch import discard_scratch
from understudy.steps.codec import step_kind
from understudy.steps.restore_base_backup import BACKUP_AT_FAULT
from understudy.steps.restore_snapshot import SnapshotRestore
from understudy.steps.witness import Witness
from understudy.vocabulary.errors import GiveUp, Refusal, UnderstudyError
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import ResourceName
from understudy.vocabulary.json import Json, JsonObject
from understudy.vocabulary.phases import Phase


@dataclass(frozen=True, slots=True)
class DumpLoad(SnapshotRestore):
    """What the steps of one load have in common."""

    into: str
    """The reference to the connection string; empty: that of the stack file."""
    renamed: str
    """Of one database, or one table: the name of the database that it comes into; empty: its own."""

    def server(self, world: World) -> DumpServer:
        return world.dump_servers[ResourceName(self.resource)].at(self.into)

    def databases(self, world: World) -> list[DumpedDatabase]:
        """Those that are wanted."""
        try:
            found = [each.entry for each in self.opened(world).listing() if each.entry.kind is EntryKind.DIRECTORY]
        except GiveUp as error:
            error.add_proof(**{BACKUP_AT_FAULT: self.label})
            raise
        described = [database_from_json(cast(JsonObject, each.attributes[DATABASE_ATTRIBUTE])) for each in found]
        return [each for each in described if self.only is None or self.only.partition("/")[0] == each.directory]

    def table(self, database: DumpedDatabase) -> DumpedTable | None:
        """The one that is wanted; None: all."""
        if self.only is None or "/" not in self.only:
            return None
        return next(each for each in database.tables if f"{database.directory}/{each.file}" == self.only)

    def comes_as(self, database: DumpedDatabase) -> str:
        return self.renamed or database.name

    def temporary(self, world: World, number: int) -> str:
        return f"understudy_{world.run.rpartition('-')[2]}_{number}"


@step_kind("check_load_target")
@dataclass(frozen=True, slots=True)
class CheckLoadTarget(DumpLoad):
    """Before anything is fetched: nothing that is there would be in the way."""

    VERB = "check-target"
    PHASE: ClassVar = Phase.PROVISION

    def run(self, world: World) -> Evidence:
        """
        Raises:
            Refusal: ``target_not_empty``, ``table_exists``.
        """
        server = self.server(world)
        witness = Witness.of(world.clock, self.resource, f"nothing of it is at {server.shown} yet")
        if world.receipts.read(f"{self.resource}-load") is not None:
            return witness.skipped("this run has begun to load")
        for database in self.databases(world):
            name, table = self.comes_as(database), self.table(database)
            if table is not None and server.has(name):
                if server.has_table(name, table.schema, table.name):
                    raise _in_the_way("table_exists", f"a table {table.shown} in the database {name}", server.shown)
            elif database.entries and server.holds(name):
                raise _in_the_way("target_not_empty", f"a database {name} that holds something", server.shown)
        return witness.done(server=server.shown)


def _in_the_way(code: str, what: str, where: str) -> Refusal:
    return Refusal(
        code,
        found=f"{where} has {what}",
        expected="nothing of that name: what is there is never overwritten",
        hint="load one database, or one table, under another name: --database NAME --as OTHER; or rename what is there",
    )


@step_kind("load_dump")
@dataclass(frozen=True, slots=True)
class LoadDump(DumpLoad):
    """Each database is a receipt twice: when it is whole under its temporary name, and when it bears its own."""

    VERB = "load"
    PHASE: ClassVar = Phase.CUT_OVER

    @property
    def time_limit(self) -> timedelta:
        return timedelta(days=7)  # the programs have limits of their own

    def run(self, world: World) -> Evidence:
        server = self.server(world)
        witness = Witness.of(world.clock, self.resource, f"{server.shown} holds {self.label}, with every row that was counted")
        done = dict(world.receipts.read(f"{self.resource}-load") or {})
        if not done:
            done["begun"] = True  # from here on there may be something to remove
            self._note(world, done)
        if self.only is None and "roles" not in done:
            done["roles"] = server.take_roles(Path(self.place) / GLOBALS)
            self._note(world, done)
        for number, database in enumerate(self.databases(world)):
            table, name = self.table(database), self.comes_as(database)
            if f"table {name}" in done or (table is not None and f"loaded {name}" not in done and server.has(name)):
                self._load_table(world, server, database, done)
            else:
                self._load(world, server, number, database, done)
        told = {name.removeprefix("loaded "): each for name, each in done.items() if name.startswith(("loaded ", "table "))}
        return witness.done(hint=_hint(done), label=self.label, server=server.shown, databases=told, roles=done.get("roles"))

    def _load(self, world: World, server: DumpServer, number: int, database: DumpedDatabase, done: dict[str, Json]) -> None:
        name, directory = self.comes_as(database), Path(self.place) / database.directory
        if f"loaded {name}" not in done:
            if not database.entries and server.has(name):
                done[f"loaded {name}"], done[f"placed {name}"] = {"tables": 0, "rows": 0}, True
            else:
                whole, table = self.only is None, self.table(database)
                temporary = self.temporary(world, number)
                done[f"loaded {name}"] = dict(server.load(directory, database, temporary, whole=whole, table=table))
            self._note(world, done)
        if f"placed {name}" not in done:
            settings = directory if self.only is None else None
            server.put_in_place(self.temporary(world, number), name, settings)
            done[f"placed {name}"] = True
            self._note(world, done)

    def _load_table(self, world: World, server: DumpServer, database: DumpedDatabase, done: dict[str, Json]) -> None:
        """It comes whole or not at all; where it came and nobody noted that, its rows tell."""
        name, table = self.comes_as(database), cast(DumpedTable, self.table(database))
        begun = done.get(f"table {name}")
        if begun is None:
            if server.has_table(name, table.schema, table.name):
                raise _in_the_way("table_exists", f"a table {table.shown} in the database {name}", server.shown)
            done[f"table {name}"] = {}
            self._note(world, done)
        if begun == {} and server.has_table(name, table.schema, table.name):
            counted = server.count_table(name, table)
            if counted != table.rows:
                raise GiveUp(
                    "load_interrupted",
                    found=f"a load of {table.shown} into {name} was cut off, and the table holds {counted} rows; the dump "
                    f"{table.rows}",
                    expected="none, or every row",
                    hint="somebody wrote into it; look at it, and load it into a database of its own: --as NAME",
                )
            done[f"table {name}"] = {"tables": 1, "rows": table.rows}
        elif not begun:
            done[f"table {name}"] = dict(server.load_table(Path(self.place) / database.directory, table, name))
        self._note(world, done)

    def _note(self, world: World, done: dict[str, Json]) -> None:
        world.receipts.write(f"{self.resource}-load", done)


def _hint(done: dict[str, Json]) -> str:
    roles = cast(JsonObject, done.get("roles") or {})
    words = []
    if roles.get("roles_missing"):
        words.append(f"roles that could not be made: {', '.join(cast('list[str]', roles['roles_missing']))}")
    if roles.get("not_taken"):
        words.append(f"left out: {'; '.join(cast('list[str]', roles['not_taken']))}")
    if roles.get("tablespaces_missing"):
        words.append(f"tablespaces that the server lacks: {', '.join(cast('list[str]', roles['tablespaces_missing']))}")
    loaded = [cast(JsonObject, each) for name, each in done.items() if name.startswith("loaded ")]
    if any(each.get("with_owners_and_rights") is False for each in loaded):
        words.append("everything belongs to who loaded it: owners and rights take a superuser, and a load of all of it")
    return "; ".join(words)


@step_kind("discard_load")
@dataclass(frozen=True, slots=True)
class DiscardLoad(DumpLoad):
    """Always runs: of what was fetched only to be loaded, and of what was not loaded whole, nothing is left."""

    VERB = "remove-loaded"
    PHASE: ClassVar = Phase.CLEAN_UP

    @property
    def time_limit(self) -> timedelta:
        return timedelta(hours=1)

    def run(self, world: World) -> Evidence:
        witness = Witness.of(world.clock, self.resource, f"nothing of {self.label} is left but what was loaded whole")
        world.places.remove(self.place, world.run)
        discard_scratch(self.index(world))
        left = self._discard_temporaries(world)
        if world.scratch.is_dir() and not any(world.scratch.iterdir()):
            world.scratch.rmdir()
        return witness.done(hint=left, gone=not world.places.facts(self.place).exists)

    def _discard_temporaries(self, world: World) -> str:
        done = world.receipts.read(f"{self.resource}-load")
        if done is None:
            return ""  # nothing was begun
        names: list[str] = []
        try:
            server = self.server(world)
            for number, database in enumerate(self.databases(world)):
                names.append(self.temporary(world, number))
                if f"placed {self.comes_as(database)}" not in done:
                    server.discard(names[-1])
        except UnderstudyError as error:
            return f"a database {names[-1] if names else 'understudy_…'} may be left on the server: {error.found}"
        return ""
