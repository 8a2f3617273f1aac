"""The shell script behind ``restore_command``, run by dash and by bash, with every fault that a disk or a process can have."""

import os
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from tests.servers.processes import wait_until
from understudy.repository.fetch_wal_script import DELIVERED, END_OF_LIST, FAULT, FETCH_WAL, NOT_THERE
from understudy.repository.wal_requests import WalRequest, parse_requests

SEGMENT_BYTES = 4096
FIRST, SECOND, ABSENT = "000000010000000000000001", "000000010000000000000002", "000000010000000000000003"
HISTORY = "00000002.history"
SHELLS = [path for path in ("/bin/dash", "/bin/bash", "/bin/busybox") if Path(path).exists()]


class Delivery:
    """A prefetch directory and a server's working directory, without the prefetcher."""

    def __init__(self, root, shell):
        self.root, self.directory = root, root / "prefetch"
        self.command = [shell, "sh"] if shell.endswith("busybox") else [shell]
        (self.directory / "ready").mkdir(parents=True)
        (root / "pg_wal").mkdir()
        (self.directory / "fetch-wal").write_text(FETCH_WAL)
        (self.directory / "segment-bytes").write_text(f"{SEGMENT_BYTES}\n")
        (self.directory / "expected").write_text("\n".join([FIRST, SECOND, HISTORY, END_OF_LIST, ""]))
        os.mkfifo(self.directory / "asked")
        self._descriptor = None

    def be_alive(self):
        self._descriptor = os.open(self.directory / "asked", os.O_RDWR | os.O_NONBLOCK)

    def die(self):
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def asked(self):
        try:
            return os.read(self._descriptor, 1 << 16).decode().split()
        except BlockingIOError:
            return []

    def prepare(self, name, content):
        (self.directory / "ready" / name).write_bytes(content)

    def start(self, name, target="pg_wal/RECOVERYXLOG", script="fetch-wal"):
        command = [*self.command, str(self.directory / script), str(self.directory), name, target, "4711"]
        return subprocess.Popen(command, cwd=self.root, stderr=subprocess.DEVNULL)

    def run(self, name, **arguments):
        return self.start(name, **arguments).wait(timeout=60)

    @property
    def delivered(self):
        path = self.root / "pg_wal" / "RECOVERYXLOG"
        return path.read_bytes() if path.exists() else None

    @property
    def files(self):
        return [path.name for path in (self.root / "pg_wal").iterdir()]

    @property
    def requests(self):
        log = self.directory / "requests"
        return parse_requests(log.read_bytes() if log.exists() else b"")


@pytest.fixture(params=SHELLS)
def delivery(request, tmp_path):
    made = Delivery(tmp_path, request.param)
    made.be_alive()
    yield made
    made.die()


