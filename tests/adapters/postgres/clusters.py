"""Initialised data directories for ``LocalInstances`` to run servers on."""

import shutil

import pytest

from tests.room import new_path
from tests.servers.flavours import ClusterOptions, Flavour, give_to_owner, new_cluster, programs_of
from tests.servers.processes import kill_servers_in, wait_until
from understudy.adapters.clock.system import SystemClock
from understudy.adapters.postgres.instances import LocalInstances
from understudy.adapters.postgres.lock_file import LockFile
from understudy.adapters.postgres.processes import servers_processes
from understudy.adapters.postgres.programs import PostgresPrograms
from understudy.ports.instance import InstancePlace

CLOSED = ("local all all trust", "local replication all trust")
SMALL = {"shared_buffers": "16MB", "huge_pages": "off"}


def instances_of(flavour):
    return LocalInstances(PostgresPrograms(programs_of(flavour), flavour.major), SystemClock())


class Cluster:
    """An initialised data directory, and a place for its server."""

    def __init__(self, flavour, **options):
        self.root = new_path()
        self.root.mkdir(mode=0o711)
        give_to_owner(self.root)
        self.flavour = flavour
        self.data = self.root / "data"
        new_cluster(ClusterOptions(flavour, **options), self.data)
        self.place = InstancePlace(str(self.data), str(self.root / "s"))
        self.instances = instances_of(flavour)

    def start(self, settings=None, hba_lines=CLOSED, place=None):
        self.instances.start(place or self.place, SMALL | (settings or {}), hba_lines)

    def wait_until_ready(self):
        wait_until(lambda: self.instances.facts(self.place).accepts_connections, "the server to answer")

    def other_instances(self):
        """Another object over the same programs, as another process of ours would have it."""
        return instances_of(self.flavour)

    def is_at_work(self):
        return bool(servers_processes(str(self.data)))

    @property
    def postmaster(self):
        return LockFile.read(str(self.data)).pid

    def close(self):
        kill_servers_in(self.data)
        self.instances.facts(self.place)
        shutil.rmtree(self.root)


@pytest.fixture
def clusters():
    made = []

    def make(flavour=Flavour.WHEEL_18, **options):
        made.append(Cluster(flavour, **options))
        return made[-1]

    yield make
    for cluster in made:
        cluster.close()
