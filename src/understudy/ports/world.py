"""Everything a step may touch, by narrow members. Names are resolved here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from understudy.ports.clock import Clock
from understudy.ports.collection import Collection, CollectionTargets, Staging
from understudy.ports.commanding import OperatorCommand, StartedProcesses
from understudy.ports.database import Database
from understudy.ports.dumps import DumpServers, PartDumper
from understudy.ports.instance import Instances
from understudy.ports.loading import Loader
from understudy.ports.object_store import ObjectStore
from understudy.ports.operating import OperatedServer
from understudy.ports.places import Places
from understudy.ports.readings import Readings
from understudy.ports.running import Cancellation, Progress, Receipts
from understudy.ports.sealer import Sealer
from understudy.ports.trying_out import ContentTrial
from understudy.ports.wal_receiver import WalReceiver
from understudy.ports.wal_remains import WalRemains
from understudy.ports.warm_copies import WarmCopies
from understudy.vocabulary.identifiers import RepositoryName, ResourceName, RunId
from understudy.vocabulary.secret import Secret


@dataclass(frozen=True, slots=True)
class Keys:
    """What seals, opens, signs and is trusted. ``identity`` is absent where backups are only written."""

    recipients: tuple[str, ...]
    identity: Secret | None
    signing_key: Secret | None
    """Ed25519 private key, 32 bytes in base64."""
    trusted_signers: frozenset[str]
    """Ed25519 public keys, base64."""


@dataclass(frozen=True, slots=True)
class World:
    """The outside world as one run sees it. ``run`` is the run's own id: markers and names of attempts are made of it."""

    run: RunId
    controller: str
    """The controller's own random name, under which it claims a repository."""
    clock: Clock
    receipts: Receipts
    readings: Readings
    progress: Progress
    cancellation: Cancellation
    stores: Mapping[RepositoryName, ObjectStore]
    sealer: Sealer
    keys: Keys
    databases: Mapping[ResourceName, Database]
    """By the address that each serves from now."""
    declared: Mapping[ResourceName, Database]
    """By the resource's own ``url``, wherever that leads."""
    landings: Mapping[ResourceName, Database]
    """By the address that leads to what a recovery brings up on this host; those that name one."""
    receivers: Mapping[ResourceName, WalReceiver]
    instances: Mapping[ResourceName, Instances]
    places: Places
    collections: Mapping[ResourceName, Collection]
    """What is kept in snapshots."""
    targets: Mapping[ResourceName, CollectionTargets]
    """Where snapshots of each may be restored to."""
    scratch: Path
    """A directory of this run's own, made by who needs it, for what only spares work that was done already. Beside the receipts;
    it need not survive the machine."""
    remains: WalRemains
    warm_copies: WarmCopies
    loaders: Mapping[ResourceName, Loader] = field(default_factory=dict)
    """What takes back the dumps of a command; those of commands alone."""
    trials: Mapping[ResourceName, ContentTrial] = field(default_factory=dict)
    """What shows whether restored content can be used; of the kinds that have such."""
    operated: Mapping[ResourceName, OperatedServer] = field(default_factory=dict)
    """Servers that the operator's commands end and start; those of which the stack file says how."""
    stagings: Mapping[ResourceName, Staging] = field(default_factory=dict)
    """Where collections wait on this host until they are stored; of the kinds that do so."""
    commands: Mapping[str, OperatorCommand] = field(default_factory=dict)
    """The operator's, by name: ``web/start``."""
    started: StartedProcesses | None = None
    """What they left running."""
    dump_servers: Mapping[ResourceName, DumpServers] = field(default_factory=dict)
    """Running servers that dumps are loaded into; of what is kept as dumps."""
    part_dumpers: Mapping[ResourceName, PartDumper] = field(default_factory=dict)
    """What takes one database, or one table, out of a server that was restored aside; of databases."""
