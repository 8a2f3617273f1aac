"""Directories on a real file system: mount points, links, crashes in the middle."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contracts.places import OURS, THEIRS, PlacesContract
from tests.room import new_path
from understudy.adapters.places import LocalPlaces, local
from understudy.ports.places import MARKER_NAME
from understudy.vocabulary.errors import GiveUp, Refusal


class TestLocalPlaces(PlacesContract):
    @pytest.fixture
    def places(self):
        return LocalPlaces()


@pytest.fixture
def places():
    return LocalPlaces()


@pytest.fixture
def mounted(tmp_path):
    """A file system of its own, as ext4 makes it."""
    directory = tmp_path / "mounted"
    directory.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(directory)], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("this user may not mount a file system")
    (directory / "lost+found").mkdir()
    yield directory
    subprocess.run(["umount", str(directory)], check=True)


def test_a_mount_point_with_lost_and_found_is_empty(places, mounted):
    facts = places.facts(str(mounted))
    assert facts.empty
    assert facts.free_bytes <= 1 << 20
    assert facts.file_system == places.facts(str(mounted / "deep" / "below")).file_system
    assert facts.file_system != places.facts(str(mounted.parent)).file_system
    places.claim(str(mounted), OURS)
    assert places.set_aside(str(mounted), OURS) is None


def test_a_mount_point_is_emptied_but_neither_removed_nor_renamed(places, mounted):
    places.claim(str(mounted), OURS)
    (mounted / "base").mkdir()
    with pytest.raises(Refusal) as refused:
        places.set_aside(str(mounted), THEIRS)
    assert refused.value.code == "target_is_mount_point"
    assert places.remove(str(mounted), OURS) is True
    assert [path.name for path in mounted.iterdir()] == ["lost+found"]
    assert places.remove(str(mounted), OURS) is False


def test_lost_and_found_elsewhere_is_a_content_like_any_other(places, tmp_path):
    (tmp_path / "d" / "lost+found").mkdir(parents=True)
    assert not places.facts(str(tmp_path / "d")).empty


def test_a_link_to_another_disk_stays_and_the_directory_behind_it_is_meant(places, tmp_path):
    (tmp_path / "disk" / "data").mkdir(parents=True)
    (tmp_path / "disk" / "data" / "precious").write_text("data")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "disk" / "data")
    assert places.set_aside(str(link), OURS) == str(tmp_path / "disk" / f"data.before-{OURS}")
    places.claim(str(link), OURS)
    assert (tmp_path / "disk" / "data" / MARKER_NAME).exists()
    assert places.remove(str(link), OURS) is True
    assert link.is_symlink()
    assert not (tmp_path / "disk" / "data").exists()


def test_the_owner_gets_the_directory_and_can_reach_it(places, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root gives directories away")
    old = os.umask(0o077)
    try:
        places.claim(str(tmp_path / "made" / "target"), OURS, (65534, 65534))
    finally:
        os.umask(old)
    assert (tmp_path / "made" / "target").stat().st_uid == 65534
    assert (tmp_path / "made" / "target" / MARKER_NAME).stat().st_uid == 65534
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("content", ["", "{", "[]", '{"run": 1}', "\x00"])
def test_a_marker_that_cannot_be_read_is_nobodys_to_remove(places, tmp_path, content):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / MARKER_NAME).write_text(content)
    for use in (lambda: places.remove(str(tmp_path / "d"), OURS), lambda: places.claim(str(tmp_path / "d"), OURS)):
        with pytest.raises(Refusal):
            use()
    assert (tmp_path / "d" / MARKER_NAME).exists()


def test_a_marker_that_was_being_written_when_the_process_died_is_no_content(places, tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / f"{MARKER_NAME}.4711-1").write_text("")
    assert places.facts(str(tmp_path / "d")).empty
    places.claim(str(tmp_path / "d"), OURS)
    assert places.remove(str(tmp_path / "d"), OURS)
    assert not (tmp_path / "d").exists()


_REMOVE = """
import os, signal, sys
from understudy.adapters.places import LocalPlaces, local
remaining = [int(sys.argv[2])]
def count(event, arguments):
    if event in ("os.remove", "os.rmdir", "os.rename"):
        remaining[0] -= 1
        if remaining[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(count)
LocalPlaces().remove(sys.argv[1], "run-1")
print("done")
"""


def test_a_removal_killed_anywhere_is_completed_by_the_next(places, tmp_path):
    directory = tmp_path / "d"
    for number in range(100):
        places.claim(str(directory), OURS)
        (directory / "base" / "1").mkdir(parents=True)
        (directory / "base" / "1" / "1259").write_text("x")
        (directory / "PG_VERSION").write_text("18")
        command = [sys.executable, "-c", _REMOVE, str(directory), str(number)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])
        assert (done.returncode, done.stderr) in [(0, ""), (-9, "")]
        if done.returncode == 0:
            break
        places.remove(str(directory), OURS)
        assert list(tmp_path.iterdir()) == []
    assert 5 < number < 20


def test_what_this_user_may_not_do_is_named(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("root becomes somebody else here")
    script = "from understudy.adapters.places import LocalPlaces; LocalPlaces().claim('/root/understudy-target', 'run-1')"
    done = subprocess.run(
        [sys.executable, "-c", f"import os, understudy.adapters.places.local, encodings.idna; os.setuid(65534); {script}"],
        capture_output=True, text=True, check=False, cwd="/",
    )  # fmt: skip
    assert "place_denied" in done.stderr


def test_what_a_restore_closed_to_writing_is_removed_also_by_who_is_not_root():
    """While WAL is replayed into a copy the directory of its tablespaces' links is closed."""
    if os.geteuid() != 0:
        pytest.skip("root becomes somebody else here")
    above = new_path()
    above.mkdir()
    os.chown(above, 65534, 65534)
    script = (
        "places = local.LocalPlaces(); target = Path(sys.argv[1]); places.claim(str(target), 'run-1'); "
        "links = target / 'pg_tblspc'; links.mkdir(); (links / '1').symlink_to('/'); links.chmod(0o500); "
        "places.remove(str(target), 'run-1')"
    )
    before = "import os, sys; from pathlib import Path; from understudy.adapters.places import local; os.setuid(65534)"
    try:
        subprocess.run([sys.executable, "-c", f"{before}; {script}", str(above / "copy")], check=True, cwd="/")
        assert list(above.iterdir()) == []
    finally:
        shutil.rmtree(above)


def test_a_file_in_the_way_is_refused(places, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises((Refusal, GiveUp)):
        places.claim(str(tmp_path / "file"), OURS)
    assert places.set_aside(str(tmp_path / "file"), OURS) == str(tmp_path / f"file.before-{OURS}")


def test_a_link_that_is_put_in_the_place_of_a_directory_while_it_is_claimed_is_not_followed(places, tmp_path, monkeypatch):
    directory, elsewhere = tmp_path / "claimed", tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    marked = local.write_marker

    def marked_and_exchanged(path, *of):
        written = marked(path, *of)
        path.rename(tmp_path / "away")
        path.symlink_to(elsewhere)
        return written

    monkeypatch.setattr(local, "write_marker", marked_and_exchanged)
    with pytest.raises(GiveUp) as refused:
        places.claim(str(directory), OURS, (os.geteuid(), os.getegid()))
    assert refused.value.code == "place_fault"
    assert elsewhere.stat().st_mode & 0o777 == 0o755
