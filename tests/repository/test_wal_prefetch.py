"""The prefetcher, asked by a shell as a server would ask it."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from tests.repository.directory_archive import DirectoryArchive
from tests.servers.flavours import server_owner
from tests.servers.processes import wait_until
from understudy.repository.wal_prefetch import WalPrefetcher
from understudy.repository.wal_requests import end_reached
from understudy.vocabulary.errors import GiveUp, Refusal, TryAgain
from understudy.vocabulary.wal import Timeline, WalSegment, is_segment_name

SMALL = 1 << 20
OWNER = server_owner()[1:] if server_owner() else (os.getuid(), os.getgid())


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
        for name in names(5, 9):
            assert ask(fetching, target, name) == 0
            assert target.read_bytes() == (archive.directory / name).read_bytes()
        wait_until(lambda: ready(directory) == names(8, 11), "the window around the newest request")
        assert [request.name for request in fetching.requests()] == [*names(1, 20), *names(5, 9)]


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
        assert [ask(fetching, tmp_path / "x", name) for name in names(1, 4)] == [0, 0, 0, 255]
        wait_until(lambda: (directory / "error").exists(), "the fault to be recorded")
        assert ask(fetching, tmp_path / "x", names(9, 9)[0]) == 1
        with pytest.raises(GiveUp) as refused:
            fetching.raise_if_failed()
    assert refused.value.code == "sealed_corrupt"
    assert json.loads((directory / "error").read_text())["code"] == "sealed_corrupt"
    archive.before = lambda name: None
    with prefetcher(archive, directory, names(1, 5)) as fetching:
        assert ask(fetching, tmp_path / "x", names(4, 4)[0]) == 0


def test_what_cannot_be_had_ends_nothing_before_the_server_asks_for_it_and_what_follows_is_fetched(archive, tmp_path):
    damaged, tried = names(3, 3)[0], threading.Event()

    def before(name):
        if name == damaged:
            tried.set()
            raise GiveUp("wal_corrupt", found="the seal is broken")

    archive.before = before
    directory = tmp_path / "prefetch"
    with prefetcher(archive, directory, names(1, 5), workers=1) as fetching:
        wait_until(lambda: ready(directory) == [*names(1, 2), *names(4, 5)], "what lies before and behind it")
        assert tried.is_set()
        assert [ask(fetching, tmp_path / "x", name) for name in names(1, 2)] == [0, 0]
        fetching.raise_if_failed()
        assert not (directory / "error").exists()
        fetching.leave(names(1, 2), lambda: None)
        with pytest.raises(GiveUp) as refused:
            fetching.leave([damaged], lambda: None)
        assert refused.value.code == "wal_corrupt"
        assert ask(fetching, tmp_path / "x", damaged) == 255
        with pytest.raises(GiveUp) as refused:
            fetching.raise_if_failed()
    assert refused.value.code == "wal_corrupt"


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
from tests.repository.directory_archive import DirectoryArchive
from tests.repository.test_wal_prefetch import names, prefetcher
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


def test_what_is_to_stay_is_not_taken_away_by_a_request_that_comes_at_the_same_time(archive, tmp_path):
    directory = tmp_path / "prefetch"
    with prefetcher(archive, directory, names(1, 20), window=2) as fetching:
        wait_until(lambda: ready(directory) == names(1, 2), "the first window")
        listed, leaving = fetching._staging.ready, []

        def ready_while_somebody_leaves():
            if not leaving:
                leaving.append(threading.Thread(target=fetching.leave, args=(names(1, 1), lambda: None)))
                leaving[0].start()
                leaving[0].join(timeout=0.5)  # in vain, where it has to wait for what is under way here
            return listed()

        fetching._staging.ready = ready_while_somebody_leaves
        assert ask(fetching, tmp_path / "x", names(10, 10)[0]) == 0
        wait_until(lambda: leaving and not leaving[0].is_alive(), "both to be through")
        wait_until(lambda: names(11, 11)[0] in ready(directory), "the window")
        assert names(1, 1)[0] in ready(directory)


def test_a_directory_that_cannot_be_looked_at_is_a_final_fault(archive, tmp_path):
    directory, asked = tmp_path / "prefetch", names(1, 1)[0]

    def unreadable(name):
        raise OSError(errno.EIO, "Input/output error", name)

    with prefetcher(archive, directory, names(1, 30), window=2) as fetching:
        wait_until(lambda: ready(directory) == names(1, 2), "the first window")
        fetching._staging.is_ready = unreadable
        assert ask(fetching, tmp_path / "x", asked) == 0
        assert ask(fetching, tmp_path / "x", names(9, 9)[0]) == 255
        with pytest.raises(GiveUp) as refused:
            fetching.raise_if_failed()
    assert refused.value.code == "wal_directory_fault"


_NO_THREAD_TO_BE_HAD = """
import resource, sys, threading
from pathlib import Path
from tests.repository.directory_archive import DirectoryArchive
from tests.repository.test_wal_prefetch import names, prefetcher
held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
threading.stack_size(256 << 20)
resource.setrlimit(resource.RLIMIT_AS, (held + (480 << 20), resource.RLIM_INFINITY))
try:
    prefetcher(DirectoryArchive(Path(sys.argv[1])), Path(sys.argv[2]), names(1, 5)).__enter__()
