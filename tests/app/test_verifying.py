"""``verify`` on a real chain of backups, and on copies of it that something happened to."""

import json
import shutil
from pathlib import Path

import pytest

from tests.app.desk import Desk
from tests.repository.test_backup_checks import first_page
from tests.servers.flavours import Flavour
from tests.servers.postgres import PostgresServer
from understudy.app.backups import back_up
from understudy.app.damage import damage_below, damaged_labels
from understudy.app.database_recoveries import plan_restore
from understudy.app.installation import Installation
from understudy.app.listing import list_backups
from understudy.app.reading_back import read_back
from understudy.app.retention import decide
from understudy.app.verifying import parse_target, verify
from understudy.plan.plan import Mode, Plan, PlannedStep, Procedure
from understudy.plan.request import Choice
from understudy.plan.retention import KeepReason
from understudy.runner.submission import hand_over
from understudy.steps.remove_backups import RemoveBackups
from understudy.steps.restore_base_backup import RestoreBaseBackup
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import BackupKind, PlanId, RepositoryName, ResourceName
from understudy.vocabulary.wal import WalSegment


class SilentWatcher:
    def show(self, view):
        self.view = view

    def ask(self, step):
        return None


class Chain:
    """A full and an incremental backup with segments between and behind them; ``copy`` gives a repository to damage."""

    def __init__(self):
        self.desk = Desk()
        try:
            self._tell()
        except BaseException:
            self.desk.close()
            raise

    def _tell(self):
        with PostgresServer(Flavour.WHEEL_18, segment_megabytes=1) as server:
            server.sql(f"create tablespace fast location '{server.new_directory('fast')}'")
            server.sql("create table t tablespace fast as select generate_series(1, 20000) as id")
            self.desk.write(server, "backup: {part_size: 16MiB}")
            installation = Installation.open(self.desk.stack_file, self.desk.state)
            for kind in (BackupKind.FULL, BackupKind.INCREMENTAL):
                assert back_up(installation, "orders", kind, SilentWatcher()).succeeded
                for _ in range(3):
                    server.sql("insert into t select generate_series(1, 2000); select pg_switch_wal()")
            assert back_up(installation, "orders", BackupKind.INCREMENTAL, SilentWatcher()).succeeded
            installation.receivers[ResourceName("orders")].stop()
            self._store_a_tail(installation)
        self.labels = sorted(path.name for path in self.desk.directory.glob("repository/postgres/orders/*/backups/*"))

    def _store_a_tail(self, installation):
        """The beginning of the segment behind the last one, as it is shipped while it is not complete."""
        repository = installation.repository(RepositoryName("near"))
        newest = repository.backups(ResourceName("orders")).usable[-1]
        archive = repository.wal(newest.resource, newest.system_identifier, newest.segment_bytes)
        last = archive.contents().segments[-1]
        segment = WalSegment(last.timeline, last.number + 1, last.size_bytes)
        archive.put_tail(segment, 0, first_page(segment.start.position, int(newest.system_identifier), segment.size_bytes))

    def copy(self, to):
        shutil.copytree(self.desk.directory / "repository", to / "repository")
        text = self.desk.stack_file.read_text().replace(f"{self.desk.directory}/repository", f"{to}/repository")
        (to / "understudy.yaml").write_text(text)
        return Copied(to, shutil.copytree(self.desk.state, to / "state"), self.labels)


class Copied:
    def __init__(self, directory, state, labels):
        self.cluster = next((directory / "repository/postgres/orders").iterdir())
        self.stack_file = directory / "understudy.yaml"
        self.state = state
        self.labels = labels

    def installation(self):
        return Installation.open(self.stack_file, self.state)

    def verify(self, target=None, *, deep=False, repository=None):
        installation = self.installation()
        return verify(installation, parse_target(installation, target), repository, deep, lambda *_: None)

    def codes(self, target=None, *, deep=False):
        result = self.verify(target, deep=deep)
        faults = [fault for each in (*result.backups, *result.wal) for fault in each.faults]
        assert result.passed == (not faults)
        return {fault.code for fault in faults}

    def part(self, label):
        return next((self.cluster / "backups" / label).glob("base-*.tar.zst.age"))

    def segments(self):
        return sorted(self.cluster.glob("wal/00000001/????????????????????????.zst.age"))

    def tails(self):
        return sorted(self.cluster.glob("wal/00000001/*.tail/*.zst.age"))


