"""A real server in recovery, fed by the prefetcher."""

import os
import shutil
import subprocess
import threading

import pytest

from tests.repository.directory_archive import DirectoryArchive
from tests.room import new_path
from tests.servers.flavours import give_to_owner
from tests.servers.postgres import PostgresServer
from tests.servers.processes import kill_servers_in, wait_until
from understudy.adapters.clock.system import SystemClock
from understudy.adapters.postgres.instances import LocalInstances
from understudy.adapters.postgres.programs import PostgresPrograms
from understudy.ports.instance import InstancePlace, StopMode
from understudy.repository.wal_prefetch import WalPrefetcher
from understudy.repository.wal_requests import end_reached, stuck_at
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.wal import DEFAULT_SEGMENT_BYTES, WalSegment, is_segment_name


class LostServer:
    """A server that is gone: its base backup, four segments of WAL, and the tail of a fifth are left."""

    def __init__(self, flavour):
        self.server = PostgresServer(flavour)
        self.archive = self.server.new_directory("archive")
        self.base = self.server.directory / "base"
        self._live_and_die(self.server, self.archive)

    def _live_and_die(self, server, archive):
        copy = f"cp %p {archive}/%f.new && mv {archive}/%f.new {archive}/%f"
        server.settings |= {"archive_mode": "on", "archive_command": copy}
        server.start()
        server.sql("create table t (id bigint, filler text)")
        server.program("pg_basebackup", "-D", str(self.base), "-X", "none", "-c", "fast", "--no-sync")
        for _ in range(4):
            server.sql("insert into t select n, repeat('x', 300) from generate_series(1, 2000) n")
            server.sql("select pg_switch_wal()")
        server.sql("insert into t values (-1, 'in the tail')")
        tail = WalSegment.parse(server.sql("select pg_walfile_name(pg_current_wal_flush_lsn())")[0][0])
        previous = WalSegment(tail.timeline, tail.number - 1)
        wait_until(lambda: (archive / previous.name).exists(), "the last complete segment to be archived")
        server.kill_everything()
        shutil.copy(server.data / "pg_wal" / tail.name, archive / tail.name)
        (self.base / "standby.signal").touch()


class Recovery:
    """A copy of what is left of a server, and a place to replay it."""

    def __init__(self, lost):
        server = lost.server
        self.root = new_path()
        self.root.mkdir(mode=0o711)
        give_to_owner(self.root)
        self.data = self.root / "base"
        subprocess.run(["cp", "-a", "--reflink=auto", str(lost.base), str(self.data)], check=True)
        subprocess.run(["cp", "-a", "--reflink=auto", str(lost.archive), str(self.root / "archive")], check=True)
        self.archive = DirectoryArchive(self.root / "archive")
        self.place = InstancePlace(str(self.data), str(self.root / "r"))
        self.instances = LocalInstances(PostgresPrograms(server.programs, server.flavour.major), SystemClock())

    @property
    def names(self):
        return sorted(path.name for path in self.archive.directory.iterdir() if is_segment_name(path.name))

    def fetching(self, **options):
        return WalPrefetcher(
            self.archive, self.names, self.root / "prefetch",
            owner=self.instances.owner, segment_bytes=DEFAULT_SEGMENT_BYTES, **options,
        )  # fmt: skip

    def start(self, fetching, target=None):
        control = self.instances.control_data(str(self.data))
        settings = {
            "archive_mode": "off", "wal_retrieve_retry_interval": "50ms", "shared_buffers": "16MB",
            "restore_command": fetching.restore_command, **control.required_settings, **(target or {}),
        }  # fmt: skip
        self.instances.start(self.place, settings, ["local all all trust"])

    def wait_for_the_end(self, fetching):
        wait_until(
            lambda: self.instances.facts(self.place).accepts_connections and end_reached(fetching.requests(), self.names[-1]),
            "the end of replay",
        )

    def promote(self):
        self.instances.promote(self.place)
        wait_until(lambda: self.instances.facts(self.place).in_recovery is False, "promotion")

    def rows(self):
        return int(self.instances.query(self.place, "select count(*) from t")[0][0])

    def close(self):
        kill_servers_in(self.data)
        self.instances.facts(self.place)
        shutil.rmtree(self.root)


@pytest.fixture(scope="module")
def lost_servers():
    made = {}

    def lost(flavour):
        if flavour not in made:
            made[flavour] = LostServer(flavour)
        return made[flavour]

    yield lost
    for each in made.values():
        each.server.close()


