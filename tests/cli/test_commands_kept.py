"""What a person reads who keeps the output of a command: the commands as they are typed."""

import json
import subprocess

import pytest

from tests.app.shelf import NEAR, Shelf, flip
from tests.cli.commands import assert_refused, environment, understudy
from tests.room import new_path
from tests.servers import programs
from tests.servers.processes import kill_tree, wait_until
from understudy.adapters.streams import leftovers
from understudy.vocabulary.identifiers import ResourceName

SAID = ResourceName("said")
TAKE, PUT = "cat source", "cat > loaded.new && mv loaded.new loaded"
KILLS_ITS_PARENT = "echo once >> times; test -e killed || { touch killed; kill -KILL $PPID; exec sleep 1000; }; cat > loaded"
"""Like somebody who kills Understudy in the middle of a load, which goes on."""


@pytest.fixture
def shelf():
    directory = new_path("shelf")
    directory.mkdir()
    made = Shelf(directory)
    keep(made)
    (directory / "source").write_text("what was said\n")
    yield made
    made.close()


def keep(shelf, dump=TAKE, load=PUT, **keys):
    commands = {"dump": ["sh", "-c", dump]} | ({} if load is None else {"load": ["sh", "-c", load]})
    settings = {"kind": "command", **commands, "directory": str(shelf.directory), **keys}
    shelf.write(resources=[f"said: {json.dumps(settings)}"])
    shelf.docs.mkdir(exist_ok=True)


def assert_failed(done, code):
    assert done.returncode == 1
    assert f"  {code}: " in done.stderr, done.stderr
    assert "hint:" in done.stderr


def snapshots(shelf):
    return shelf.installation.repository(NEAR).snapshots("command", SAID).found().usable


def restores(shelf):
    return [each for each in shelf.installation.past.runs() if each.procedure == "restore"]


def test_the_output_of_a_command_is_kept_listed_verified_watched_and_brought_back(shelf):
    checked = understudy(shelf, "check")
    assert "is there; it is started by a backup alone" in checked.stdout
    taken = understudy(shelf, "backup", "said")
    assert taken.returncode == 0, taken.stderr
    assert "1 entries" in taken.stdout
    assert "said" in understudy(shelf, "backups").stdout
    verified = understudy(shelf, "verify", "said", "--deep")
    assert verified.returncode == 0, verified.stdout
    assert "said  (command, standard)" in understudy(shelf, "status").stdout

    restored = understudy(shelf, "restore", "said", "--to", shelf.directory / "found")
    assert restored.returncode == 0, restored.stderr
    (file,) = (shelf.directory / "found").iterdir()
    assert (file.name, file.read_text(), file.stat().st_mode & 0o777) == ("said.dump", "what was said\n", 0o600)
    assert not (shelf.directory / "loaded").exists(), "nothing was run"

    loaded = understudy(shelf, "restore", "said", "--load", "--yes")
    assert loaded.returncode == 0, loaded.stderr
    assert "loaded:        14 B" in loaded.stdout, loaded.stdout
    assert (shelf.directory / "loaded").read_text() == "what was said\n"
    assert list((shelf.state / "loads").iterdir()) == []

    for number in range(2):
        (shelf.directory / "source").write_text(f"what was said {number} later\n")
        assert understudy(shelf, "backup", "said").returncode == 0
    keep(shelf, keep={"daily": 1, "weekly": 0, "monthly": 0, "manual": "0s", "point_in_time": "0s"})
    expired = understudy(shelf, "expire", "--yes")
    assert expired.returncode == 0, expired.stderr
    assert len(snapshots(shelf)) == 2, "the newest, and the newest that a restore has proven"


def test_the_same_output_is_not_stored_twice(shelf):
    for _ in range(2):
        assert understudy(shelf, "backup", "said").returncode == 0
    parts = list((shelf.directory / "near" / "command" / "said" / "parts").iterdir())
    assert len(parts) == 1


def test_a_dump_that_fails_is_no_snapshot_and_its_last_words_are_told(shelf):
    keep(shelf, dump="echo half; echo the disk is on fire >&2; exit 3")
    failed = understudy(shelf, "backup", "said")
    assert_failed(failed, "dump_failed")
    assert "sh ended with 3: the disk is on fire" in failed.stderr
    assert "no usable snapshot" in understudy(shelf, "status").stdout
    assert not list((shelf.directory / "near").rglob("said/parts/*"))