SEGMENT = bytes(range(256)) * (SEGMENT_BYTES // 256)


def test_a_fetched_segment_is_delivered_whole_and_logged(delivery):
    delivery.prepare(FIRST, SEGMENT)
    assert delivery.run(FIRST) == DELIVERED
    assert delivery.delivered == SEGMENT
    assert delivery.requests == (WalRequest(FIRST, DELIVERED, 4711),)
    assert delivery.asked() == [FIRST]
    assert delivery.files == ["RECOVERYXLOG"]


def test_a_segment_can_be_delivered_again_over_what_a_killed_script_left(delivery):
    delivery.prepare(FIRST, SEGMENT)
    assert delivery.run(FIRST) == DELIVERED
    os.link(delivery.directory / "ready" / FIRST, delivery.root / "pg_wal" / "RECOVERYXLOG.unfinished")
    assert delivery.run(FIRST) == DELIVERED
    assert delivery.delivered == SEGMENT
    assert delivery.files == ["RECOVERYXLOG"]


def test_a_target_on_another_file_system_gets_a_copy(delivery):
    here = delivery.root.stat().st_dev
    others = [each for each in ("/dev/shm", "/tmp") if os.access(each, os.W_OK) and Path(each).stat().st_dev != here]
    if not others:
        pytest.skip("no second file system")
    delivery.prepare(FIRST, SEGMENT)
    with tempfile.TemporaryDirectory(dir=others[0]) as elsewhere:
        assert delivery.run(FIRST, target=f"{elsewhere}/RECOVERYXLOG") == DELIVERED
        assert (Path(elsewhere) / "RECOVERYXLOG").read_bytes() == SEGMENT
        assert len(list(Path(elsewhere).iterdir())) == 1
        delivery.prepare(FIRST, SEGMENT[:-1])
        assert delivery.run(FIRST, target=f"{elsewhere}/RECOVERYXLOG") == FAULT
        assert list(Path(elsewhere).iterdir()) == []


def test_a_fetched_segment_is_delivered_although_the_fetching_process_is_gone(delivery):
    delivery.prepare(FIRST, SEGMENT)
    delivery.die()
    assert delivery.run(FIRST) == DELIVERED


def test_only_a_name_that_no_repository_holds_is_called_not_there(delivery):
    assert delivery.run(ABSENT) == NOT_THERE
    assert delivery.run("00000003.history") == NOT_THERE
    assert delivery.run(FIRST[:-1]) == NOT_THERE
    assert delivery.run(FIRST.replace("0", ".")) == NOT_THERE
    assert delivery.delivered is None
    assert [request.answer for request in delivery.requests] == [NOT_THERE] * 4


def test_a_history_file_of_any_length_is_delivered(delivery):
    delivery.prepare(HISTORY, b"1\t0/3000000\tno recovery target specified\n")
    assert delivery.run(HISTORY) == DELIVERED


def test_a_segment_that_is_still_coming_is_waited_for(delivery):
    process = delivery.start(SECOND)
    asked = []
    wait_until(lambda: asked.extend(delivery.asked()) or len(asked) >= 2, "the script to ask twice")
    assert set(asked) == {SECOND}
    assert process.poll() is None
    delivery.prepare(SECOND + ".new", SEGMENT)
    (delivery.directory / "ready" / f"{SECOND}.new").rename(delivery.directory / "ready" / SECOND)
    assert process.wait(timeout=60) == DELIVERED


def test_a_final_fault_of_the_fetching_process_is_a_fault(delivery):
    (delivery.directory / "error").write_text("{}")
    assert delivery.run(FIRST) == FAULT
    delivery.prepare(SECOND, SEGMENT)
    assert delivery.run(SECOND) == DELIVERED


def test_a_dead_fetching_process_is_a_fault_and_one_that_comes_back_is_none(delivery):
    impatient = FETCH_WAL.replace("-lt 100 ", "-lt 20 ")
    assert impatient != FETCH_WAL
    (delivery.directory / "impatient").write_text(impatient)
    delivery.die()
    in_vain = delivery.start(SECOND, script="impatient")
    waiting = delivery.start(FIRST)
    threading.Event().wait(0.5)
    delivery.prepare(FIRST, SEGMENT)
    assert waiting.wait(timeout=60) == DELIVERED
    assert in_vain.wait(timeout=60) == FAULT


@pytest.mark.parametrize("length", [0, 1, SEGMENT_BYTES - 1, SEGMENT_BYTES + 1])
def test_a_file_of_the_wrong_length_is_never_delivered(delivery, length):
    delivery.prepare(FIRST, (SEGMENT * 2)[:length])
    assert delivery.run(FIRST) == FAULT
    assert delivery.delivered is None
    assert delivery.files == []


def test_an_empty_history_file_is_never_delivered(delivery):
    delivery.prepare(HISTORY, b"")
    assert delivery.run(HISTORY) == FAULT


def test_a_full_disk_at_the_target_is_a_fault(delivery):
    mounted = delivery.root / "mounted"
    mounted.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(mounted)], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("this user may not mount a file system to fill it")
    try:
        (mounted / "filler").write_bytes(b"x" * 4097)
        delivery.prepare(FIRST, SEGMENT)
        assert delivery.run(FIRST, target=f"{mounted}/RECOVERYXLOG") == FAULT
        assert [path.name for path in mounted.iterdir()] == ["filler"]
    finally:
        subprocess.run(["umount", str(mounted)], check=True)


def test_a_target_that_cannot_be_written_is_a_fault(delivery):
    delivery.prepare(FIRST, SEGMENT)
    shutil.rmtree(delivery.root / "pg_wal")
    assert delivery.run(FIRST) == FAULT


@pytest.mark.parametrize("name", ["expected", "segment-bytes"])
def test_a_list_that_is_missing_is_a_fault(delivery, name):
    (delivery.directory / name).unlink()
    assert delivery.run(ABSENT) == FAULT


@pytest.mark.parametrize("content", ["", FIRST, f"{FIRST}\n{SECOND}\n", f"{END_OF_LIST}\n{END_OF_LIST}\n{END_OF_LIST}\n"])
def test_a_list_without_its_end_is_never_read_as_not_there(delivery, content):
    (delivery.directory / "expected").write_text(content)
    assert delivery.run(ABSENT) == FAULT


def test_a_log_that_cannot_be_written_is_a_fault(delivery):
    delivery.prepare(FIRST, SEGMENT)
    (delivery.directory / "requests").symlink_to("/dev/full")
    assert delivery.run(FIRST) == FAULT
    assert delivery.run(ABSENT) == FAULT


def test_a_directory_that_the_servers_user_may_not_read_is_a_fault(delivery):
    if os.geteuid() != 0:
        pytest.skip("needs root, to be somebody else")
    delivery.prepare(FIRST, SEGMENT)
    elsewhere = Path("/tmp") / f"ust-script-{os.getpid()}"
    elsewhere.write_text(FETCH_WAL)
    elsewhere.chmod(0o644)
    try:
        command = [*delivery.command, str(elsewhere), str(delivery.directory), ABSENT, "/tmp/RECOVERYXLOG", "1"]
        done = subprocess.run(command, check=False, cwd="/", stderr=subprocess.DEVNULL, user=65534, group=65534, extra_groups=[])
    finally:
        elsewhere.unlink()
    assert done.returncode == FAULT


def test_a_line_of_the_log_that_was_cut_short_counts_for_nothing(tmp_path):
    log = tmp_path / "requests"
    log.write_text(f"{FIRST} 0 4711\n{SECOND} 44\n{SECOND} 44 47")
    assert parse_requests(log.read_bytes()) == (WalRequest(FIRST, 0, 4711),)
    assert parse_requests(b"") == ()