except RuntimeError as error:
    print(error, [thread.name for thread in threading.enumerate()])
"""


def test_where_no_thread_is_to_be_had_those_that_began_are_ended(archive, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", _NO_THREAD_TO_BE_HAD, str(archive.directory), str(tmp_path / "prefetch")],
        check=False, capture_output=True, text=True, timeout=60, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "can't start new thread ['MainThread']\n"


def test_what_was_read_of_the_log_of_requests_is_not_read_again(archive, tmp_path):
    directory, target = tmp_path / "prefetch", tmp_path / "x"
    with prefetcher(archive, directory, names(1, 5)) as fetching:
        assert ask(fetching, target, names(1, 1)[0]) == 0
        assert [request.name for request in fetching.requests()] == names(1, 1)
        log = directory / "requests"
        with log.open("r+b") as file:
            file.write(b"?" * (log.stat().st_size - 1))
        assert ask(fetching, target, names(2, 2)[0]) == 0
        with log.open("ab") as file:
            file.write(b"cut sho")
        assert [request.name for request in fetching.requests()] == names(1, 2)
        with log.open("ab") as file:
            file.write(f"rt\n{names(3, 3)[0]} 0 7\n".encode())
        assert [request.name for request in fetching.requests()] == names(1, 3)


def test_what_a_server_had_before_a_kill_is_looked_at_again_before_it_gets_any_more(archive, tmp_path):
    """What begins in one segment may end in the next."""
    directory, target = tmp_path / "prefetch", tmp_path / "RECOVERYXLOG"
    with prefetcher(archive, directory, names(1, 40), window=3, workers=4) as fetching:
        for name in names(1, 5):
            assert ask(fetching, target, name) == 0
    seen: list[str] = []
    released = threading.Event()

    def look(segment, content):
        if segment.name == names(5, 5)[0]:
            released.wait(60)
        seen.append(segment.name)

    with prefetcher(archive, directory, names(1, 40), window=3, workers=4, before_ready=look):
        wait_until(lambda: seen == names(4, 4), "the one before the newest that was asked for")
        assert ready(directory) == names(4, 4)
        released.set()
        wait_until(lambda: ready(directory) == names(4, 7), "the window")
    assert seen[:2] == names(4, 5)


def test_what_is_stored_later_is_delivered_too_and_a_segment_that_grew_as_it_is_then(archive, tmp_path):
    directory, target = tmp_path / "prefetch", tmp_path / "RECOVERYXLOG"
    with prefetcher(archive, directory, names(1, 2), window=4) as fetching:
        assert [ask(fetching, target, name) for name in names(1, 3)] == [0, 0, 1]
        fetching.extend([*names(1, 4), "00000002.history"])
        assert [ask(fetching, target, name) for name in [*names(3, 4), "00000002.history", *names(5, 5)]] == [0, 0, 0, 1]
        [last] = names(4, 4)
        (archive.directory / last).write_bytes(b"grown" + bytes(SMALL - 5))
        fetching.renew(last)
        wait_until(lambda: (directory / "ready" / last).read_bytes()[:5] == b"grown", "the grown segment")
        assert ask(fetching, target, last) == 0
        assert target.read_bytes().startswith(b"grown")
