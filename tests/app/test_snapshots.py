"""A directory kept, copied, brought back, verified and let go of, by the functions that the command line calls."""

import shutil

import pytest

from tests.app.shelf import DOCS, FAR, NEAR, Shelf, SilentWatcher, flip, proof_of, tree
from tests.room import new_path
from understudy.app.backups import back_up
from understudy.app.installation import Installation
from understudy.app.listing import list_backups
from understudy.app.recoveries import drill, restore
from understudy.app.retention import decide, expire
from understudy.app.verifying import parse_target, verify
from understudy.plan.request import Choice
from understudy.stack.models import Scenario
from understudy.vocabulary.errors import Refusal, TryAgain
from understudy.vocabulary.identifiers import BackupKind
from understudy.vocabulary.recovery_target import RecoveryTarget, TargetKind


@pytest.fixture(scope="module")
def pristine():
    """Two snapshots in both repositories, of which the second holds what the first does and a file more. Only to be copied."""
    made = Shelf(_made("shelf"))
    made.fill()
    made.back_up()
    (made.docs / "later.txt").write_text("later")
    made.back_up()
    yield made
    made.close()


@pytest.fixture(scope="module")
def stocked(pristine):
    """To look at, and to restore from."""
    copy = pristine.copied_to(new_path("shelf"))
    yield copy
    copy.close()


@pytest.fixture
def shelf(pristine):
    """To damage, and to back up again."""
    copy = pristine.copied_to(new_path("shelf"))
    yield copy
    copy.close()


def _made(kind):
    directory = new_path(kind)
    directory.mkdir()
    return directory


def verified(shelf, target=None, deep=False):
    result = verify(shelf.installation, parse_target(shelf.installation, target), None, deep, lambda *_: None)
    return {(each.repository, each.label): [fault.code for fault in each.faults] for each in result.backups}, result.passed


def test_it_comes_back_as_it_was_and_the_place_bears_no_mark(stocked):
    view = stocked.restore("whole")
    assert view.succeeded
    assert tree(stocked.directory / "whole") == tree(stocked.docs)
    assert proof_of(view, "compare-restored")["contents"] == 5, "the empty one, too; further names are no contents"
    assert not list(stocked.directory.glob("whole/.understudy*"))


def test_the_second_snapshot_costs_what_is_new_and_each_repository_holds_it_whole(stocked):
    first, second = stocked.snapshots()
    assert second.stored_bytes < 5_000 < first.stored_bytes
    assert {part.name for part in first.parts} < {part.name for part in second.parts}
    assert stocked.stored(NEAR) == stocked.stored(FAR)
    assert stocked.restore("from-far", repository=FAR).succeeded
    assert tree(stocked.directory / "from-far") == tree(stocked.docs)


def test_an_earlier_one_comes_back_by_its_label_and_by_the_time(stocked):
    first, _ = stocked.snapshots()
    moment = RecoveryTarget(TargetKind.TIME, first.stop_time.isoformat())
    for place, choice in (("by-label", {"label": first.label.text}), ("by-time", {"target": moment})):
        assert stocked.restore(place, **choice).succeeded
        assert not (stocked.directory / place / "later.txt").exists()
        assert (stocked.directory / place / "notes.txt").read_text() == "notes"


def test_a_part_of_it_comes_back_alone_named_from_its_top_or_as_it_is_called_on_this_host(stocked):
    for place, only in (("a", "contracts"), ("b", f"{stocked.docs}/contracts/")):
        assert stocked.restore(place, only=only).succeeded
        found = {str(path.relative_to(stocked.directory / place)) for path in (stocked.directory / place).rglob("*")}
        assert found == {"contracts", "contracts/2026", "contracts/2026/lease.txt"}


