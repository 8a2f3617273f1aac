"""Negative controls of the end of WAL: damage from before it was sealed, so that every digest is right. PostgreSQL 16 and 18."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.restore_matrix.estate import Estate, expect_success, failed_step, proof_of
from tests.servers.flavours import Flavour
from understudy.app.installation import Installation
from understudy.app.recoveries import Choice
from understudy.repository.layout import WalKeys, wal_prefix
from understudy.vocabulary.recovery_target import RecoveryTarget, TargetKind
from understudy.vocabulary.wal import Lsn, WalSegment

MIB = 1024 * 1024


@pytest.fixture(scope="module", params=[Flavour.WHEEL_18, Flavour.WHEEL_16])
def good(request, make_estate) -> Estate:
    """Rows in a segment that is complete by now; a record of two and a half segments; rows in the tail."""
    estate = make_estate(request.param, segment_megabytes=1)
    server = estate.server
    server.sql("create table t (marker text)")
    estate.back_up_well()
    server.sql("select pg_switch_wal()")
    server.sql("insert into t values ('first marker')")
    server.sql("insert into t values ('second marker')")
    server.sql(f"select pg_logical_emit_message(false, 'big', repeat('y', {5 * MIB // 2}))")
    server.sql("insert into t values ('third marker')")
    server.sql("insert into t values ('fourth marker')")
    estate.ship()
    return estate


class Copy:
    """Another installation of the same keys over a copy of the repository, in which WAL is exchanged for other WAL.

    Without the spool, from which a restore would ship what the copy lacks.
    """

    def __init__(self, good, place):
        repository = place / "repository"
        shutil.copytree(good.repository_directory, repository)
        stack = json.loads(good.stack_file.read_text())
        stack["repositories"]["near"]["url"] = f"file://{repository}"
        stack["resources"]["orders"]["wal"]["spool"] = str(place / "no-spool")
        stack_file = place / "understudy.yaml"
        stack_file.write_text(json.dumps(stack))
        installation = Installation.open(stack_file, good.installation.state)
        self.estate = replace(good, stack_file=stack_file, repository_directory=repository, installation=installation)
        self.archive = self.estate.archive()
        self.place = place

    @property
    def last(self) -> WalSegment:
        contents = self.archive.contents()
        return max([*contents.segments, *contents.tail_reaches()])

    def holding(self, marker) -> WalSegment:
        segments = {*self.archive.contents().segments, self.last}
        return next(each for each in segments if marker in b"".join(self.archive.fetch_segment(each)))

    def remove(self, segment):
        """Complete or not, and all that lies behind it."""
        keys = WalKeys(wal_prefix("orders", self.estate.backups()[0].system_identifier))
        while segment <= (last := self.last):
            folder = (self.estate.repository_directory / keys.segment(last)).parent
            for path in folder.glob(f"{last.name}.*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def exchange(self, segment, change: Callable[[bytearray], bytes]):
        """The last WAL of the copy, changed, and sealed and signed as if the receiver had written it so."""
        complete = self.archive.contents().holds(segment)
        content = change(bytearray(b"".join(self.archive.fetch_segment(segment))))
        self.remove(segment)
        if complete:
            self.archive.put_segment(segment, bytes(content))
        else:
            self.archive.put_tail(segment, 0, bytes(content).rstrip(b"\0"))

    def record_before(self, segment, marker) -> tuple[int, int]:
        """Offset and length of the record that holds the marker, as the server's own program lists it."""
        content = b"".join(self.archive.fetch_segment(segment))
        directory = self.estate.server.new_directory(f"listed-{self.place.name}")
        (directory / segment.name).write_bytes(content)
        directory.chmod(0o755)
        shown = self.estate.server.program("pg_waldump", str(directory / segment.name), check=False).stdout
        found = [(Lsn.parse(lsn).position % MIB, int(total)) for total, lsn in re.findall(r"/ *(\d+),.* lsn: (\S+),", shown)]
        at = content.index(marker)
        return max(each for each in found if each[0] <= at)

    def restore(self, target: str | None = None):
        choice = Choice(RecoveryTarget(TargetKind.LSN, target)) if target else Choice()
        server = self.estate.server.sibling()
        return server, self.estate.restore(choice, server.data)

    def markers(self, target: str | None = None) -> tuple[list[str], dict[str, object], str]:
        server, view = self.restore(target)
        expect_success(view)
        step = next(step for step in view.steps if step.key == "orders/replay-wal")
        rows = server.start().sql("select marker from t")
        return [str(row[0]).partition(" ")[0] for row in rows], dict(proof_of(view, "replay-wal")), step.evidence.hint


