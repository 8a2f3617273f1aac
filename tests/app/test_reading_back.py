"""What is stored is read back a part at a time; what is damaged is found, marked, and passed over."""

import shutil
from dataclasses import replace

import pytest

from tests.app.shelf import DOCS, FAR, NEAR, Shelf, SilentWatcher
from tests.room import new_path
from understudy.app.carrying_out import carry_out
from understudy.app.damage import damaged_backups
from understudy.app.damaged_parts import damaged_parts
from understudy.app.listing import list_backups
from understudy.app.looking import status
from understudy.app.reading_back import plan_next_reading, read_back
from understudy.app.retention import decide
from understudy.app.scheduling import Scheduling
from understudy.app.verify_results import VerifyTarget
from understudy.app.verifying import verify
from understudy.plan.retention import KeepReason
from understudy.runner.submission import hand_over
from understudy.vocabulary.errors import Refusal

MUCH = 2**30


@pytest.fixture(scope="module")
def stocked(tmp_path_factory):
    shelf = Shelf(tmp_path_factory.mktemp("stocked"))
    shelf.fill()
    shelf.back_up()
    (shelf.docs / "notes.txt").write_text("other notes")
    shelf.back_up()
    return shelf


@pytest.fixture
def shelf(stocked):
    made = stocked.copied_to(new_path("shelf"))
    yield made
    made.close()


def read(shelf, budget=MUCH):
    return read_back(shelf.installation, budget, SilentWatcher())


def test_each_stored_object_is_read_and_remembered(shelf):
    view = read(shelf)
    assert view.succeeded, [step.error for step in view.steps]
    readings = shelf.installation.records.readings.of(NEAR, DOCS)
    assert all(each.read is not None and each.fault is None for each in readings)
    stored = {f"{each.parent.name}/{each.name}" for each in shelf.folder().rglob("*") if each.is_file()}
    assert {each.unit for each in readings} == {name for name in stored if not name.endswith("snapshot.json")}


def damaged(shelf):
    return {each.label: each.damage.code for each in damaged_backups(shelf.installation, DOCS) if each.repository == NEAR}


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)


def cut(path):
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1])


def failures(view):
    return {step.key: step.error for step in view.steps if step.error is not None}


@pytest.mark.parametrize("spoil", [flip, cut, lambda path: path.unlink()], ids=["flipped", "cut", "absent"])
def test_a_damaged_part_marks_the_snapshots_that_use_it_until_it_is_read_whole(shelf, spoil):
    older, newer = shelf.snapshots()
    only_newer = next(iter({part.name for part in newer.parts} - {part.name for part in older.parts}))
    path = shelf.folder() / "parts" / only_newer
    whole = path.read_bytes()
    assert read(shelf).succeeded
    spoil(path)
    view = read(shelf)
    (error,) = failures(view).values()
    assert error.code == "damage_found"
    assert newer.label.text in error.hint
    assert damaged(shelf).keys() == {newer.label.text}
    path.unlink(missing_ok=True)
    path.write_bytes(whole)
    assert read(shelf).succeeded
    assert damaged(shelf) == {}


def test_each_kind_of_object_is_found_damaged(shelf):
    older, newer = shelf.labels()
    flip(next((shelf.folder() / "snapshots" / newer).glob("listing*")))
    flip(shelf.folder() / "snapshots" / older / "snapshot.json")
    flip(shelf.folder() / "snapshots" / newer / "SHA256SUMS")
    assert not read(shelf).succeeded
    faulty = {each.unit for each in shelf.installation.records.readings.damaged(NEAR, DOCS)}
    assert faulty == {f"{older}/snapshot.json", f"{newer}/listing.jsonl.zst.age", f"{newer}/SHA256SUMS"}
    assert damaged(shelf).keys() == {older, newer}


def test_a_snapshot_that_is_gone_altogether_is_found(shelf):
    _, newer = shelf.labels()
    shutil.rmtree(shelf.folder() / "snapshots" / newer)
    assert not read(shelf).succeeded
    assert damaged(shelf) == {newer: "backup_lost"}


def test_what_is_damaged_is_passed_over_by_restores_and_counts_for_nothing_and_the_next_one_uses_nothing_of_it(shelf):
    older, newer = shelf.labels()
    shared = {part.name for part in shelf.snapshots()[0].parts}
    fresh = next(iter(shelf.parts() - shared))
    for where in (NEAR, FAR):
        flip(shelf.folder(where) / "parts" / fresh)
    assert not read(shelf).succeeded
    assert shelf.restore().succeeded
    (run,) = shelf.installation.records.history.of(("restore",))
    (proof,) = [step.evidence.proof for step in shelf.installation.records.steps(run) if step.key.endswith("/restore-snapshot")]
    assert proof["label"] == older
    near, _ = decide(shelf.installation, DOCS, None)
    kept = {fate.snapshot.label.text: {each.reason for each in fate.kept} for fate in near.decision.snapshots}
    assert KeepReason.LAST_GOOD in kept[older]
    assert kept[newer] == {KeepReason.NOT_RESTORABLE}
    shelf.back_up()
    assert fresh not in {part.name for part in shelf.snapshots()[-1].parts}


