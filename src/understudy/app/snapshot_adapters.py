"""Which adapters stand behind what is kept in snapshots, for one attempt of a step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from understudy.adapters.streams.workplace import Workplace
from understudy.app.by_name import ByName
from understudy.app.collections import collection_of
from understudy.app.dumps import dump_of, servers_of, staging_of, trial_of_dump
from understudy.app.landing import short_socket_directory
from understudy.app.streams import loader_of, operated_server, stream_of, trial_of
from understudy.ports.collection import Collection, Staging
from understudy.ports.dumps import DumpServers
from understudy.ports.loading import Loader
from understudy.ports.operating import OperatedServer
from understudy.ports.trying_out import ContentTrial
from understudy.stack.dumps import PostgresDumpResource
from understudy.stack.resources import SnapshotResource
from understudy.stack.snapshots import BucketResource, FilesResource
from understudy.stack.streams import CommandResource, RedisResource
from understudy.vocabulary.identifiers import ResourceName


@dataclass(frozen=True, slots=True)
class SnapshotAdapters:
    """By the names of the resources; each is made when it is first asked for."""

    resources: Mapping[ResourceName, SnapshotResource]
    workplace: Workplace
    drills: Path
    """Where servers of drills have their directories."""

    def collections(self) -> Mapping[ResourceName, Collection]:
        return ByName(tuple(self.resources), self._collection)

    def loaders(self) -> Mapping[ResourceName, Loader]:
        commands = {name: each for name, each in self.resources.items() if isinstance(each, CommandResource)}
        return ByName(tuple(commands), lambda name: loader_of(name, commands[name], self.workplace))

    def operated(self) -> Mapping[ResourceName, OperatedServer]:
        servers = {name: each for name, each in self.resources.items() if isinstance(each, RedisResource) and each.recover}
        return ByName(tuple(servers), lambda name: operated_server(name, servers[name], self.workplace))

    def trials(self) -> Mapping[ResourceName, ContentTrial]:
        tried = {name: each for name, each in self.resources.items() if isinstance(each, RedisResource | PostgresDumpResource)}

        def made(name: ResourceName) -> ContentTrial:
            settings = tried[name]
            if isinstance(settings, RedisResource):
                return trial_of(name, settings, self.workplace)
            return trial_of_dump(name, settings, self.workplace, self.drills, short_socket_directory)

        return ByName(tuple(tried), made)

    def stagings(self) -> Mapping[ResourceName, Staging]:
        dumps = self._dumps()
        return ByName(tuple(dumps), lambda name: staging_of(name, dumps[name], self.workplace))

    def dump_servers(self) -> Mapping[ResourceName, DumpServers]:
        dumps = self._dumps()
        return ByName(tuple(dumps), lambda name: servers_of(name, dumps[name], self.workplace))

    def _dumps(self) -> dict[ResourceName, PostgresDumpResource]:
        return {name: each for name, each in self.resources.items() if isinstance(each, PostgresDumpResource)}

    def _collection(self, name: ResourceName) -> Collection:
        settings = self.resources[name]
        if isinstance(settings, FilesResource | BucketResource):
            return collection_of(settings)
        if isinstance(settings, PostgresDumpResource):
            return dump_of(name, settings, self.workplace)
        return stream_of(name, settings, self.workplace)
