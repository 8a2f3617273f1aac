"""What every ``Places`` promises."""

import threading

import pytest

from understudy.ports.places import Places
from understudy.vocabulary.errors import GiveUp, Refusal
from understudy.vocabulary.identifiers import RunId

OURS, THEIRS = RunId("run-1"), RunId("run-2")


class PlacesContract:
    """Inherit, and supply ``places``. Directories are made below ``tmp_path``."""

    @pytest.fixture
    def places(self) -> Places:
        raise NotImplementedError

    @pytest.fixture
    def directory(self, tmp_path):
        return tmp_path / "target"

    @pytest.fixture
    def claimed(self, places, directory):
        places.claim(str(directory), OURS)
        (directory / "PG_VERSION").write_text("18\n")
        (directory / "base" / "1").mkdir(parents=True)
        return directory

    def test_what_is_not_there_is_said_so(self, places, directory):
        facts = places.facts(str(directory / "deep" / "below"))
        assert (facts.exists, facts.empty, facts.claimed_by) == (False, False, None)
        assert facts.free_bytes > 0

    def test_directories_beside_each_other_are_on_one_file_system_before_they_are_made(self, places, directory):
        directory.mkdir()
        beside = (directory, directory / "deep" / "below", directory.with_name("sibling"))
        assert len({places.facts(str(each)).file_system for each in beside}) == 1

    def test_a_claimed_directory_is_empty_private_and_ours(self, places, directory):
        places.claim(str(directory / "deep"), OURS)
        facts = places.facts(str(directory / "deep"))
        assert (facts.exists, facts.empty, facts.claimed_by) == (True, True, OURS)
        assert (directory / "deep").stat().st_mode & 0o777 == 0o700

    def test_claiming_again_is_the_same_as_once_also_when_it_was_filled_meanwhile(self, places, claimed):
        places.claim(str(claimed), OURS)
        assert (claimed / "PG_VERSION").exists()
        assert not places.facts(str(claimed)).empty

    def test_what_holds_something_is_not_claimed(self, places, directory):
        directory.mkdir()
        (directory / "precious").write_text("data")
        with pytest.raises(Refusal) as refused:
            places.claim(str(directory), OURS)
        assert refused.value.code == "target_not_empty"
        assert [path.name for path in directory.iterdir()] == ["precious"]

    def test_what_another_run_claimed_is_not_claimed(self, places, directory):
        places.claim(str(directory), THEIRS)
        with pytest.raises(Refusal) as refused:
            places.claim(str(directory), OURS)
        assert refused.value.code == "target_not_empty"
        assert places.facts(str(directory)).claimed_by == THEIRS

    def test_of_many_that_claim_at_once_one_wins(self, places, directory):
        directory.mkdir()
        together, winners = threading.Barrier(8), []

        def claim(number):
            together.wait()
            try:
                places.claim(str(directory), RunId(f"run-{number}"))
            except Refusal:
                return
            winners.append(f"run-{number}")

        threads = [threading.Thread(target=claim, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert winners == [places.facts(str(directory)).claimed_by]

    def test_a_released_directory_keeps_its_content_and_bears_no_marker(self, places, claimed):
        places.release(str(claimed), OURS)
        places.release(str(claimed), OURS)
        assert places.facts(str(claimed)).claimed_by is None
        assert sorted(path.name for path in claimed.iterdir()) == ["PG_VERSION", "base"]

    def test_another_runs_marker_is_not_taken_out(self, places, claimed):
        with pytest.raises(Refusal) as refused:
            places.release(str(claimed), THEIRS)
        assert refused.value.code == "not_ours"

    def test_a_removed_directory_is_gone(self, places, claimed):
        assert places.remove(str(claimed), OURS) is True
        assert not claimed.exists()
        assert list(claimed.parent.iterdir()) == []
        assert places.remove(str(claimed), OURS) is False

    @pytest.mark.parametrize("run", [OURS, None])
    def test_only_what_bears_this_runs_marker_is_removed(self, places, directory, run):
        directory.mkdir()
        if run:
            places.claim(str(directory), run)
        (directory / "precious").write_text("data")
        with pytest.raises(Refusal) as refused:
            places.remove(str(directory), THEIRS)
        assert refused.value.code == "not_ours"
        assert (directory / "precious").read_text() == "data"

    def test_links_are_removed_and_what_they_lead_to_is_not(self, places, claimed, tmp_path):
        elsewhere = tmp_path / "tablespace"
        elsewhere.mkdir()
        (elsewhere / "precious").write_text("data")
        (claimed / "base" / "16384").symlink_to(elsewhere)
        (claimed / "pg_wal").symlink_to(elsewhere)
        places.remove(str(claimed), OURS)
        assert (elsewhere / "precious").read_text() == "data"

    def test_what_stands_there_is_set_aside_whole(self, places, directory):
        directory.mkdir()
        (directory / "precious").write_text("data")
        aside = places.set_aside(str(directory), OURS)
        assert aside == f"{directory}.before-{OURS}"
        assert (directory.parent / f"target.before-{OURS}" / "precious").read_text() == "data"
        places.claim(str(directory), OURS)
        assert places.set_aside(str(directory), OURS) == aside
        assert places.aside(str(directory), OURS) == aside
        assert places.aside(str(directory), THEIRS) is None
        assert places.facts(str(directory)).claimed_by == OURS

    def test_the_name_of_what_is_set_aside_says_where_nothing_of_it_is_to_be_believed(self, places, directory):
        directory.mkdir()
        (directory / "precious").write_text("forged")
        aside = places.set_aside(str(directory), OURS, quarantined=True)
        assert aside == f"{directory}.quarantined-{OURS}"
        assert places.set_aside(str(directory), OURS, quarantined=True) == places.aside(str(directory), OURS) == aside

    def test_nothing_is_set_aside_where_nothing_stands(self, places, directory):
        assert places.set_aside(str(directory), OURS) is None
        assert places.aside(str(directory), OURS) is None
        directory.mkdir()
        assert places.set_aside(str(directory), OURS) is None

    def test_what_this_run_restored_is_not_set_aside(self, places, claimed):
        assert places.set_aside(str(claimed), OURS) is None
        assert claimed.exists()

    def test_a_second_content_is_not_put_over_the_first_one_set_aside(self, places, directory):
        directory.mkdir()
        (directory / "precious").write_text("first")
        aside = directory.with_name(f"target.before-{OURS}")
        assert places.set_aside(str(directory), OURS) == str(aside)
        directory.mkdir()
        (directory / "precious").write_text("second")
        with pytest.raises(Refusal) as refused:
            places.set_aside(str(directory), OURS)
        assert refused.value.code == "target_not_empty"
        assert (aside / "precious").read_text() == "first"
        assert (directory / "precious").read_text() == "second"

    @pytest.mark.parametrize("directory", ["", "relative/path", "/", "/../"])
    def test_a_directory_that_could_be_anywhere_is_refused(self, places, directory):
        for use in (lambda: places.facts(directory), lambda: places.remove(directory, OURS)):
            with pytest.raises(Refusal) as refused:
                use()
            assert refused.value.code == "directory_not_absolute"

    def test_what_one_run_made_is_put_in_its_place_by_another_once(self, places, claimed, tmp_path):
        place = tmp_path / "place"
        places.claim(str(place), THEIRS)
        for _ in range(2):
            places.put_in_place(str(claimed), OURS, str(place), THEIRS)
            assert (place / "PG_VERSION").read_text() == "18\n"
            assert (claimed.exists(), places.facts(str(place)).claimed_by) == (False, THEIRS)

    def test_nothing_is_put_where_something_stands_nor_what_is_somebody_elses(self, places, claimed, tmp_path):
        place = tmp_path / "place"
        place.mkdir()
        (place / "precious").write_text("data")
        with pytest.raises(Refusal) as refused:
            places.put_in_place(str(claimed), OURS, str(place), THEIRS)
        assert refused.value.code == "target_not_empty"
        with pytest.raises(Refusal) as refused:
            places.put_in_place(str(claimed), THEIRS, str(tmp_path / "free"), THEIRS)
        assert refused.value.code == "not_ours"
        assert places.facts(str(claimed)).claimed_by == OURS

    def test_what_is_not_there_cannot_be_put_anywhere(self, places, directory, tmp_path):
        with pytest.raises(GiveUp) as gave_up:
            places.put_in_place(str(directory), OURS, str(tmp_path / "place"), THEIRS)
        assert gave_up.value.code == "source_missing"