@pytest.fixture
def copy(good, tmp_path) -> Copy:
    return Copy(good, tmp_path)


def flipped(content, at):
    content[at] ^= 1
    return content


def test_a_position_at_the_very_end_is_a_target(copy):
    """No record begins there at which the server could stop by itself."""
    assert copy.markers(str(copy.markers()[1]["replayed_lsn"]))[0] == ["first", "second", "third", "fourth"]


def test_without_damage_all_of_it_is_replayed(copy):
    """Without this, all the refusals below would prove nothing."""
    markers, proof, hint = copy.markers()
    assert (markers, proof["bytes_not_replayed"], hint) == (["first", "second", "third", "fourth"], 0, "")


def test_a_damaged_record_in_the_last_complete_segment_is_not_the_end_and_what_lies_before_it_can_be_had(copy):
    segment = copy.holding(b"second marker")
    copy.remove(segment.following)
    copy.exchange(segment, lambda content: flipped(content, content.index(b"second marker")))
    view = copy.restore()[1]
    assert failed_step(view) == ("replay-wal", "wal_unreadable")
    position = re.search(r"restore to (\S+) with --lsn", view.failure("wal_unreadable").hint).group(1)
    assert copy.markers(position)[0] == ["first"]


def test_a_position_before_damage_is_a_target_also_where_much_wal_follows(copy):
    segment = copy.holding(b"second marker")
    following = [b"".join(copy.archive.fetch_segment(each)) for each in segment.following.through(copy.last)]
    copy.remove(segment.following)
    copy.exchange(segment, lambda content: flipped(content, content.index(b"second marker")))
    for content in following:
        copy.archive.put_segment(copy.last.following, content)
    view = copy.restore()[1]
    assert failed_step(view) == ("replay-wal", "wal_unreadable")
    position = re.search(r"restore to (\S+) with --lsn", view.failure("wal_unreadable").hint).group(1)
    assert copy.markers(position)[0] == ["first"]


def test_a_damaged_length_that_leads_behind_the_last_segment_is_not_the_end(copy):
    segment = copy.holding(b"second marker")
    begin, _ = copy.record_before(segment, b"second marker")
    copy.remove(segment.following)
    copy.exchange(segment, lambda content: flipped(content, begin + 3))
    assert failed_step(copy.restore()[1]) == ("replay-wal", "wal_unreadable")


def test_a_record_that_is_damaged_on_the_border_of_two_segments_is_not_the_end(copy):
    """The server asks for both in turn."""
    segment = copy.holding(b"second marker").following
    copy.remove(segment.following)
    copy.exchange(segment, lambda content: flipped(content, 16))
    assert failed_step(copy.restore()[1]) == ("replay-wal", "wal_unreadable")


DAMAGED_TAILS = {
    "in the middle": lambda content: flipped(content, content.index(b"third marker")),
    "in its last record": lambda content: flipped(content, len(content.rstrip(b"\0")) - 1),
    "zeros": lambda content: content.replace(b"third marker", bytes(12)),
}


@pytest.mark.parametrize("damage", DAMAGED_TAILS)
def test_damage_in_the_tail_is_not_the_end(copy, damage):
    copy.exchange(copy.last, DAMAGED_TAILS[damage])
    assert failed_step(copy.restore()[1]) == ("replay-wal", "wal_unreadable")


def test_a_tail_that_is_cut_off_within_a_record_is_replayed_up_to_that_record_and_the_loss_is_told(copy):
    copy.exchange(copy.last, lambda content: content[: content.index(b"fourth marker") + 4])
    markers, proof, hint = copy.markers()
    assert markers == ["first", "second", "third"]
    assert 0 < proof["bytes_not_replayed"] < 300
    assert str(proof["replayed_lsn"]) in hint


@pytest.mark.parametrize("left", [1, 2, 3])
def test_wal_that_ends_within_a_record_of_several_segments_is_replayed_up_to_that_record(copy, left):
    """In the segment where it begins, in one that it fills, and in the tail."""
    segment = copy.holding(b"second marker")
    for _ in range(left - 1):
        segment = segment.following
    copy.remove(segment.following)
    if left == 3:
        copy.exchange(segment, lambda content: content[: MIB // 4])
    markers, proof, _ = copy.markers()
    assert markers == ["first", "second"]
    assert proof["bytes_not_replayed"] == Lsn.parse(proof["repository_reaches"]).bytes_since(Lsn.parse(proof["replayed_lsn"]))
    assert proof["bytes_not_replayed"] > (left - 2) * MIB