@pytest.fixture
def recoveries(lost_servers):
    made = []

    def make(flavour="wheel18"):
        made.append(Recovery(lost_servers(flavour)))
        return made[-1]

    yield make
    for recovery in made:
        recovery.close()


@pytest.mark.parametrize("flavour", ["wheel18", "debian15"])
def test_a_server_replays_everything_and_promotes_only_when_told_to(recoveries, flavour):
    recovery = recoveries(flavour)
    with recovery.fetching(window=2) as fetching:
        recovery.start(fetching)
        recovery.wait_for_the_end(fetching)
        facts = recovery.instances.facts(recovery.place)
        assert facts.in_recovery and facts.last_replayed_commit
        assert recovery.rows() == 8001
        assert stuck_at(fetching.requests(), recovery.names[-1]) is None
    recovery.promote()
    assert recovery.rows() == 8001


@pytest.mark.parametrize("flavour", ["wheel18", "debian15"])
def test_a_server_stops_at_its_target_and_is_promoted_there_when_nobody_fetches_any_more(recoveries, flavour):
    recovery = recoveries(flavour)
    aim = recovery.names[3]
    target = {"recovery_target_lsn": str(WalSegment.parse(aim).start + 4096), "recovery_target_action": "pause"}
    with recovery.fetching(window=1) as fetching:
        recovery.start(fetching, target)
        wait_until(lambda: recovery.instances.facts(recovery.place).replay_paused, "the target")
        assert max(request.name for request in fetching.requests() if request.position) == aim
    recovery.promote()
    assert 0 < recovery.rows() < 8000


def test_a_server_restarted_in_the_middle_replays_the_rest(recoveries):
    recovery = recoveries()
    with recovery.fetching(window=1) as fetching:
        recovery.start(fetching)
        recovery.wait_for_the_end(fetching)
        recovery.instances.stop(recovery.place, StopMode.IMMEDIATE)
        recovery.start(fetching)
        recovery.wait_for_the_end(fetching)
        assert recovery.rows() == 8001


def test_a_record_that_is_damaged_in_the_middle_is_seen_and_never_taken_for_the_end(recoveries):
    recovery = recoveries()
    damaged = recovery.names[-2]
    path = recovery.archive.directory / damaged
    content = bytearray(path.read_bytes())
    content[8192 * 4 : 8192 * 4 + 4096] = os.urandom(4096)
    path.write_bytes(content)
    with recovery.fetching() as fetching:
        recovery.start(fetching)
        wait_until(lambda: stuck_at(fetching.requests(), recovery.names[-1]) == damaged, "the damage to be seen")
        facts = recovery.instances.facts(recovery.place)
        assert facts.in_recovery is True
        assert not end_reached(fetching.requests(), recovery.names[-1])


def test_a_fault_while_fetching_stops_the_server_and_does_not_promote_it(recoveries):
    recovery = recoveries()

    def before(name):
        if name == recovery.names[-2]:
            raise GiveUp("sealed_corrupt", found="the seal is broken")

    recovery.archive.before = before
    with recovery.fetching() as fetching:
        with pytest.raises(GiveUp) as refused:
            recovery.start(fetching)
            wait_until(lambda: not recovery.instances.facts(recovery.place).running, "the server to stop")
            recovery.instances.query(recovery.place, "select 1")
        assert refused.value.code == "wal_fetch_failed"
        with pytest.raises(GiveUp, match="sealed_corrupt"):
            fetching.raise_if_failed()
    assert recovery.instances.control_data(str(recovery.data)).timeline == 1
    recovery.archive.before = lambda name: None
    with recovery.fetching() as fetching:
        recovery.start(fetching)
        recovery.wait_for_the_end(fetching)
        assert recovery.rows() == 8001


def test_a_server_that_waits_for_a_segment_can_be_stopped(recoveries):
    recovery = recoveries()
    let_go = threading.Event()
    recovery.archive.before = lambda name: let_go.wait() if name == recovery.names[-2] else None
    try:
        with recovery.fetching(workers=1) as fetching:
            recovery.start(fetching)
            wait_until(lambda: fetching.requests() and fetching.requests()[-1].name == recovery.names[-3], "the wait")
            recovery.instances.stop(recovery.place, StopMode.FAST)
            assert not recovery.instances.facts(recovery.place).running
            let_go.set()
    finally:
        let_go.set()
    assert recovery.instances.control_data(str(recovery.data)).cluster_state == "shut down in recovery"
