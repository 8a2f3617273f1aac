"""One stack file on one host: where its state lies, and which adapters stand behind its names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path

from understudy.adapters.clock.system import SystemClock
from understudy.adapters.places import LocalPlaces
from understudy.adapters.postgres.accounts import Account
from understudy.adapters.postgres.database import PostgresDatabase
from understudy.adapters.postgres.instances import LocalInstances
from understudy.adapters.postgres.programs import PostgresPrograms, find_programs
from understudy.adapters.postgres.receiver import PostgresWalReceiver, ReceiverOptions
from understudy.adapters.postgres.receiver_process import ReceiverProcess
from understudy.adapters.postgres.wal_remains import DataDirectoryRemains
from understudy.adapters.streams.started_processes import MarkedProcesses
from understudy.adapters.streams.workplace import Errand, Workplace
from understudy.app.by_name import ByName
from understudy.app.collections import targets_of
from understudy.app.commands import commands_of
from understudy.app.key_ring import KeyRing, trusted_signers
from understudy.app.other_identity import keys_of_run
from understudy.app.sealers import sealer_for
from understudy.app.seen import SeenServer, read_seen
from understudy.app.serving_address import Landed, landed, serving_connection
from understudy.app.snapshot_adapters import SnapshotAdapters
from understudy.app.state_directory import default_state_directory
from understudy.app.stores import store_for
from understudy.ports.clock import Clock
from understudy.ports.collection import CollectionTargets
from understudy.ports.commanding import OperatorCommand
from understudy.ports.dumps import PartDumper
from understudy.ports.object_store import ObjectStore
from understudy.ports.running import Cancellation, Progress
from understudy.ports.sealer import Sealer
from understudy.ports.world import Keys, World
from understudy.records.receipts import FileReceipts
from understudy.records.records import Records
from understudy.records.state_database import state_unwritable
from understudy.records.warm_copies import FileWarmCopies
from understudy.repository.at_once import processors, share_arenas
from understudy.repository.catalog import Repository
from understudy.stack.loader import LoadedStack, load_stack
from understudy.stack.models import Stack
from understudy.stack.resources import PostgresResource, Resource, SnapshotResource
from understudy.stack.secrets import resolve_text
from understudy.stack.services import Service
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import RepositoryName, ResourceName, RunId
from understudy.vocabulary.secret import Secret


@dataclass(frozen=True)
class Installation:
    """Everything that a use case begins with."""

    stack: Stack
    digest: str
    stack_text: bytes
    state: Path
    clock: Clock = field(default_factory=SystemClock)

    @classmethod
    def open(cls, stack_file: Path, state: Path | None = None) -> Installation:
        """Load the stack file and make the state directory.

        Raises:
            Refusal: ``stack_file_invalid``, ``stack_file_missing``.
            GiveUp: ``state_unwritable``.
        """
        share_arenas()
        installation = cls.looked_at(load_stack(stack_file), state)
        try:
            installation.state.mkdir(parents=True, exist_ok=True, mode=0o711)
        except OSError as error:
            raise state_unwritable(f"{installation.state}: {error.strerror}") from error
        return installation

    @classmethod
    def looked_at(cls, loaded: LoadedStack, state: Path | None = None) -> Installation:
        """As ``open``, of a file that was loaded already; nothing is made."""
        directory = state or default_state_directory(loaded.stack)
        return cls(loaded.stack, loaded.digest, loaded.content, directory.resolve())

    # Names

    def resource(self, name: str) -> Resource:
        """
        Raises:
            Refusal: ``no_such_resource``.
        """
        found = self.stack.resources.get(name)
        if found is None:
            raise Refusal(
                "no_such_resource",
                found=f"no resource is called {name!r}",
                expected=f"one of {', '.join(self.stack.resources)}",
                hint=f"{name} is a service: it keeps nothing of its own"
                if name in self.stack.services
                else "resources are named in the stack file",
            )
        return found

    def part(self, name: str) -> Resource | Service:
        """What is declared of a resource, or of a service.

        Raises:
            Refusal: ``no_such_resource``.
        """
        return self.stack.services.get(name) or self.resource(name)

    def postgres(self, name: str) -> PostgresResource:
        """What is declared of a database; for what only databases know.

        Raises:
            Refusal: ``no_such_resource``; ``resource_is_no_database``.
        """
        found = self.resource(name)
        if not isinstance(found, PostgresResource):
            databases = ", ".join(self.database_names())
            raise Refusal(
                "resource_is_no_database",
                found=f"{name} is of kind {found.kind}",
                expected=f"a resource of kind postgres: {databases}"
                if databases
                else "a resource of kind postgres, and there is none",
                hint=f"{name} is kept in snapshots: understudy backup {name}, understudy backups {name}, and understudy restore",
            )
        return found

    def in_snapshots(self, name: str) -> SnapshotResource:
        """What is declared of what is no database.

        Raises:
            Refusal: ``no_such_resource``; ``resource_is_a_database``.
        """
        found = self.resource(name)
        if isinstance(found, PostgresResource):
            raise Refusal(
                "resource_is_a_database",
                found=f"{name} is of kind postgres",
                expected=f"a resource that is kept in snapshots: {', '.join(self.snapshot_names()) or 'there is none'}",
                hint=f"a database is restored whole: understudy restore {name} --to DIRECTORY",
            )
        return found

    def is_database(self, name: str) -> bool:
        return isinstance(self.part(name), PostgresResource)

    def resource_names(self) -> tuple[ResourceName, ...]:
        return tuple(ResourceName(name) for name in self.stack.resources)

    def database_names(self) -> tuple[ResourceName, ...]:
        return tuple(name for name in self.resource_names() if self.is_database(name))

    def snapshot_names(self) -> tuple[ResourceName, ...]:
        return tuple(name for name in self.resource_names() if not self.is_database(name))

    def service_names(self) -> tuple[ResourceName, ...]:
        return tuple(ResourceName(name) for name in self.stack.services)

    def repository_names(self, resource: str | None = None) -> tuple[RepositoryName, ...]:
        """Of a resource those that keep it; a service is kept nowhere."""
        if resource in self.stack.services:
            return ()
        names = self.stack.repositories_of(resource) if resource else tuple(self.stack.repositories)
        return tuple(RepositoryName(name) for name in names)

    def repository_name(self, name: str) -> RepositoryName:
        """
        Raises:
            Refusal: ``no_such_repository``.
        """
        if name not in self.stack.repositories:
            raise Refusal(
                "no_such_repository",
                found=f"no repository is called {name!r}",
                expected=f"one of {', '.join(self.stack.repositories)}",
                hint="repositories are named in the stack file",
            )
        return RepositoryName(name)

    @property
    def locking(self) -> frozenset[RepositoryName]:
        """The repositories that lock what they hold."""
        return frozenset(RepositoryName(name) for name, each in self.stack.repositories.items() if each.lock is not None)

    # Adapters

    @cached_property
    def keys(self) -> KeyRing:
        return KeyRing.of(self.stack.encryption, self.state)

    @cached_property
    def stores(self) -> Mapping[RepositoryName, ObjectStore]:
        return ByName(self.repository_names(), lambda name: store_for(self.stack.repositories[name], self.clock))

    @cached_property
    def sealer(self) -> Sealer:
        return sealer_for(self.stack.encryption)

    @cached_property
    def databases(self) -> Mapping[ResourceName, PostgresDatabase]:
        return ByName(self.database_names(), self._database)

    @cached_property
    def declared(self) -> Mapping[ResourceName, PostgresDatabase]:
        return ByName(self.database_names(), lambda name: self._reached_by(name, lambda: resolve_text(self.postgres(name).url)))

    @cached_property
    def landings(self) -> Mapping[ResourceName, PostgresDatabase]:
        declared = ((name, self.postgres(name).recover) for name in self.database_names())
        named = {name: recover.url for name, recover in declared if recover is not None and recover.url is not None}
        return ByName(tuple(named), lambda name: self._reached_by(name, lambda: resolve_text(named[name])))

    @cached_property
    def receivers(self) -> Mapping[ResourceName, PostgresWalReceiver]:
        return ByName(self.database_names(), self._receiver)

    @cached_property
    def instances(self) -> Mapping[ResourceName, LocalInstances]:
        return ByName(self.database_names(), self._instances)

    def commands(self, workplace: Workplace) -> Mapping[str, OperatorCommand]:
        return commands_of(self.stack, workplace)

    @property
    def targets(self) -> Mapping[ResourceName, CollectionTargets]:
        return ByName(self.snapshot_names(), lambda name: targets_of(self.in_snapshots(name)))

    @cached_property
    def records(self) -> Records:
        return Records(self.state, self.clock, self.keys.evidence_signer)

    @cached_property
    def past(self) -> Records:
        """For who only looks, which needs no key."""
        return Records(self.state, self.clock)

    @cached_property
    def warm_copies(self) -> FileWarmCopies:
        return FileWarmCopies(self.state)

    def reading(self, records: Records) -> Installation:
        """The same for who only looks, with records that were opened otherwise."""
        other = replace(self)
        other.__dict__.update(records=records, past=records)
        return other

    def with_keys(self, keys: Keys) -> Installation:
        """The same with other keys, everything else shared."""
        for shared in ("stores", "sealer", "databases", "declared", "landings", "receivers", "instances", "records", "past"):
            getattr(self, shared)
        other = replace(self)
        other.__dict__.update({**self.__dict__, "keys": replace(self.keys, keys=keys)})
        return other

    def require_believed_signer(self, *, own_key_will_do: bool = False) -> None:
        """Before anything is signed. Raises as ``KeyRing.require_believed`` does."""
        self.keys.require_believed(self.stack.encryption, own_key_will_do=own_key_will_do)

    def repository(self, name: RepositoryName) -> Repository:
        keys = self.keys.keys
        return Repository(self.stores[name], self.sealer, keys)

    def looked_into(self, name: RepositoryName) -> Repository:
        """The repository, for who reads only what is not sealed: no key is made, and none is asked for."""
        signers = trusted_signers(self.stack.encryption, self.state)
        return Repository(self.stores[name], self.sealer, Keys(self.stack.encryption.recipients, None, None, signers))

    def spool_directory(self, name: ResourceName) -> Path:
        declared = self.postgres(name).wal.spool
        return Path(declared) if declared else self.state / "wal" / name

    def receiver_pid(self, name: ResourceName) -> int | None:
        """Of the WAL receiver, if it runs. Needs no secret, so that ``status`` answers everywhere."""
        found = ReceiverProcess(self.spool_directory(name) / "lock", self.clock).find()
        return found.pid if found else None

    def seen(self, resource: ResourceName) -> SeenServer | None:
        """What was last seen of the resource's server; also known when the server is gone."""
        return read_seen(self.state, resource)

    def world_for(self, run: RunId, progress: Progress, cancellation: Cancellation) -> World:
        workplace = Workplace(run, self.state / "runs" / run / "scratch", self.clock, progress, cancellation)
        settings = {name: self.in_snapshots(name) for name in self.snapshot_names()}
        snapshots = SnapshotAdapters(settings, workplace, self.state / "drills")
        return World(
            run=run,
            controller=self.records.controller_id(),
            clock=self.clock,
            receipts=FileReceipts(self.state, run),
            readings=self.records.readings,
            progress=progress,
            cancellation=cancellation,
            stores=self.stores,
            sealer=self.sealer,
            keys=keys_of_run(self, run),
            databases=self.databases,
            declared=self.declared,
            landings=self.landings,
            receivers=self.receivers,
            instances=self.instances,
            places=LocalPlaces(),
            collections=snapshots.collections(),
            targets=self.targets,
            loaders=snapshots.loaders(),
            trials=snapshots.trials(),
            operated=snapshots.operated(),
            stagings=snapshots.stagings(),
            dump_servers=snapshots.dump_servers(),
            commands=self.commands(workplace),
            started=MarkedProcesses(workplace),
            part_dumpers=ByName(self.database_names(), lambda name: self._part_dumper(name, workplace)),
            scratch=workplace.scratch,
            remains=DataDirectoryRemains(),
            warm_copies=self.warm_copies,
        )

    def landed(self, name: ResourceName) -> Landed | None:
        """The recovery that brought the resource up elsewhere than at its ``url``. Nothing is made where nothing ran yet."""
        return landed(self.past if (self.state / "state.db").exists() else None, name)

    def _database(self, name: ResourceName) -> PostgresDatabase:
        return self._reached_by(name, lambda: self._serving_connection(name))

    def _reached_by(self, name: ResourceName, conninfo: Callable[[], Secret]) -> PostgresDatabase:
        seen = self.seen(name)
        return PostgresDatabase(conninfo, self.clock, seen.system_identifier if seen else None)

    def _serving_connection(self, name: ResourceName) -> Secret:
        return serving_connection(self.postgres(name), self.landed(name))

    def _receiver(self, name: ResourceName) -> PostgresWalReceiver:
        resource = self.postgres(name)
        options = ReceiverOptions(
            slot=self.stack.slot_of(name),
            spool_directory=self.spool_directory(name),
            limit_bytes=resource.wal.spool_limit,
            application_name=self.stack.slot_of(name),
            synchronous=resource.wal.synchronous,
            programs_directory=resource.recover.programs if resource.recover else None,
        )
        return PostgresWalReceiver(lambda: self._serving_connection(name), lambda: self.databases[name], self.clock, options)

    def _part_dumper(self, name: ResourceName, workplace: Workplace) -> PartDumper:
        from understudy.adapters.dumps.part_dumper import LocalPartDumper

        errand = Errand(workplace, name, timedelta(hours=24))
        return LocalPartDumper(errand, lambda: str(self._programs(name).directory), processors())

    def _instances(self, name: ResourceName) -> LocalInstances:
        resource = self.postgres(name)
        account = Account.choose(resource.recover.user if resource.recover else None)
        return LocalInstances(self._programs(name, account), self.clock, account=account)

    def _programs(self, name: ResourceName, user: Account | None = None) -> PostgresPrograms:
        """Those of drills, else of recoveries."""
        resource = self.postgres(name)
        explicit = resource.drill.programs or (resource.recover.programs if resource.recover else None)
        return find_programs(self.major_of(name), explicit, user=user)

    def major_of(self, name: ResourceName) -> int:
        """PostgreSQL's major version, from the newest backup, else as last seen on the server."""
        seen = self.seen(name)
        if seen is not None:
            return seen.major
        for repository in self.repository_names(name):
            backups = self.repository(repository).backups(name).usable
            if backups:
                return max(backups, key=lambda backup: backup.stop_time).server_major
        return self.databases[name].facts().major