def test_where_nothing_sound_is_left_nothing_counts_as_protected(shelf):
    for where in (NEAR, FAR):
        for listing in shelf.folder(where).glob("snapshots/*/listing*"):
            flip(listing)
    assert status(shelf.installation).snapshots[0].recoverable
    assert not read(shelf).succeeded
    (shown,) = status(shelf.installation).snapshots
    assert not shown.recoverable
    assert {(each.repository, each.label) for each in shown.damaged} == {
        (w, label) for w in (NEAR, FAR) for label in shelf.labels()
    }
    assert all(each.damaged is not None for each in list_backups(shelf.installation, None).snapshots)
    view = shelf.restore()
    assert not view.succeeded, "what is marked is tried where nothing else is left"
    shelf.back_up()
    assert status(shelf.installation).snapshots[0].recoverable


def test_a_small_budget_reads_the_rest_in_later_runs_and_then_begins_anew(shelf):
    order = []
    while True:
        before = {each.unit: each.read for each in shelf.installation.records.readings.of(NEAR, DOCS)}
        assert read(shelf, 1).succeeded
        after = {each.unit: each.read for each in shelf.installation.records.readings.of(NEAR, DOCS)}
        (unit,) = [unit for unit in after if after[unit] != before.get(unit)]
        if unit in order:
            break
        order.append(unit)
    assert set(order) == after.keys(), "each was read before any was read again"
    assert unit == order[0]


def test_what_retention_removed_is_forgotten(shelf):
    assert read(shelf).succeeded
    older, _ = shelf.labels()
    shutil.rmtree(shelf.folder() / "snapshots" / older)
    read(shelf)
    left = {each.unit for each in shelf.installation.records.readings.of(NEAR, DOCS)}
    assert not any(unit.startswith(f"{older}/listing") for unit in left)


def in_status(shelf):
    near, _ = status(shelf.installation).reading_back.repositories
    return near


def test_status_tells_how_far_the_cycle_is_and_when_it_comes_round(shelf):
    shelf.write("backup: {part_size: 1MiB}")
    assert in_status(shelf).units == 0
    assert read(shelf, 1).succeeded
    begun = in_status(shelf)
    assert begun.never_read == begun.units - 1 > 1
    assert begun.cycle_runs == 1, "by the budget that is declared"
    schedule = status(shelf.installation).reading_back.schedule
    assert begun.complete == schedule.next
    assert read(shelf).succeeded
    now = in_status(shelf)
    assert (now.never_read, now.damaged) == (0, 0)
    assert now.read_in_cycle_bytes == now.size_bytes
    assert now.oldest_read >= begun.oldest_read


def test_what_retention_removes_between_the_plan_and_its_run_is_no_damage(shelf):
    older, _ = shelf.labels()
    plan = plan_next_reading(shelf.installation, MUCH)
    (shelf.folder() / "snapshots" / older / "snapshot.json").unlink()
    (only,) = shelf.snapshots()
    for path in [*shelf.folder().glob(f"snapshots/{older}/*"), *shelf.folder().glob("parts/*")]:
        if path.name not in {part.name for part in only.parts}:
            path.unlink()
    near = tuple(step for step in plan.steps if step.step.repository == NEAR)
    view = carry_out(shelf.installation, replace(plan, steps=near), SilentWatcher())
    assert view.succeeded, failures(view)


def test_what_verify_finds_is_marked_and_what_it_reads_whole_is_marked_no_longer(shelf):
    _, newer = shelf.snapshots()
    part = shelf.folder() / "parts" / newer.parts[-1].name
    flip(part)
    everything = VerifyTarget(None, None)
    verify(shelf.installation, everything, None, False, lambda *_: None)
    assert newer.label.text in damaged(shelf)
    flip(part)
    assert verify(shelf.installation, everything, None, False, lambda *_: None).passed
    assert damaged(shelf) == {}
    assert damaged_parts(shelf.installation, DOCS) == frozenset()


def test_what_a_run_reads_whole_is_used_again_although_verify_had_noted_it_as_damaged(shelf):
    _, newer = shelf.snapshots()
    part = shelf.folder() / "parts" / newer.parts[-1].name
    flip(part)
    verify(shelf.installation, VerifyTarget(None, None), None, False, lambda *_: None)
    assert damaged_parts(shelf.installation, DOCS) == {part.name}
    flip(part)
    assert read(shelf).succeeded
    assert damaged_parts(shelf.installation, DOCS) == frozenset()


def test_where_all_of_the_first_repository_is_damaged_it_holds_no_usable_snapshot(shelf):
    for listing in shelf.folder().glob("snapshots/*/listing*"):
        cut(listing)
    schedules = Scheduling(shelf.installation, None, DOCS, lambda kind, value: None)
    assert schedules._has_usable_backup()
    read(shelf)
    assert not schedules._has_usable_backup(), "so serve takes one at once when it starts"


def test_two_runs_at_once_are_refused(shelf):
    plan = plan_next_reading(shelf.installation, MUCH)
    hand_over(shelf.installation.records, shelf.installation.clock, plan)
    with pytest.raises(Refusal, match="busy"):
        read(shelf)


def test_a_repository_that_is_away_keeps_no_other_from_being_read(shelf):
    (shelf.directory / "near").rename(shelf.directory / "away")
    plan = plan_next_reading(shelf.installation, MUCH)
    units = {planned.step.repository: bool(planned.step.units) for planned in plan.steps}
    assert units == {NEAR: False, FAR: True}, "its step waits for it, and tells if it stays away"