@pytest.fixture(scope="module")
def chain():
    made = Chain()
    yield made
    made.desk.close()


@pytest.fixture
def stored(chain, tmp_path):
    return chain.copy(tmp_path)


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("deep", [False, True])
def test_what_nobody_touched_is_as_it_was_stored(stored, deep):
    result = stored.verify(deep=deep)
    assert result.passed
    assert [each.label for each in result.backups] == stored.labels
    assert all(each.objects > 1 and (each.files is not None) == deep for each in result.backups)
    (wal,) = result.wal
    assert wal.segments >= 6
    assert wal.objects == wal.segments
    assert wal.decoded == (wal.segments if deep else None)


def test_verifying_writes_nothing(stored):
    before = {path: path.stat().st_mtime_ns for path in stored.cluster.rglob("*")}
    stored.verify(deep=True)
    assert {path: path.stat().st_mtime_ns for path in stored.cluster.rglob("*")} == before


@pytest.mark.parametrize("deep", [False, True])
def test_a_flipped_bit_is_found(stored, deep):
    flip(stored.part(stored.labels[0]))
    assert stored.codes(deep=deep) == {"part_corrupt"}


@pytest.mark.parametrize("deep", [False, True])
def test_a_part_cut_short_is_found(stored, deep):
    cut(stored.part(stored.labels[1]))
    assert stored.codes(deep=deep) == {"part_corrupt"}


@pytest.mark.parametrize("deep", [False, True])
def test_an_absent_part_is_found(stored, deep):
    stored.part(stored.labels[0]).unlink()
    assert stored.codes(deep=deep) == {"part_missing"}


def test_what_stands_on_a_damaged_backup_is_named(stored):
    stored.part(stored.labels[0]).unlink()
    result = stored.verify()
    assert [result.broken_below(each) for each in result.backups] == [None, stored.labels[0], stored.labels[0]]


def test_an_edited_manifest_is_not_believed_and_breaks_what_stands_on_it(stored):
    manifest = stored.cluster / "backups" / stored.labels[0] / "backup.json"
    envelope = json.loads(manifest.read_text())
    envelope["signed"]["stop_lsn"] = "0/1"
    manifest.write_text(json.dumps(envelope))
    assert stored.codes() == {"signature_wrong", "chain_broken"}
    assert "signature_wrong" in stored.codes(stored.labels[0])


def lose(stored, label):
    shutil.rmtree(stored.cluster / "backups" / label)


def test_a_backup_that_is_no_longer_there_is_found(stored):
    newest = stored.labels[-1]
    lose(stored, newest)
    assert stored.codes() == stored.codes(f"orders/{newest}") == {"backup_lost"}
    lose(stored, stored.labels[0])
    result = stored.verify()
    assert [each.label for each in result.backups if {fault.code for fault in each.faults} == {"backup_lost"}] == [
        stored.labels[0],
        newest,
    ]
    assert stored.codes(stored.labels[1]) == {"chain_broken"}


def test_what_retention_was_to_remove_is_not_called_lost(stored):
    removes = RemoveBackups("orders", "near", (f"{stored.cluster.name}/{stored.labels[-1]}",), ())
    plan = Plan(PlanId("p"), Procedure.EXPIRY, Mode.ROUTINE, "orders", (PlannedStep(removes),), frozenset(), "0" * 64)
    installation = stored.installation()
    hand_over(installation.records, installation.clock, plan)
    lose(stored, stored.labels[-1])
    assert stored.codes() == set()


def test_what_another_controller_may_have_removed_is_not_called_lost(stored):
    installation = stored.installation()
    installation.repository(RepositoryName("near")).claim_epoch("another", installation.clock.now())
    lose(stored, stored.labels[-1])
    assert stored.codes() == set()


def test_edited_sums_are_found(stored):
    sums = stored.cluster / "backups" / stored.labels[0] / "SHA256SUMS"
    sums.write_text(sums.read_text().replace("base-", "base_"))
    assert stored.codes() == {"sums_differ"}


def test_a_damaged_server_manifest_is_found_also_where_nothing_is_opened(stored):
    flip(stored.cluster / "backups" / stored.labels[0] / "backup_manifest.zst.age")
    assert stored.codes() == {"part_corrupt"}
    assert stored.codes(deep=True) == {"part_corrupt"}