def test_a_name_that_is_not_in_it_leaves_nothing_behind(stocked):
    view = stocked.restore("nothing", only="no-such")
    assert not view.succeeded
    assert [step.error.code for step in view.steps if step.error and step.error.code != "predecessor_failed"] == ["entry_missing"]
    assert not (stocked.directory / "nothing").exists()


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (lambda shelf: shelf.restore("docs"), "target_not_empty"),
        (lambda shelf: shelf.restore("x", target=RecoveryTarget(TargetKind.LSN, "0/3")), "target_needs_a_database"),
        (lambda shelf: shelf.restore("x", timeline=3), "target_needs_a_database"),
        (lambda shelf: shelf.restore("x", label="20200101-000000S"), "no_such_backup"),
        (lambda shelf: shelf.restore("x", only="\udcff"), "only_unusable"),
        (lambda shelf: restore(shelf.installation, "docs", "s3://bucket/x", Choice(), SilentWatcher()), "place_of_another_kind"),
        (lambda shelf: drill(shelf.installation, Scenario.DATABASE_CORRUPTION, (), None, None), "no_such_resource"),
        (lambda shelf: drill(shelf.installation, Scenario.DATABASE_CORRUPTION, ("docs",), None, None), "resource_is_no_database"),
        (lambda shelf: back_up(shelf.installation, "doks", None, None), "no_such_resource"),
    ],
)
def test_what_cannot_be_done_with_it_is_refused_before_anything_begins(stocked, asked, code):
    runs = len(stocked.installation.records.runs())
    with pytest.raises(Refusal) as refused:
        asked(stocked)
    assert refused.value.code == code
    assert refused.value.hint
    assert len(stocked.installation.records.runs()) == runs


def test_a_restore_goes_on_from_the_other_repository_where_a_part_is_damaged(shelf):
    _, second = shelf.snapshots()
    flip(shelf.folder() / "parts" / second.parts[0].name)
    view = shelf.restore()
    assert view.succeeded
    assert view.run.follows is not None
    assert proof_of(view, "restore-snapshot")["repository"] == FAR
    assert tree(shelf.directory / "found") == tree(shelf.docs)


def test_where_the_first_repository_is_away_the_next_one_is_read_that_holds_the_newest_snapshot_too(shelf):
    (shelf.directory / "near").rename(shelf.directory / "elsewhere")
    view = shelf.restore()
    assert view.succeeded
    assert proof_of(view, "restore-snapshot")["repository"] == FAR
    with pytest.raises(TryAgain, match="store_unreachable"):
        shelf.restore("named", repository=NEAR)


def test_a_repository_that_is_away_is_told_with_what_the_other_one_holds_where_that_is_older(shelf):
    shutil.rmtree(shelf.folder(FAR) / "snapshots" / shelf.labels(FAR)[-1])
    (shelf.directory / "near").rename(shelf.directory / "elsewhere")
    with pytest.raises(TryAgain, match=rf"--repository far \(snapshot {shelf.labels(FAR)[-1]}"):
        shelf.restore()
    assert shelf.restore(repository=FAR).succeeded


@pytest.mark.parametrize("harm", [flip, lambda path: path.unlink()])
def test_where_the_last_listing_is_damaged_all_of_it_is_stored_anew(shelf, harm):
    first, second = shelf.snapshots()
    harm(shelf.folder() / "snapshots" / second.label.text / second.listing.name)
    proof = proof_of(shelf.back_up(), "take-snapshot")
    assert proof["previous"] is None
    assert "anew" in proof["reason"]
    *_, third = shelf.snapshots()
    assert not {part.name for part in third.parts} & {part.name for part in (*first.parts, *second.parts)}
    assert shelf.restore(label=third.label.text).succeeded
    assert tree(shelf.directory / "found") == tree(shelf.docs)


def test_what_lay_in_a_part_that_is_gone_is_stored_again(shelf):
    _, second = shelf.snapshots()
    (shelf.folder() / "parts" / second.parts[0].name).unlink()
    shelf.back_up()
    *_, third = shelf.snapshots()
    assert second.parts[0] not in third.parts
    assert shelf.restore(label=third.label.text).succeeded
    assert tree(shelf.directory / "found") == tree(shelf.docs)


@pytest.mark.parametrize("finds", ["verify", "verify --deep", "restore"])
@pytest.mark.parametrize("repository", [NEAR, FAR])
def test_what_lies_in_a_part_that_was_found_damaged_is_stored_again_once(shelf, finds, repository):
    _, second = shelf.snapshots()
    flip(shelf.folder(repository) / "parts" / second.parts[0].name)
    if finds == "restore":
        shelf.restore("beside", repository=repository)
    else:
        verified(shelf, deep=finds.endswith("deep"))
    assert "but for what lies in 1 part found damaged" in proof_of(shelf.back_up(), "take-snapshot")["reason"]
    *_, third = shelf.snapshots()
    assert second.parts[0] not in third.parts
    assert second.parts[1] in third.parts
    assert shelf.restore(label=third.label.text, repository=repository).succeeded
    assert tree(shelf.directory / "found") == tree(shelf.docs)
    assert "damaged" not in proof_of(shelf.back_up(), "take-snapshot")["reason"]
    assert shelf.snapshots()[-1].parts == third.parts


