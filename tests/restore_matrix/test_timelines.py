"""The source is promoted to a new timeline mid-stream: both sides of the fork can be recovered. PostgreSQL 18."""

import pytest

from tests.restore_matrix.estate import RESOURCE, dump_of, expect_success, failed_step, proof_of
from tests.restore_matrix.story import SETTINGS, mark, marks_in
from tests.servers.processes import wait_until
from tests.told import told_whole
from understudy.app.recoveries import Choice
from understudy.vocabulary.errors import GiveUp, Refusal
from understudy.vocabulary.identifiers import BackupKind
from understudy.vocabulary.recovery_target import RecoveryTarget, TargetKind
from understudy.vocabulary.wal import Timeline

OLD, NEW = Timeline(1), Timeline(2)


class Fork:
    """A primary that went on, unseen by the standby that was promoted meanwhile and took over."""

    def __init__(self, make_estate):
        old = make_estate(settings=SETTINGS, segment_megabytes=1)
        primary = old.server
        primary.sql("create table marks (name text primary key)")
        self.estate = old
        self.first = old.back_up_well()
        self.standby = primary.make_standby()
        self.common = mark(primary, "common", dumped=True)
        wait_until(lambda: "common" in marks_in(self.standby), "the standby to follow")
        self.standby.kill_everything()
        self.lost = mark(primary, "lost with the old primary")
        primary.sql("select pg_switch_wal()")
        mark(primary, "end of the old timeline")
        old.ship()
        primary.kill_everything()
        self.standby.start()
        self.standby.promote()
        old.reopen(self.standby.url)
        self.diverged = failed_step(old.back_up())
        receiver = old.installation.receivers[RESOURCE]
        spool = receiver.spool()
        receiver.quarantine([*spool.segments, *([spool.partial] if spool.partial else [])], "ahead on a dead timeline")
        self.after_promotion = expect_success(old.back_up())
        self.second = old.backups()[-1]
        self.new = mark(self.standby, "on the new timeline", dumped=True)
        mark(self.standby, "end of the new timeline")
        old.ship()

    def restored(self, choice):
        copy = self.standby.sibling()
        expect_success(self.estate.restore(choice, copy.data))
        return copy.start()


@pytest.fixture(scope="module")
def fork(make_estate):
    return Fork(make_estate)


def to(moment):
    return RecoveryTarget(TargetKind.TIME, moment.committed.isoformat())


def test_a_receiver_that_was_ahead_of_what_survived_is_told_so(fork):
    assert fork.diverged == ("start-wal-stream", "receiver_diverged")


def test_the_first_backup_on_a_new_timeline_is_a_full_one_with_the_reason(fork):
    proof = proof_of(fork.after_promotion, "take-base-backup")
    assert (proof["kind"], proof["timeline"]) == ("full", 2)
    assert "timeline 2" in str(proof["reason"])
    assert fork.second.kind is BackupKind.FULL


def test_the_latest_commit_is_that_of_the_server_that_took_over(fork):
    assert dump_of(fork.restored(Choice())) == dump_of(fork.standby)


def test_a_moment_before_the_fork_comes_back_on_the_old_timeline(fork):
    copy = fork.restored(Choice(to(fork.common), timeline=OLD))
    assert marks_in(copy) == {"common"}
    assert dump_of(copy) == fork.common.dump


def test_what_the_old_primary_wrote_behind_the_fork_is_not_lost(fork):
    assert marks_in(fork.restored(Choice(to(fork.lost), timeline=OLD))) == {"common", "lost with the old primary"}


def test_the_end_of_the_old_timeline_is_reached_when_it_is_asked_for(fork):
    copy = fork.restored(Choice(timeline=OLD))
    assert marks_in(copy) == {"common", "lost with the old primary", "end of the old timeline"}


def test_a_moment_behind_the_fork_comes_back_on_the_new_timeline(fork):
    copy = fork.restored(Choice(to(fork.new), timeline=NEW))
    assert marks_in(copy) == {"common", "on the new timeline"}
    assert dump_of(copy) == fork.new.dump


def test_a_damaged_history_is_in_the_way_of_those_only_who_could_have_wanted_its_timeline(fork):
    """A timeline that nobody follows may be beyond repair; one that may hold what is newest, may not."""
    (history,) = fork.estate.repository_directory.glob("postgres/orders/*/wal/00000002.history.zst.age")
    kept = history.read_bytes()
    history.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    try:
        for choice in (Choice(), Choice(timeline=NEW)):
            with pytest.raises(Refusal) as refused:
                fork.estate.restore(choice, fork.estate.directory / "never")
            assert told_whole(refused.value) == "timeline_history_damaged"
        copy = fork.restored(Choice(timeline=OLD))
        assert "end of the old timeline" in marks_in(copy)
    finally:
        history.write_bytes(kept)


def test_a_backup_from_before_the_fork_is_refused_where_the_wal_between_is_gone(fork, tmp_path):
    """Without it the same wish brings the new timeline back."""
    choice = Choice(label=fork.first.label.text, timeline=NEW)
    assert "on the new timeline" in marks_in(fork.restored(choice))
    (new,) = fork.estate.repository_directory.glob("postgres/orders/*/wal/00000002")
    first = sorted(path for path in new.iterdir() if path.is_file())[0].name.partition(".")[0]
    taken_away = list(new.glob(f"{first}.*"))
    for path in taken_away:
        path.rename(tmp_path / path.name)
    try:
        with pytest.raises(GiveUp) as refused:
            fork.estate.restore(choice, fork.estate.directory / "never")
    finally:
        for path in taken_away:
            (tmp_path / path.name).rename(path)
    assert told_whole(refused.value) == "wal_missing"
    assert not (fork.estate.directory / "never").exists()


def test_a_timeline_that_the_repository_does_not_know_is_refused(fork):
    with pytest.raises(Refusal) as refused:
        fork.estate.restore(Choice(timeline=Timeline(7)), fork.estate.directory / "never")
    assert told_whole(refused.value) == "timeline_unknown"
