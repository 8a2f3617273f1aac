"""What the server's user plants where WAL is laid down for its server: nothing of it is followed."""

import os
import threading

import pytest

from tests.repository.test_wal_prefetch import OWNER, archive, ask, names, prefetcher
from understudy.vocabulary.errors import GiveUp

__all__ = ["archive"]


@pytest.fixture
def staging(tmp_path):
    """Where a run claimed a directory for its server's user."""
    above = tmp_path / "target.wal"
    above.mkdir(mode=0o700)
    os.chown(above, *OWNER)
    return above / "fetched"


@pytest.fixture
def elsewhere(tmp_path):
    """A directory that is none of that user's business."""
    place = tmp_path / "elsewhere"
    place.mkdir(mode=0o755)
    for name in (".hidden", "passwd", "00000001000000000000002A"):
        (place / name).write_text("precious")
    return place


def seen(place):
    found = [place, *sorted(place.iterdir())]
    return [(path.name, path.lstat().st_uid, path.lstat().st_mode, path.is_file() and path.read_text()) for path in found]


def made_once(archive, staging):
    """As an earlier attempt left it."""
    with prefetcher(archive, staging, names(1, 3)):
        pass


def refused(archive, staging):
    with pytest.raises(GiveUp) as failure:
        made_once(archive, staging)
    return failure.value


@pytest.mark.parametrize("name", ["", "ready"])
def test_a_link_in_the_place_of_a_directory_is_refused_and_what_it_leads_to_stays(archive, staging, elsewhere, name):
    if name:
        made_once(archive, staging)
        for path in (staging / name).iterdir():
            path.unlink()
        (staging / name).rmdir()
    (staging / name).symlink_to(elsewhere)
    before = seen(elsewhere)
    error = refused(archive, staging)
    assert error.code == "wal_directory_unexpected"
    assert str(staging) in error.found and "ls -la" in error.hint
    assert seen(elsewhere) == before


def test_a_link_in_the_place_of_the_directory_above_is_refused(archive, staging, elsewhere):
    staging.parent.rmdir()
    staging.parent.symlink_to(elsewhere)
    before = seen(elsewhere)
    assert refused(archive, staging).code == "wal_directory_unexpected"
    assert seen(elsewhere) == before


@pytest.mark.parametrize("name", ["lock", "requests", "asked"])
def test_a_link_in_the_place_of_a_file_that_is_kept_is_refused_and_its_target_stays(archive, staging, elsewhere, name):
    made_once(archive, staging)
    (staging / name).unlink()
    (staging / name).symlink_to(elsewhere / "passwd")
    before = seen(elsewhere)
    assert refused(archive, staging).code == "wal_directory_unexpected"
    assert seen(elsewhere) == before


@pytest.mark.parametrize("name", ["lock", "requests"])
def test_a_fifo_in_the_place_of_a_file_is_refused_and_nobody_waits_at_it(archive, staging, name):
    made_once(archive, staging)
    (staging / name).unlink()
    os.mkfifo(staging / name)
    assert refused(archive, staging).code == "wal_directory_unexpected"


def test_a_file_in_the_place_of_the_fifo_is_refused(archive, staging):
    made_once(archive, staging)
    (staging / "asked").unlink()
    (staging / "asked").write_text("")
    assert refused(archive, staging).code == "wal_directory_unexpected"


def test_a_directory_among_what_is_tidied_away_is_refused(archive, staging):
    made_once(archive, staging)
    (staging / "ready" / "nested").mkdir()
    assert refused(archive, staging).code == "wal_directory_unexpected"


def test_links_in_the_place_of_what_is_written_anew_are_replaced_and_not_followed(archive, staging, elsewhere, tmp_path):
    made_once(archive, staging)
    for name in ("error", "expected", "fetch-wal", "segment-bytes"):
        (staging / name).unlink(missing_ok=True)
        (staging / name).symlink_to(elsewhere / "passwd")
    (staging / f".expected.{threading.get_ident()}").symlink_to(elsewhere / "passwd")
    (staging / ".leftover").symlink_to(elsewhere / "passwd")
    before = seen(elsewhere)
    with prefetcher(archive, staging, names(1, 3)) as fetching:
        assert ask(fetching, tmp_path / "x", names(2, 2)[0]) == 0
    assert seen(elsewhere) == before
    assert not any(path.is_symlink() for path in staging.iterdir())
    owners = {(path.lstat().st_uid, path.lstat().st_gid) for path in staging.iterdir() if path.name != "lock"}
    assert owners == {OWNER}