def test_a_part_that_is_found_whole_again_is_used_again(shelf):
    _, second = shelf.snapshots()
    path = shelf.folder() / "parts" / second.parts[0].name
    flip(path)
    verified(shelf)
    flip(path)
    verified(shelf)
    shelf.back_up()
    assert shelf.snapshots()[-1].parts == second.parts


def test_where_every_snapshot_is_damaged_one_is_asked_for_that_uses_nothing_of_them(shelf):
    shelf.write(repositories=("near",))
    for part in shelf.parts():
        flip(shelf.folder() / "parts" / part)
    ended = shelf.installation.records.requests.of(shelf.restore().run.run).error
    assert ended.code == "no_sound_backup"
    assert "understudy backup docs --full" in ended.hint


def test_a_snapshot_that_cannot_be_copied_because_an_earlier_part_is_damaged_is_followed_by_one_that_uses_none(shelf):
    shelf.write(repositories=("near", "third"))
    first, second = shelf.snapshots()
    flip(shelf.folder() / "parts" / second.parts[0].name)
    view = shelf.back_up()
    assert view.run.follows is not None
    (copied,) = shelf.snapshots("third")
    assert copied == shelf.snapshots()[-1]
    assert not {part.name for part in copied.parts} & {part.name for part in (*first.parts, *second.parts)}
    assert shelf.restore(repository="third").succeeded
    assert tree(shelf.directory / "found") == tree(shelf.docs)


def test_all_of_it_is_stored_anew_where_that_is_asked_for_or_nothing_can_be_opened(shelf):
    before = shelf.parts()
    view = shelf.back_up(BackupKind.FULL)
    assert len(shelf.parts() - before) == 1
    assert "that was asked for" in proof_of(view, "take-snapshot")["reason"]
    shelf.write(identity=False)
    assert "no identity" in proof_of(shelf.back_up(), "take-snapshot")["reason"]


def test_a_snapshot_that_fails_leaves_nothing_in_the_repository(shelf):
    stored = shelf.stored()
    (shelf.docs).rename(shelf.directory / "moved")
    view = back_up(shelf.installation, DOCS, None, SilentWatcher())
    assert not view.succeeded
    assert shelf.stored() == stored
    assert not list(shelf.state.glob("runs/*/scratch/*"))


def test_everything_is_listed_with_its_repository(stocked):
    found = list_backups(stocked.installation, None)
    assert [(each.snapshot.label.text, each.repository) for each in found.snapshots] == [
        (label, repository) for label in stocked.labels() for repository in (FAR, NEAR)
    ]


def test_where_nothing_was_stored_the_listing_says_how_to_begin(shelf):
    shelf.write(repositories=("unmade",))
    with pytest.raises(Refusal, match=r"no_backup: .*understudy backup docs"):
        list_backups(shelf.installation, None)


# Verifying


@pytest.mark.parametrize("deep", [False, True])
def test_what_is_as_it_was_stored_is_said_to_be(stocked, deep):
    found, passed = verified(stocked, deep=deep)
    assert passed
    assert found == {(name, label): [] for name in (NEAR, FAR) for label in stocked.labels()}


@pytest.mark.parametrize("deep", [False, True])
def test_a_damaged_part_is_told_of_every_snapshot_that_needs_it(shelf, deep):
    first, second = shelf.snapshots()
    flip(shelf.folder() / "parts" / first.parts[0].name)
    found, passed = verified(shelf, "docs", deep)
    assert not passed
    assert found[NEAR, first.label.text] == found[NEAR, second.label.text] == ["part_corrupt"]
    assert found[FAR, first.label.text] == []


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("which", [0, 1])
def test_each_listing_is_read_although_they_all_have_one_name(shelf, deep, which):
    snapshot = shelf.snapshots()[which]
    flip(shelf.folder() / "snapshots" / snapshot.label.text / snapshot.listing.name)
    found, _ = verified(shelf, snapshot.label.text, deep)
    assert found == {(NEAR, snapshot.label.text): ["part_corrupt"], (FAR, snapshot.label.text): []}


