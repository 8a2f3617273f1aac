"""Negative controls: a copy of a good repository, damaged in one place, must be refused with the right code. PostgreSQL 16."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.restore_matrix.estate import Estate, dump_of, failed_step
from tests.servers.flavours import Flavour
from tests.told import told_whole
from understudy.adapters.age import new_identity
from understudy.app.installation import Installation
from understudy.app.recoveries import Choice
from understudy.records.run import StepState
from understudy.vocabulary.errors import GiveUp, Refusal
from understudy.vocabulary.recovery_target import RecoveryTarget, TargetKind


@pytest.fixture(scope="module")
def good(make_estate) -> Estate:
    """Many parts, many segments, a tail."""
    estate = make_estate(Flavour.WHEEL_16, segment_megabytes=1, resource={"backup": {"part_size": "1MiB"}})
    server = estate.server
    server.sql("create table t as select i, md5(i::text) as filler from generate_series(1, 20000) i")
    estate.back_up_well()
    for number in range(5):
        server.sql(f"insert into t values ({-number}, 'after the backup')")  # noqa: S608
        server.sql("select pg_switch_wal()")
    server.sql("insert into t values (-100, 'in the tail')")
    estate.ship()
    return estate


@pytest.fixture
def copied(good, tmp_path) -> Callable[..., Estate]:
    """``copied(**changes of the stack file)``: another installation of the same keys over a copy of the repository.

    Without the spool, from which a restore would ship what the copy lacks.
    """

    def copy(**encryption: object) -> Estate:
        place = tmp_path / "repository"
        shutil.copytree(good.repository_directory, place)
        stack = json.loads(good.stack_file.read_text())
        stack["repositories"]["near"]["url"] = f"file://{place}"
        stack["encryption"] |= encryption
        stack["resources"]["orders"]["wal"]["spool"] = str(tmp_path / "no-spool")
        stack_file = tmp_path / "understudy.yaml"
        stack_file.write_text(json.dumps(stack))
        return replace(
            good,
            stack_file=stack_file,
            repository_directory=place,
            installation=Installation.open(stack_file, good.installation.state),
        )

    return copy


def only_parts(estate: Estate) -> list[Path]:
    return sorted(
        estate.repository_directory.glob("postgres/orders/*/backups/*/base-*.tar.zst.age"), key=lambda p: p.stat().st_size
    )


def segments(estate: Estate) -> list[Path]:
    """Of complete segments behind the backup, oldest first."""
    stop = estate.backups()[0].stop_lsn.position // 2**20
    found = sorted(estate.repository_directory.glob("postgres/orders/*/wal/*/????????????????????????.zst.age"))
    return [path for path in found if int(path.name[16:24], 16) > stop]


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_the_copy_itself_can_be_restored(good, copied):
    """Without this, all the refusals below would prove nothing."""
    assert dump_of(copied().restored(Choice())) == dump_of(good.server)


DAMAGE = {
    "a part cut short": (lambda estate: cut_short(only_parts(estate)[-1]), "restore-base-backup", "part_corrupt"),
    "a flipped bit in a part": (lambda estate: flip_a_bit(only_parts(estate)[0]), "restore-base-backup", "part_corrupt"),
    "an absent part": (lambda estate: only_parts(estate)[1].unlink(), "restore-base-backup", "part_missing"),
    "a flipped bit in WAL": (lambda estate: flip_a_bit(segments(estate)[1]), "replay-wal", "wal_corrupt"),
    "WAL cut short": (lambda estate: cut_short(segments(estate)[0]), "replay-wal", "wal_corrupt"),
    "WAL whose data is absent": (lambda estate: segments(estate)[1].unlink(), "replay-wal", "wal_corrupt"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_refused_and_nothing_is_promoted(copied, damage):
    harm, step, code = DAMAGE[damage]
    estate = copied()
    harm(estate)
    target = estate.server.sibling().data
    view = estate.restore(Choice(), target)
    assert failed_step(view) == (step, code)
    assert [each.state for each in view.steps if each.key == "orders/promote"] == [StepState.SKIPPED]
    assert not target.exists(), "nothing half-restored is left"


def remove_segment(path: Path) -> None:
    path.unlink()
    path.with_name(path.name.partition(".")[0] + ".json").unlink()


def test_a_hole_in_the_wal_is_refused_before_anything_is_touched(copied):
    estate = copied()
    remove_segment(segments(estate)[2])
    target = estate.server.sibling().data
    with pytest.raises(GiveUp) as refused:
        estate.restore(Choice(), target)
    assert told_whole(refused.value) == "wal_missing"
    assert not target.exists()


def test_wal_that_ends_before_the_backup_is_consistent_is_refused_before_anything_is_touched(copied):
    estate = copied()
    for path in estate.repository_directory.glob("postgres/orders/*/wal/*/*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    target = estate.server.sibling().data
    with pytest.raises(GiveUp) as refused:
        estate.restore(Choice(), target)
    assert told_whole(refused.value) == "wal_missing"
    assert not target.exists()


def test_a_time_before_a_hole_can_still_be_reached_by_its_position(copied, good):
    """The whole WAL need not be sound for a moment that lies before the damage."""
    estate = copied()
    position = RecoveryTarget(TargetKind.LSN, str(estate.backups()[0].stop_lsn + 2**20))
    remove_segment(segments(estate)[3])
    copy = estate.restored(Choice(position))
    assert copy.sql("select count(*) from t where i > 0") == [(20000,)]


def test_a_manifest_that_was_changed_makes_no_backup(copied):
    estate = copied()
    manifest = next(estate.repository_directory.glob("postgres/orders/*/backups/*/backup.json"))
    manifest.write_text(manifest.read_text().replace('"data_checksums":true', '"data_checksums":false'))
    with pytest.raises(Refusal) as refused:
        estate.restore(Choice(), estate.directory / "never")
    assert told_whole(refused.value) == "no_backup"
    assert [told_whole(each.error) for each in estate.repository.backups("orders").unusable] == ["signature_wrong"]


def test_another_age_key_is_refused(copied, tmp_path):
    identity, recipient = new_identity()
    (tmp_path / "identity").write_text(identity.reveal())
    (tmp_path / "identity").chmod(0o600)
    estate = copied(identity=f"file:{tmp_path / 'identity'}", recipients=[recipient])
    view = estate.restore(Choice(), estate.server.sibling().data)
    assert failed_step(view) == ("restore-base-backup", "wrong_key")


def test_another_cluster_at_the_address_is_refused(make_estate, postgres_servers):
    """Each of these servers was made by its own ``initdb``, so their system identifiers differ."""
    estate = make_estate(Flavour.WHEEL_16)
    estate.back_up_well()
    estate.reopen(postgres_servers(Flavour.WHEEL_16, fresh=True).url)
    with pytest.raises(GiveUp) as refused:
        estate.back_up()
    assert told_whole(refused.value) == "system_identifier_changed"
    assert len(estate.backups()) == 1