def test_wal_that_a_backup_needs_and_that_is_gone_is_found(stored):
    needed = json.loads((stored.cluster / "backups" / stored.labels[0] / "backup.json").read_text())["signed"]["start_lsn"]
    number = int(needed.split("/")[1], 16) // 2**20
    stored.segments()[0].with_name(f"00000001{0:08X}{number:08X}.json").unlink()
    assert stored.codes() == {"wal_missing"}


def test_a_hole_behind_the_backup_is_found(stored):
    middle = stored.segments()[-3]
    middle.with_name(middle.name.replace(".zst.age", ".json")).unlink()
    assert stored.codes() == {"wal_missing"}


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("harm", [flip, cut, Path.unlink])
def test_wal_that_was_flipped_cut_or_lost_is_found_also_where_nothing_is_opened(stored, harm, deep):
    harm(stored.segments()[-2])
    assert stored.codes(deep=deep) == {"wal_corrupt"}


@pytest.mark.parametrize("deep", [False, True])
def test_a_damaged_tail_is_found_also_where_nothing_is_opened(stored, deep):
    flip(stored.tails()[-1])
    assert stored.codes(deep=deep) == {"wal_corrupt"}


def test_without_an_identity_the_stored_wal_is_read_all_the_same(stored):
    text = stored.stack_file.read_text()
    stored.stack_file.write_text("\n".join(line for line in text.splitlines() if "identity:" not in line))
    result = stored.verify()
    assert result.passed
    assert result.wal[0].objects == result.wal[0].segments
    flip(stored.segments()[-2])
    assert stored.codes() == {"wal_corrupt"}


def test_one_label_is_checked_with_all_that_it_stands_on(stored):
    result = stored.verify(f"orders/{stored.labels[1]}")
    assert [each.label for each in result.backups] == stored.labels[:2]
    assert [each.label for each in stored.verify(stored.labels[0]).backups] == stored.labels[:1]


def test_the_wrong_identity_is_told_and_digests_are_compared_all_the_same(stored, tmp_path, chain):
    other = Desk()
    try:
        text = stored.stack_file.read_text().replace(str(chain.desk.identity_file), str(other.identity_file))
        stored.stack_file.write_text(text)
        assert {"wrong_key"} <= stored.codes(deep=True)
        flip(stored.part(stored.labels[0]))
        assert {"wrong_key", "part_corrupt"} <= stored.codes(deep=True)
    finally:
        other.close()


def test_a_repository_that_is_away_is_a_fault_and_no_success(stored):
    shutil.rmtree(stored.cluster.parents[2])
    result = stored.verify()
    assert not result.passed
    assert [bad.fault.code for bad in result.unreadable] == ["store_unreachable"]


@pytest.mark.parametrize(
    ("target", "code"),
    [("nothing", "no_such_resource"), ("20200101-000000F", "no_such_backup"), ("orders/x", "no_such_backup")],
)
def test_a_target_that_is_not_there_is_refused(stored, target, code):
    with pytest.raises(Refusal, match=code):
        stored.verify(target)


def test_a_repository_that_is_not_declared_is_refused(stored):
    with pytest.raises(Refusal, match="no_such_repository"):
        stored.verify(repository="far")


def read(stored, budget=2**40):
    """What the run failed by; None where all was as it was signed."""
    view = read_back(stored.installation(), budget, SilentWatcher())
    (step,) = view.steps
    return None if step.error is None else step.error.code


def found(stored):
    """By unit, the code of what is wrong with it; and what cannot be restored because of it."""
    readings = stored.installation().records.readings.damaged(RepositoryName("near"), ResourceName("orders"))
    units = {each.unit.partition("/")[2]: each.fault.code for each in readings}
    return units, set(damaged_labels(stored.installation(), RepositoryName("near"), ResourceName("orders")))


def test_a_run_reads_back_every_object_of_backups_and_all_wal(stored):
    assert read(stored) is None
    readings = stored.installation().records.readings.of(RepositoryName("near"), ResourceName("orders"))
    assert all(each.read for each in readings)
    objects = {f"{path.parent.name}/{path.name}" for path in stored.cluster.glob("backups/*/*") if path.name != "backup.json"}
    segments = {f"wal/{path.name[:24]}" for path in stored.cluster.glob("wal/00000001/*")}
    assert {each.unit.partition("/")[2] for each in readings} == objects | segments


