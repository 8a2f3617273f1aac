"""The prefetcher by itself, and behind a real server in recovery."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from tests.servers.flavours import give_to_owner, server_owner
from tests.servers.postgres import PostgresServer
from tests.servers.processes import kill_tree, wait_until
from understudy.adapters.clock.system import SystemClock
from understudy.adapters.postgres.instances import LocalInstances
from understudy.adapters.postgres.processes import servers_processes
from understudy.adapters.postgres.programs import PostgresPrograms
from understudy.ports.instance import InstancePlace, StopMode
from understudy.repository.wal_prefetch import WalPrefetcher
from understudy.repository.wal_requests import end_reached, stuck_at
from understudy.vocabulary.errors import GiveUp, Refusal, TryAgain
from understudy.vocabulary.wal import DEFAULT_SEGMENT_BYTES, Timeline, WalSegment, history_file_name, is_segment_name

SMALL = 1 << 20
OWNER = server_owner()[1:] if server_owner() else (os.getuid(), os.getgid())


class DirectoryArchive:
    """An archive of plain files. ``before`` is called with each name before it is read."""

    def __init__(self, directory, before=lambda name: None):
        self.directory = Path(directory)
        self.before = before

    def fetch_segment(self, segment):
        return self._read(segment.name)

    def fetch_history(self, timeline):
        return self._read(history_file_name(timeline))

    def _read(self, name):
        self.before(name)
        return (self.directory / name).read_bytes()


def names(first, last):
    return [segment.name for segment in WalSegment(Timeline(1), first, SMALL).through(WalSegment(Timeline(1), last, SMALL))]


@pytest.fixture
def archive(tmp_path):
    directory = tmp_path / "archive"
    directory.mkdir()
    for number, name in enumerate(names(1, 40)):
        (directory / name).write_bytes(bytes([number]) * SMALL)
    (directory / "00000002.history").write_text("1\t0/1800000\tno recovery target specified\n")
    return DirectoryArchive(directory)


def prefetcher(archive, directory, expected, **options):
    return WalPrefetcher(archive, expected, directory, owner=OWNER, segment_bytes=SMALL, **options)


def ready(directory):
    return sorted(path.name for path in (directory / "ready").iterdir())


def ask(fetching, target, name):
    """As a server would: through the whole restore_command."""
    command = fetching.restore_command.replace("%f", name).replace("%p", str(target)).replace("%%", "%")
    return subprocess.run(["/bin/sh", "-c", command], check=False, timeout=120).returncode


def test_segments_are_fetched_ahead_within_the_window_and_removed_behind_it(archive, tmp_path):
    directory, target = tmp_path / "prefetch", tmp_path / "RECOVERYXLOG"
    with prefetcher(archive, directory, [*names(1, 40), "00000002.history"], window=4) as fetching:
        wait_until(lambda: ready(directory) == [*names(1, 4), "00000002.history"], "the first window")
        for number, name in enumerate(names(1, 40)):
            assert ask(fetching, target, name) == 0
            assert target.read_bytes() == (archive.directory / name).read_bytes()
            assert sum(map(is_segment_name, ready(directory))) <= 4 + 1 + 2, number
        assert ask(fetching, target, "00000002.history") == 0
        assert ask(fetching, target, names(41, 41)[0]) == 1
        assert ask(fetching, target, "00000003.history") == 1
        assert end_reached(fetching.requests(), names(40, 40)[0]) is True
        wait_until(lambda: ready(directory) == [*names(39, 40), "00000002.history"], "what was delivered to be removed")


def test_an_earlier_segment_is_fetched_again_when_a_restarted_server_asks_for_it(archive, tmp_path):
    directory, target = tmp_path / "prefetch", tmp_path / "RECOVERYXLOG"
    with prefetcher(archive, directory, names(1, 40), window=3) as fetching:
        for name in names(1, 20):
            assert ask(fetching, target, name) == 0
        fetching.forget_requests()
        for name in names(5, 9):
            assert ask(fetching, target, name) == 0
            assert target.read_bytes() == (archive.directory / name).read_bytes()
        wait_until(lambda: ready(directory) == names(8, 11), "the window around the newest request")
        assert [request.name for request in fetching.requests()] == names(5, 9)


def test_a_passing_fault_is_tried_again_while_the_server_waits(archive, tmp_path):
    faults = dict.fromkeys(names(2, 3), 2)

    def before(name):
        if faults.get(name, 0):
            faults[name] -= 1
            raise TryAgain("store_unreachable", found="503", after=timedelta(milliseconds=10))

    archive.before = before
    with prefetcher(archive, tmp_path / "prefetch", names(1, 5)) as fetching:
        for name in names(1, 5):
            assert ask(fetching, tmp_path / "x", name) == 0
        fetching.raise_if_failed()
        assert fetching.trouble is None
    assert not any(faults.values())


def test_a_final_fault_is_recorded_and_never_looks_like_the_end(archive, tmp_path):
    def before(name):
        if name == names(4, 4)[0]:
            raise GiveUp("sealed_corrupt", found="the seal is broken")

    archive.before = before
    directory = tmp_path / "prefetch"
    with prefetcher(archive, directory, names(1, 5), workers=1) as fetching:
        wait_until(lambda: (directory / "error").exists(), "the fault to be recorded")
        assert [ask(fetching, tmp_path / "x", name) for name in names(1, 4)] == [0, 0, 0, 255]
        assert ask(fetching, tmp_path / "x", names(9, 9)[0]) == 1
        with pytest.raises(GiveUp) as refused:
            fetching.raise_if_failed()
    assert refused.value.code == "sealed_corrupt"
    assert json.loads((directory / "error").read_text())["code"] == "sealed_corrupt"
    archive.before = lambda name: None
    with prefetcher(archive, directory, names(1, 5)) as fetching:
        assert ask(fetching, tmp_path / "x", names(4, 4)[0]) == 0


def test_a_segment_of_the_wrong_size_is_a_final_fault(archive, tmp_path):
    (archive.directory / names(2, 2)[0]).write_bytes(b"x" * (SMALL - 1))
    with prefetcher(archive, tmp_path / "prefetch", names(1, 3)) as fetching:
        assert ask(fetching, tmp_path / "x", names(2, 2)[0]) == 255
        with pytest.raises(GiveUp) as refused:
            fetching.raise_if_failed()
    assert refused.value.code == "segment_size_wrong"


def test_a_directory_that_cannot_be_written_is_a_final_fault(archive, tmp_path):
    directory = tmp_path / "prefetch"

    def before(name):
        if name == names(3, 3)[0]:
            shutil.rmtree(directory / "ready", ignore_errors=True)

    archive.before = before
    with prefetcher(archive, directory, names(1, 5), workers=1) as fetching:
        wait_until(lambda: (directory / "error").exists(), "the fault")
        assert ask(fetching, tmp_path / "x", names(3, 3)[0]) == 255
        with pytest.raises(GiveUp) as refused:
            fetching.raise_if_failed()
    assert refused.value.code == "wal_directory_fault"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_defect_in_a_thread_does_not_leave_the_server_waiting(archive, tmp_path):
    archive.before = lambda name: [][0]
    with prefetcher(archive, tmp_path / "prefetch", names(1, 5)) as fetching:
        assert ask(fetching, tmp_path / "x", names(1, 1)[0]) == 255
        with pytest.raises(GiveUp) as refused:
            fetching.raise_if_failed()
    assert refused.value.code == "wal_fetching_broke"


def test_two_prefetchers_on_one_directory_are_refused(archive, tmp_path):
    with prefetcher(archive, tmp_path / "prefetch", names(1, 3)), pytest.raises(Refusal) as refused:
        prefetcher(archive, tmp_path / "prefetch", names(1, 3)).__enter__()
    assert refused.value.code == "wal_directory_busy"


def test_names_that_are_no_wal_are_refused_before_anything_is_written(archive, tmp_path):
    with pytest.raises(ValueError):
        prefetcher(archive, tmp_path / "prefetch", ["backup_manifest"])
    with pytest.raises(ValueError):
        prefetcher(archive, tmp_path / "prefetch", names(1, 1) * 2)


def test_a_strange_directory_name_is_quoted(archive, tmp_path):
    directory = tmp_path / "it's 100%f $(odd)"
    with prefetcher(archive, directory, names(1, 3)) as fetching:
        assert "100%%f" in fetching.restore_command
        command = fetching.restore_command.replace("%%", "\0").replace("%f", names(1, 1)[0])
        command = command.replace("%p", str(tmp_path / "x")).replace("\0", "%")
        assert subprocess.run(["/bin/sh", "-c", command], check=False).returncode == 0


def test_a_slow_archive_with_many_workers_delivers_everything_in_any_order(archive, tmp_path):
    pause = threading.Event()
    archive.before = lambda name: pause.wait(0.001 * (int(name[-1], 16) % 5))
    with prefetcher(archive, tmp_path / "prefetch", names(1, 40), workers=6, window=8) as fetching:
        for name in [*names(1, 12), *names(3, 5), *names(30, 40), *names(2, 2)]:
            assert ask(fetching, tmp_path / "x", name) == 0
            assert (tmp_path / "x").read_bytes() == (archive.directory / name).read_bytes()


_CHILD = """
import sys
from pathlib import Path
from tests.repository.test_wal_prefetch import DirectoryArchive, prefetcher, names
import threading
stuck = lambda name: threading.Event().wait() if name == names(3, 3)[0] else None
with prefetcher(DirectoryArchive(Path(sys.argv[1]), stuck), Path(sys.argv[2]), names(1, 5), workers=1):
    print("open", flush=True)
    threading.Event().wait()
