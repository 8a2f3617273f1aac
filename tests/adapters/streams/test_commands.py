"""Commands that dump and load, as real processes."""

import os
import threading
import tracemalloc
from datetime import timedelta

import pytest

from tests.servers.processes import alive, wait_until
from understudy.adapters.streams import leftovers
from understudy.adapters.streams.leftovers import marked
from understudy.ports.collection import EntryKind
from understudy.vocabulary.errors import Cancelled, GiveUp
from understudy.vocabulary.secret import Secret

MIB = 1024 * 1024
FOREVER = "sleep 1000 & echo $! > child; setsid sleep 1000 & echo $! > daemon; echo started; wait"
"""It starts two more, of which one has a session of its own."""


def refused(code, act):
    with pytest.raises(GiveUp) as raised:
        act()
    error = raised.value
    assert error.code == code
    assert error.found and error.expected and error.hint
    return error


def dumped(collection):
    (entry,) = collection.entries()
    return entry, b"".join(collection.read(entry))


def children(tmp_path):
    return [int((tmp_path / name).read_text()) for name in ("child", "daemon")]


def test_what_a_command_writes_is_one_content_that_only_its_owner_may_read(dumping):
    collection = dumping("printf '%s' one; printf '%s' two")
    assert collection.look("said.dump") is None
    entry, content = dumped(collection)
    assert (entry.key, entry.kind, entry.size_bytes, content) == ("said.dump", EntryKind.FILE, 6, b"onetwo")
    assert entry.attributes["mode"] == "0600"
    assert collection.look("said.dump") == entry
    assert collection.passed_over() == ()


def test_the_fingerprint_is_that_of_the_content(dumping):
    collection = dumping("cat told")
    first, again, other = (dumped(dumping(f"echo {word}"))[0].fingerprint for word in ("a", "a", "b"))
    assert first == again != other
    assert collection.url == "command://sh", "and arguments, which may be anything, are not shown"


def test_a_large_output_comes_in_bounded_pieces_and_leaves_no_name_on_the_disk(dumping, workplace):
    collection = dumping(f"head -c {5 * MIB + 17} /dev/urandom")
    (entry,) = collection.entries()
    pieces = [*collection.read(entry)]
    assert max(map(len, pieces)) <= MIB
    assert sum(map(len, pieces)) == entry.size_bytes == 5 * MIB + 17
    assert list(workplace.scratch.iterdir()) == [], "so that nothing is left of it when this process is killed"
    assert workplace.scratch.stat().st_mode & 0o077 == 0


def test_a_dump_larger_than_what_the_process_may_hold_is_kept(dumping):
    collection = dumping(f"head -c {64 * MIB} /dev/zero")
    tracemalloc.start()
    try:
        (entry,) = collection.entries()
        assert sum(map(len, collection.read(entry))) == 64 * MIB
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * MIB


def test_a_dump_that_fails_is_told_with_its_last_words_on_one_line(dumping):
    collection = dumping("echo half; seq 1 1000 >&2; printf 'no \\033[31mroom' >&2; exit 3")
    error = refused("dump_failed", lambda: dumped(collection))
    assert error.found == "sh ended with 3: 997 / 998 / 999 / 1000 / no  [31mroom"
    assert collection.look("said.dump") is None
    assert "was ended by signal 9" in refused("dump_failed", lambda: dumped(dumping("kill -9 $$"))).found


def test_a_dump_that_wrote_nothing_has_failed_unless_that_was_declared(dumping):
    assert "nothing to do" in refused("dump_empty", lambda: dumped(dumping("echo nothing to do >&2"))).found
    assert dumped(dumping("true", may_be_empty=True))[1] == b""


def test_what_cannot_be_started_is_told_apart(dumping, tmp_path):
    missing = refused("program_missing", lambda: dumped(dumping(("no-such-program",))))
    assert "no program no-such-program in" in missing.found
    refused("directory_missing", lambda: dumped(dumping(directory=str(tmp_path / "absent"))))
    (tmp_path / "plain").write_text("no program")
    refused("program_unusable", lambda: dumped(dumping(("./plain",))))


def test_a_dump_whose_time_is_up_is_ended_with_all_that_it_started(dumping, tmp_path, workplace):
    collection = dumping(FOREVER, time_limit=timedelta(seconds=1))
    error = refused("dump_timed_out", lambda: dumped(collection))
    assert "more than 1 s" in error.found
    assert not any(map(alive, children(tmp_path)))
    assert marked(workplace.mark("said")) == ()