@pytest.mark.parametrize("spoil", [flip, cut, Path.unlink], ids=["flipped", "cut", "absent"])
def test_a_run_finds_a_damaged_part_and_marks_all_that_stands_on_it(stored, spoil):
    path = stored.part(stored.labels[0])
    spoil(path)
    assert read(stored) == "damage_found"
    code = "part_corrupt" if path.exists() else "part_missing"
    assert found(stored) == ({f"{stored.labels[0]}/{path.name}": code}, set(stored.labels))


@pytest.mark.parametrize("spoil", [flip, cut, Path.unlink], ids=["flipped", "cut", "absent"])
def test_a_run_finds_damaged_wal_and_marks_the_backups_that_need_it(stored, spoil):
    backups = stored.installation().repository(RepositoryName("near")).backups(ResourceName("orders")).usable
    first, *_ = needed = sorted({segment.name for backup in backups for segment in backup.own_wal()})
    own = next(each for each in stored.segments() if each.name[:24] == first)
    onward = next(each for each in stored.segments() if each.name[:24] > first and each.name[:24] not in needed)
    for path in (own, onward):
        spoil(path)
    assert read(stored) == "damage_found"
    assert found(stored) == (
        {f"wal/{own.name[:24]}": "wal_corrupt", f"wal/{onward.name[:24]}": "wal_corrupt"},
        {stored.labels[0]},
    )
    onward.with_name(f"{onward.name[:24]}.json").unlink()
    assert read(stored, 1) == "damage_found", "a hole is found without reading anything"
    assert "wal_missing" in found(stored)[0].values()


def test_a_run_finds_a_manifest_that_was_changed_and_a_backup_that_is_gone(stored):
    flip(stored.cluster / "backups" / stored.labels[1] / "backup.json")
    lose(stored, stored.labels[2])
    assert read(stored, 1) == "damage_found"
    assert found(stored)[1] == set(stored.labels[1:])
    assert found(stored)[0][f"{stored.labels[2]}/lost".partition("/")[2]] == "backup_lost"


def test_what_stands_on_a_damaged_backup_is_not_restored_where_another_will_do_and_counts_for_nothing(stored, tmp_path):
    flip(stored.part(stored.labels[1]))
    read(stored)
    installation = stored.installation()
    choice = Choice(tablespaces={"fast": str(tmp_path / "fast")})
    plan = plan_restore(installation, "orders", tmp_path / "restored", choice)
    assert [step.step.labels for step in plan.steps if isinstance(step.step, RestoreBaseBackup)] == [(stored.labels[0],)]
    (decided,) = decide(installation, "orders", None)
    reasons = {fate.backup.label.text: {each.reason for each in fate.kept} for fate in decided.decision.backups}
    assert KeepReason.LAST_GOOD in reasons[stored.labels[0]]
    assert all(KeepReason.LAST_GOOD not in reasons[label] for label in stored.labels[1:])
    assert [bool(each.damaged) for each in list_backups(installation, "orders").usable] == [False, True, True]
    full, _, newest = (each.backup for each in list_backups(installation, "orders").usable)
    assert f"{stored.labels[1]}, on which {newest.label} stands, is damaged" in damage_below(
        installation, ResourceName("orders"), newest, [full, newest]
    ), "so the next one is a full one"
    assert damage_below(installation, ResourceName("orders"), full, [full, newest]) == ""


def test_what_verify_read_counts_as_read_and_what_it_found_damaged_is_marked(stored):
    assert read(stored) is None
    label = stored.labels[-1]
    flip(stored.part(label))
    flip(stored.segments()[-2])
    assert "part_corrupt" in stored.codes()
    assert found(stored)[0].keys() >= {f"{label}/{stored.part(label).name}", f"wal/{stored.segments()[-2].name[:24]}"}
    assert label in found(stored)[1]
    flip(stored.part(label))
    flip(stored.segments()[-2])
    assert stored.verify().passed
    assert found(stored) == ({}, set())
    readings = stored.installation().records.readings.of(RepositoryName("near"), ResourceName("orders"))
    assert {each.unit for each in readings if each.run and "/wal/" not in each.unit} == set(), "it was read anew, by no run"