def test_a_snapshot_that_is_gone_and_that_nobody_was_to_remove_is_told(shelf):
    _, second = shelf.labels()
    shutil.rmtree(shelf.folder() / "snapshots" / second)
    found, passed = verified(shelf)
    assert not passed
    assert found[NEAR, second] == ["backup_lost"]


def verified_while(shelf, meanwhile):
    """``meanwhile`` is carried out, once, while the first snapshot of near is being read."""
    waiting = [meanwhile]

    def report(*_):
        if waiting:
            waiting.pop()()

    result = verify(shelf.installation, parse_target(shelf.installation, "docs"), "near", False, report)
    return {each.label: [fault.code for fault in each.faults] for each in result.backups}


def test_what_retention_lets_go_while_it_is_verified_is_no_fault(shelf):
    shelf.back_up()
    first, second, third = shelf.labels()
    shelf.write("keep: {daily: 1, weekly: 0, monthly: 0, manual: 0s, point_in_time: 0s}")

    def let_go():
        beside = Installation.open(shelf.stack_file, shelf.state)
        assert expire(beside, decide(beside, "docs", "near"), SilentWatcher()).views[0].succeeded

    found = verified_while(shelf, let_go)
    assert shelf.labels() == [third]
    assert second not in found
    assert {label: codes for label, codes in found.items() if label != first} == {third: []}
    assert found.get(first, []) == []


def test_what_is_lost_while_it_is_verified_is_told_as_lost(shelf):
    _, second = shelf.labels()
    found = verified_while(shelf, lambda: shutil.rmtree(shelf.folder() / "snapshots" / second))
    assert found[second] == ["backup_lost"]


def test_an_edited_manifest_is_told_and_not_believed(shelf):
    _, second = shelf.labels()
    manifest = shelf.folder() / "snapshots" / second / "snapshot.json"
    manifest.chmod(0o600)
    manifest.write_text(manifest.read_text().replace('"entries":', '"entries": 1, "was":'))
    found, _ = verified(shelf)
    assert found[NEAR, second] != []
    assert len(list_backups(shelf.installation, "docs").unusable) == 1


# Letting go


def test_what_the_rules_let_go_is_removed_and_what_stays_comes_back(shelf):
    first, second = shelf.snapshots()
    shelf.write("keep: {daily: 1, weekly: 0, monthly: 0, manual: 0s, point_in_time: 0s}")
    decided = decide(shelf.installation, "docs", None)
    assert [[fate.stays for fate in each.decision.snapshots] for each in decided] == [[False, True]] * 2
    expired = expire(shelf.installation, decided, SilentWatcher())
    assert all(view.succeeded for view in expired.views)
    for repository in (NEAR, FAR):
        assert shelf.labels(repository) == [second.label.text]
        assert shelf.parts(repository) == {part.name for part in second.parts}, "a part that another one refers to stays"
    assert verified(shelf)[1]
    assert shelf.restore().succeeded
    assert tree(shelf.directory / "found") == tree(shelf.docs)
    assert not any(first.label.text in path for path in shelf.stored() if path.startswith("snapshots/"))


def test_parts_go_with_the_last_snapshot_that_refers_to_them(shelf):
    first, second = shelf.snapshots()
    shelf.write("keep: {daily: 1, weekly: 0, monthly: 0, manual: 0s, point_in_time: 0s}")
    shelf.back_up(BackupKind.FULL)
    *_, third = shelf.snapshots()
    (view,) = expire(shelf.installation, decide(shelf.installation, "docs", "near"), SilentWatcher()).views
    proof = proof_of(view, "remove-snapshots-from-near")
    assert proof["snapshots"] == [first.label.text, second.label.text]
    assert proof["parts"] == len(second.parts)
    assert shelf.parts() == {part.name for part in third.parts}


def test_what_a_restore_has_proven_stays_and_a_manifest_that_cannot_be_believed_keeps_everything(shelf):
    first, second = shelf.snapshots()
    shelf.write("keep: {daily: 1, weekly: 0, monthly: 0, manual: 0s, point_in_time: 0s}")
    assert shelf.restore(label=first.label.text).succeeded
    near, far = decide(shelf.installation, "docs", None)
    assert not near.removes
    assert far.removes
    flip(shelf.folder(FAR) / "snapshots" / second.label.text / "snapshot.json")
    _, far = decide(shelf.installation, "docs", None)
    assert far.fault.code == "retention_unsure"