def test_what_does_not_want_to_end_is_ended_all_the_same(dumping, tmp_path, monkeypatch):
    monkeypatch.setattr(leftovers, "_GRACE_SECONDS", 0.2)
    words = "trap '' TERM; echo $$ > child; echo $$ > daemon; while :; do sleep 0.1; done"
    refused("dump_timed_out", lambda: dumped(dumping(words, time_limit=timedelta(seconds=1))))
    assert not any(map(alive, children(tmp_path)))


def test_a_dump_that_is_cancelled_is_ended_with_all_that_it_started(dumping, tmp_path, workplace):
    def ask():
        wait_until(lambda: (tmp_path / "daemon").exists() and (tmp_path / "daemon").read_text(), "the start")
        workplace.cancellation.asked.set()

    person = threading.Thread(target=ask)
    person.start()
    with pytest.raises(Cancelled):
        dumped(dumping(FOREVER))
    person.join()
    assert not any(map(alive, children(tmp_path)))


def test_a_command_is_given_what_was_declared_and_nothing_else_of_ours(dumping, monkeypatch):
    monkeypatch.setenv("UNDERSTUDY_TEST_IDENTITY", "AGE-SECRET")
    _, content = dumped(dumping("env", environment=lambda: {"PGHOST": Secret("db.example")}))
    given = dict(line.split("=", 1) for line in content.decode().splitlines())
    assert given["PGHOST"] == "db.example"
    assert given["PATH"] == os.environ["PATH"]
    assert "UNDERSTUDY_TEST_IDENTITY" not in given


def test_a_secret_that_a_command_says_is_not_repeated(dumping):
    collection = dumping("echo cannot log in with $TOKEN >&2; exit 1", environment=lambda: {"TOKEN": Secret("hunter2")})
    error = refused("dump_failed", lambda: dumped(collection))
    assert "hunter2" not in str(error)
    assert "cannot log in with" in error.found


def test_a_pipeline_whose_last_part_goes_on_is_read_to_its_end(dumping):
    assert dumped(dumping("(sleep 0.3; echo late) & echo early"))[1] == b"early\nlate\n"


def test_what_goes_on_behind_a_dump_that_has_ended_keeps_nobody_waiting(dumping, tmp_path, workplace):
    _, content = dumped(dumping("sleep 1000 > /dev/null & echo $! > child; echo done"))
    assert content == b"done\n"
    left = marked(workplace.mark("said"))
    assert left == (int((tmp_path / "child").read_text()),), "it was started on purpose"
    for pid in left:
        os.kill(pid, 9)


def test_a_load_reads_all_of_it_and_may_say_what_it_likes(loading, tmp_path):
    content = os.urandom(3 * MIB)
    (tmp_path / "said.dump").write_bytes(content)
    loading("seq 1 100000; seq 1 1000 >&2; cat > taken").load(tmp_path / "said.dump")
    assert (tmp_path / "taken").read_bytes() == content


def test_a_load_that_fails_or_whose_time_is_up_is_told_with_its_last_words(loading, tmp_path):
    file = tmp_path / "said.dump"
    file.write_text("content")
    failed = refused("load_failed", lambda: loading("echo table exists; exit 4").load(file))
    assert failed.found == "sh ended with 4: table exists"
    loader = loading(FOREVER, time_limit=timedelta(seconds=1))
    assert "it said: started" in refused("load_timed_out", lambda: loader.load(file)).found
    assert not any(map(alive, children(tmp_path)))
    refused("content_unreadable", lambda: loading("cat").load(tmp_path / "absent"))
    refused("load_undeclared", lambda: loading(None).load(file))


def test_both_commands_are_looked_for_without_being_started(declared, tmp_path):
    assert declared("touch started", load="touch started").check().endswith("/sh")
    assert not (tmp_path / "started").exists()
    assert str(tmp_path / "own") in refused("program_missing", declared(("./own",)).check).found
    refused("program_missing", declared(load=("no-such-program",)).check)
    refused("directory_missing", declared(directory=str(tmp_path / "absent")).check)
    (tmp_path / "own").write_text("#!/bin/sh\n")
    refused("program_unusable", declared(("./own",)).check)
    (tmp_path / "own").chmod(0o755)
    assert declared(("./own",)).check() == str(tmp_path / "own")