"""


def test_a_prefetcher_that_is_killed_is_a_fault_and_its_successor_serves_who_waits(archive, tmp_path):
    directory = tmp_path / "prefetch"
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, str(archive.directory), str(directory)],
        stdout=subprocess.PIPE, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert child.stdout.readline() == b"open\n"
    fetching = prefetcher(archive, directory, names(1, 5))
    assert ask(fetching, tmp_path / "x", names(2, 2)[0]) == 0
    answers = []
    waiting = threading.Thread(target=lambda: answers.append(ask(fetching, tmp_path / "y", names(3, 3)[0])))
    waiting.start()
    child.send_signal(signal.SIGKILL)
    child.wait()
    with fetching:
        waiting.join(timeout=60)
    assert answers == [0]


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
        self.root = Path(f"/tmp/ust-{secrets.token_hex(4)}")
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

    def start(self, fetching):
        fetching.forget_requests()
        control = self.instances.control_data(str(self.data))
        settings = {
            "archive_mode": "off", "wal_retrieve_retry_interval": "50ms", "shared_buffers": "16MB",
            "restore_command": fetching.restore_command, **control.required_settings,
        }  # fmt: skip
        self.instances.start(self.place, settings, ["local all all trust"])

    def rows(self):
        return int(self.instances.query(self.place, "select count(*) from t")[0][0])

    def close(self):
        for pid in servers_processes(str(self.data)):
            kill_tree(pid)
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
        last = recovery.names[-1]
        wait_until(lambda: end_reached(fetching.requests(), last), "the end of replay")
        facts = recovery.instances.facts(recovery.place)
        assert facts.in_recovery and facts.last_replayed_commit
        assert recovery.rows() == 8001
        assert stuck_at(fetching.requests(), last) is None
        recovery.instances.promote(recovery.place)
        wait_until(lambda: recovery.instances.facts(recovery.place).in_recovery is False, "promotion")
        assert recovery.rows() == 8001


def test_a_server_restarted_in_the_middle_replays_the_rest(recoveries):
    recovery = recoveries()
    with recovery.fetching(window=1) as fetching:
        recovery.start(fetching)
        wait_until(lambda: end_reached(fetching.requests(), recovery.names[-1]), "the end of replay")
        recovery.instances.stop(recovery.place, StopMode.IMMEDIATE)
        recovery.start(fetching)
        assert not end_reached(fetching.requests(), recovery.names[-1]) or recovery.rows() == 8001
        wait_until(lambda: end_reached(fetching.requests(), recovery.names[-1]), "the end of replay")
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
        wait_until(lambda: end_reached(fetching.requests(), recovery.names[-1]), "the end of replay")
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