def test_nobody_is_loaded_over_who_did_not_agree(shelf):
    understudy(shelf, "backup", "said")
    asked = programs.start("restore", "said", "--load", env=environment(shelf), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        wait_until(lambda: [each.state for each in restores(shelf)] == ["awaiting_approval"], "the question")
        (run,) = restores(shelf)
        assert "cat > loaded.new" in understudy(shelf, "show", run.run).stdout
        understudy(shelf, "cancel", run.run)
        asked.communicate(timeout=60)
    finally:
        kill_tree(asked.pid)
    assert asked.returncode != 0
    assert not (shelf.directory / "loaded").exists()
    assert "give one of --to PLACE and --load" in understudy(shelf, "restore", "said").stderr
    assert_refused(understudy(shelf, "restore", "docs", "--load"), "load_undeclared", 5)
    assert_refused(understudy(shelf, "restore", "said", "--load", "--only", "x"), "only_unusable", 5)


def test_what_is_damaged_is_not_handed_to_a_load(shelf):
    understudy(shelf, "backup", "said")
    for part in shelf.directory.glob("*/command/said/parts/*"):
        flip(part)
    failed = understudy(shelf, "restore", "said", "--load", "--yes")
    assert failed.returncode == 1
    assert "part_corrupt" in failed.stderr
    assert not (shelf.directory / "loaded").exists()
    assert list((shelf.state / "loads").iterdir()) == []


def test_a_load_that_fails_is_a_failed_restore_with_its_last_words(shelf):
    keep(shelf, load="cat > part; echo no room left >&2; exit 7")
    understudy(shelf, "backup", "said")
    failed = understudy(shelf, "restore", "said", "--load", "--yes")
    assert_failed(failed, "load_failed")
    assert "sh ended with 7: no room left" in failed.stderr
    assert list((shelf.state / "loads").iterdir()) == []


def test_a_load_that_was_killed_stops_and_says_what_to_look_at(shelf):
    keep(shelf, load=KILLS_ITS_PARENT)
    understudy(shelf, "backup", "said")
    killed = understudy(shelf, "restore", "said", "--load", "--yes")
    assert killed.returncode == -9
    again = understudy(shelf, "resume", restores(shelf)[0].run)
    assert_failed(again, "load_interrupted")
    assert (shelf.directory / "times").read_text() == "once\n"
    assert list((shelf.state / "loads").iterdir()) == []


def test_a_load_that_was_killed_is_begun_anew_where_twice_is_the_same_as_once(shelf):
    keep(shelf, load=KILLS_ITS_PARENT, load_again=True)
    understudy(shelf, "backup", "said")
    assert understudy(shelf, "restore", "said", "--load", "--yes").returncode == -9
    again = understudy(shelf, "resume", restores(shelf)[0].run)
    assert again.returncode == 0, again.stderr
    assert (shelf.directory / "times").read_text() == "once\nonce\n"
    assert (shelf.directory / "loaded").read_text() == "what was said\n"
    assert leftovers.marked(f"{restores(shelf)[0].run}/said") == (), "and what was left of the first one was ended"


def test_who_recovers_everything_is_told_of_the_command_that_is_left_to_them(shelf):
    keep(shelf, load=None)
    (shelf.docs / "notes").write_text("notes")
    for name in ("docs", "said"):
        assert understudy(shelf, "backup", name).returncode == 0
    (shelf.docs / "notes").unlink()
    recovered = understudy(shelf, "recover", "complete_failure", "--yes")
    assert (shelf.docs / "notes").exists()
    told = "said: the stack file does not say how it is put in its place; do that yourself: understudy restore said --to"
    assert told in recovered.stderr
    assert_refused(understudy(shelf, "recover", "storage_loss", "--resource", "said", "--yes"), "restored_by_hand", 5)


def test_a_recovery_of_everything_loads_what_has_a_load(shelf):
    (shelf.docs / "notes").write_text("notes")
    for name in ("docs", "said"):
        assert understudy(shelf, "backup", name).returncode == 0
    recovered = understudy(shelf, "recover", "complete_failure", "--yes")
    assert recovered.returncode == 0, recovered.stderr
    assert (shelf.directory / "loaded").read_text() == "what was said\n"


def test_a_dump_can_be_drilled(shelf):
    understudy(shelf, "backup", "said")
    drilled = understudy(shelf, "drill", "storage_loss", "--resource", "said", "--json")
    assert json.loads(drilled.stdout)["run"]["state"] == "succeeded", drilled.stdout
    assert not (shelf.directory / "loaded").exists()
    assert list((shelf.state / "drills").iterdir()) == []
