"""Every kind of target, over what one source server and its repository hold. Versions: 15 (Debian), 16 and 18 (wheel)."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.restore_matrix.estate import dump_of, failed_step
from tests.restore_matrix.sequences import assert_sequences_not_behind, sequences_of
from tests.restore_matrix.stores import StoreKind
from tests.restore_matrix.story import RESTORE_POINT, SETTINGS, Story, marks_in, tell
from tests.servers.flavours import Flavour
from tests.told import told_whole
from understudy.app.recoveries import Choice
from understudy.records.run import StepState
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.recovery_target import LATEST, RecoveryTarget, TargetKind

SOURCES = {
    "18-file": (Flavour.WHEEL_18, StoreKind.FILE),
    "16-s3": (Flavour.WHEEL_16, StoreKind.S3),
    "15-s3": (Flavour.DEBIAN_15, StoreKind.S3),
}
IMMEDIATE = RecoveryTarget(TargetKind.IMMEDIATE)

TARGETS_THAT_MEAN_THE_GOOD_MOMENT: dict[str, Callable[[Story], RecoveryTarget]] = {
    "time": lambda story: to_time(story.good.committed),
    "lsn": lambda story: RecoveryTarget(TargetKind.LSN, str(story.good.lsn)),
    "transaction": lambda story: RecoveryTarget(TargetKind.TRANSACTION, story.good.xid),
    "name": lambda story: RecoveryTarget(TargetKind.NAME, RESTORE_POINT),
}
GOOD = [("18-file", target) for target in TARGETS_THAT_MEAN_THE_GOOD_MOMENT]
TYPED: dict[tuple[str, str], Callable[[Story], str]] = {
    ("16-s3", "--lsn"): lambda story: str(story.good.lsn),
    ("16-s3", "--xid"): lambda story: story.good.xid,
    ("15-s3", "--time"): lambda story: story.good.committed.isoformat(),
    ("15-s3", "--name"): lambda story: RESTORE_POINT,
}


def to_time(moment):
    return RecoveryTarget(TargetKind.TIME, moment.isoformat())


@pytest.fixture(scope="module")
def stories(make_estate):
    """Told once for each source."""
    told = {}

    def story(source):
        if source not in told:
            flavour, store = SOURCES[source]
            told[source] = tell(make_estate(flavour, store, settings=SETTINGS))
        return told[source]

    return story


def on(source, *values):
    """All tests of one source in one worker, where the distribution knows groups."""
    return pytest.param(source, *values, marks=pytest.mark.xdist_group(f"targets-{source}"))


@pytest.mark.parametrize("source", [on(source) for source in SOURCES])
def test_the_latest_commit_comes_back_with_all_that_was_before_it(stories, source):
    story = stories(source)
    copy = story.estate.restored(Choice(LATEST))
    assert dump_of(copy) == story.end.dump
    assert_sequences_not_behind(story.end.sequences, sequences_of(copy))


@pytest.mark.parametrize(("source", "target"), [on(*pair) for pair in GOOD])
def test_a_target_brings_back_exactly_the_moment_that_it_names(stories, source, target):
    story = stories(source)
    copy = story.estate.restored(Choice(TARGETS_THAT_MEAN_THE_GOOD_MOMENT[target](story)))
    assert marks_in(copy) == {"before", "good"}
    assert dump_of(copy) == story.good.dump
    assert_sequences_not_behind(story.good.sequences, sequences_of(copy))


@pytest.mark.parametrize(("source", "option"), [on(*typed) for typed in TYPED])
def test_a_target_a_backup_and_a_timeline_that_are_typed_bring_back_that_moment_from_there(stories, source, option):
    story = stories(source)
    copy = story.estate.server.sibling()
    [backup] = story.estate.backups()
    typed = (option, TYPED[source, option](story), "--backup", backup.label.text, "--timeline", "1")
    story.estate.command("restore", "orders", "--to", str(copy.data), *typed)
    assert dump_of(copy.start()) == story.good.dump
    assert_sequences_not_behind(story.good.sequences, sequences_of(copy))


@pytest.mark.parametrize("source", [on("18-file"), on("16-s3")])
def test_immediate_stops_where_the_backup_is_consistent(stories, source):
    story = stories(source)
    copy = story.estate.restored(Choice(IMMEDIATE))
    assert dump_of(copy) == story.as_of_backup


@pytest.mark.parametrize("source", [on("15-s3")])
def test_a_microsecond_before_a_commit_that_commit_is_not_there(stories, source):
    story = stories(source)
    copy = story.estate.restored(Choice(to_time(story.good.committed - timedelta(microseconds=1))))
    assert marks_in(copy) == {"before"}


@pytest.mark.parametrize("source", [on("18-file")])
def test_a_target_before_the_first_backup_is_refused(stories, source):
    estate = stories(source).estate
    first = estate.backups()[0]
    for target in (to_time(first.stop_time), RecoveryTarget(TargetKind.LSN, str(first.start_lsn))):
        with pytest.raises(Refusal) as refused:
            estate.restore(Choice(target), estate.directory / "never")
        assert told_whole(refused.value) == "target_before_first_backup"
    assert not (estate.directory / "never").exists()


@pytest.mark.parametrize("source", [on("18-file")])
def test_a_target_behind_the_last_wal_is_refused_or_not_reached_and_never_promoted(stories, source):
    story = stories(source)
    with pytest.raises(Refusal) as refused:
        beyond = RecoveryTarget(TargetKind.LSN, str(story.end.lsn + 64 * 2**20))
        story.estate.restore(Choice(beyond), story.estate.directory / "never")
    assert told_whole(refused.value) == "target_beyond_wal"
    assert "ships every 10 s (wal.ship_every)" in refused.value.hint
    for target in (to_time(story.end.committed + timedelta(microseconds=1)), RecoveryTarget(TargetKind.NAME, "nobody made it")):
        copy = story.estate.server.sibling()
        view = story.estate.restore(Choice(target), copy.data)
        assert failed_step(view) == ("replay-wal", "target_not_reached")
        assert {step.key.partition("/")[2] for step in view.steps if step.state is StepState.SUCCEEDED} == {
            "ship-spooled-wal",
            "provision-target",
            "restore-base-backup",
            "discard-unfinished",
        }


@pytest.mark.parametrize("source", [on("18-file")])
def test_a_time_without_an_offset_is_a_usage_error(stories, source):
    estate = stories(source).estate
    done = estate.command("restore", "orders", "--to", "/nowhere", "--time", "2026-11-23T03:00:00", check=False)
    assert done.returncode == 2
    assert "offset" in done.stderr


@pytest.mark.parametrize("source", [on("18-file")])
def test_a_directory_that_holds_something_is_refused_and_left_as_it_was(stories, source):
    estate = stories(source).estate
    occupied = estate.server.new_directory("occupied")
    (occupied / "somebody-s-file").write_text("precious")
    with pytest.raises(Refusal) as refusal:
        estate.restore(Choice(), occupied)
    assert told_whole(refusal.value) == "target_not_empty"
    assert [path.name for path in occupied.iterdir()] == ["somebody-s-file"]
