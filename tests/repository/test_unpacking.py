import os
import stat
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.repository.archives_on_disk import base_backup
from tests.repository.counting_store import CountingStore
from tests.repository.packing_world import Interrupted, Listener, PackingWorld, owner_ids
from tests.repository.synthetic_backup import SyntheticBackup
from tests.repository.test_packing import LARGE, MEGABYTE, NOISE
from tests.repository.test_tar_stream import archive
from tests.repository.trees import tree
from tests.servers.flavours import Flavour
from understudy.ports.places import MARKER_NAME
from understudy.repository.manifests import PartEntry
from understudy.repository.restore_target import RestoreTarget
from understudy.repository.sealing import store_sealed
from understudy.repository.server_manifest import ManifestFile
from understudy.vocabulary.errors import Cancelled, GiveUp, Refusal

SMALL = {"base": None, "base/5": None, "base/5/1": NOISE[:9000], "PG_VERSION": b"18\n", "pg_notify": None, "backup_label": b"L"}


@pytest.fixture
def world(tmp_path):
    return PackingWorld(tmp_path)


@pytest.fixture
def target(tmp_path):
    (tmp_path / "target").mkdir(mode=0o700)
    return RestoreTarget(tmp_path / "target")


def packed(world, stream=None, **options):
    return world.sealed(world.pack(stream or SyntheticBackup(SMALL), "full", **options), "full")


def with_part(world, members: bytes, files: int = 1):
    """The small backup, with one more part that holds the given archive."""
    backup = packed(world)
    name = "base-evil-0001.tar.zst.age"
    sealed = store_sealed(world.store, world.sealer, backup.prefix + name, [members], [world.recipient])
    part = PartEntry(name, sealed.sealed_bytes, sealed.sealed_sha256, sealed.plain_bytes, None, files)
    return replace(backup, parts=(*backup.parts, part))


def test_files_and_directories_come_back_with_private_modes_and_the_given_owner(world, tmp_path):
    owner = owner_ids()
    (tmp_path / "target").mkdir(mode=0o700)
    target = RestoreTarget(tmp_path / "target", owner=owner)
    world.unpack(packed(world), target)
    assert (target.directory / "base/5/1").read_bytes() == NOISE[:9000]
    assert (target.directory / "pg_notify").is_dir()
    for path in target.directory.rglob("*"):
        facts = path.lstat()
        assert stat.S_IMODE(facts.st_mode) == (0o700 if path.is_dir() else 0o600)
        assert owner is None or (facts.st_uid, facts.st_gid) == owner


def test_what_lies_in_the_target_already_stays(world, target):
    (target.directory / ".understudy").write_text("run")
    world.unpack(packed(world), target)
    assert (target.directory / ".understudy").read_text() == "run"


def test_a_marker_that_a_backup_brings_along_does_not_take_the_place_of_this_runs(world, target):
    """The source may have been restored itself; of a chain only the full backup may hold it."""
    theirs = {MARKER_NAME: b"theirs", f"{MARKER_NAME}.4711-1": b""}
    full = world.sealed(world.pack(SyntheticBackup(SMALL | theirs), "full"), "full")
    incremental = world.sealed(world.pack(SyntheticBackup(SMALL | {"backup_label": PARENT_LINES}), "incremental"), "incremental")
    (target.directory / MARKER_NAME).write_text("ours")
    world.unpack(full, target)
    assert (target.directory / MARKER_NAME).read_text() == "ours"
    world.unpack(incremental, target, parent=full.manifest)
    assert (target.directory / MARKER_NAME).read_text() == "ours"
    assert tree(target.directory).keys() == SMALL.keys() | {MARKER_NAME}


@pytest.mark.parametrize("flavour", [Flavour.WHEEL_18, Flavour.DEBIAN_15])
def test_a_restored_server_with_a_tablespace_starts_and_has_every_row(world, postgres_servers, flavour):
    server = postgres_servers(flavour)
    location = server.new_directory("space")
    server.sql(f"create tablespace space location '{location}'")
    server.sql("create table t tablespace space as select generate_series(1, 100000) id")
    stream = base_backup(server, "full")
    oid = int(stream.tablespace_oid)
    backup = packed(world, stream, part_bytes=4 * MEGABYTE)
    server.sql("select pg_switch_wal()")
    wal = {path.name: path.read_bytes() for path in (server.data / "pg_wal").glob("0*") if path.is_file()}
    server.kill_everything()
    server.destroy()
    for path in location.iterdir():
        path.rename(server.directory / "the source's tablespace is gone")
    moved = server.new_directory("moved")
    server.data.mkdir(mode=0o700)
    target = RestoreTarget(server.data, {oid: moved}, owner_ids())
    world.unpack(backup, target)
    os.chown(server.data, *(owner_ids() or (-1, -1)))
    assert not (server.data / "tablespace_map").exists()
    for name, content in wal.items():
        with target.open_file(f"pg_wal/{name}") as descriptor:
            os.write(descriptor, content)
    server.start()
    assert server.sql("select count(*), sum(id) from t") == [(100_000, 5_000_050_000)]
    assert server.sql("select pg_tablespace_location(oid) from pg_tablespace where spcname = 'space'") == [(str(moved),)]
    assert list(location.iterdir()) == []


def test_a_tablespace_without_a_place_is_refused_before_anything_is_touched(world, target):
    stream = SyntheticBackup(SMALL, {16401: {"PG_18": None, "PG_18/1": b"x"}})
    with pytest.raises(Refusal, match="tablespace_unmapped") as raised:
        world.unpack(packed(world, stream), target)
    assert "16401" in raised.value.hint
    assert list(target.directory.iterdir()) == []


def test_the_sources_paths_are_left_behind(world, tmp_path):
    base = SMALL | {"pg_tblspc": None, "pg_tblspc/16401": "/production", "tablespace_map": b"16401 /production\n"}
    stream = SyntheticBackup(base, {16401: {"PG_18": None, "PG_18/1": b"x"}})
    (tmp_path / "target").mkdir()
    (tmp_path / "space").mkdir()
    target = RestoreTarget(tmp_path / "target", {16401: tmp_path / "space"})
    world.unpack(packed(world, stream), target)
    assert (target.directory / "pg_tblspc/16401").readlink() == tmp_path / "space"
    assert (target.directory / "pg_tblspc/16401/PG_18/1").read_bytes() == b"x"
    assert not (target.directory / "tablespace_map").exists()


# Negative controls: each damage is noticed.


def damaged(world, change):
    """The large backup in several parts, after ``change`` was done to the second one's file."""
    backup = packed(world, SyntheticBackup(LARGE), part_bytes=4 * MEGABYTE)
    change(world.path("full", backup.parts[1].name))
    return backup


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)


def _truncate(path: Path) -> None:
    path.chmod(0o600)
    os.truncate(path, path.stat().st_size - 1)


@pytest.mark.parametrize(
    ("change", "code"), [(_flip, "part_corrupt"), (_truncate, "part_corrupt"), (Path.unlink, "part_missing")]
)
def test_one_flipped_byte_a_truncated_and_an_absent_part_are_noticed(world, target, change, code):
    with pytest.raises(GiveUp, match=code):
        world.unpack(damaged(world, change), target)
    assert not any(thread.name.startswith("unpack") for thread in threading.enumerate())


def test_a_part_exchanged_for_another_whole_one_is_noticed(world, target):
    backup = packed(world, SyntheticBackup(LARGE), part_bytes=4 * MEGABYTE)
    first, second = (world.path("full", part.name) for part in backup.parts[:2])
    second.unlink()
    second.write_bytes(first.read_bytes())
    with pytest.raises(GiveUp, match="part_corrupt"):
        world.unpack(backup, target)


def test_a_part_that_the_list_does_not_name_leaves_files_missing(world, target):
    backup = packed(world, SyntheticBackup(LARGE), part_bytes=4 * MEGABYTE)
    with pytest.raises(GiveUp, match="part_missing") as raised:
        world.unpack(replace(backup, parts=backup.parts[:-1]), target)
    assert "base/5/" in raised.value.found


@pytest.mark.parametrize("listed", [ManifestFile(9000, 1), ManifestFile(8999, 0)])
def test_a_file_that_differs_from_the_servers_manifest_is_noticed(world, target, listed):
    backup = packed(world)
    changed = replace(backup.manifest, files={**backup.manifest.files, "base/5/1": listed})
    with pytest.raises(GiveUp, match="backup_file_differs"):
        world.unpack(replace(backup, manifest=changed), target)


def test_a_file_that_the_servers_manifest_does_not_list_is_noticed(world, target):
    with pytest.raises(GiveUp, match="backup_file_unexpected"):
        world.unpack(with_part(world, archive(("base/5/2", b"x"))), target)


def test_a_file_that_comes_in_two_parts_is_noticed(world, target):
    with pytest.raises(GiveUp, match="part_incomplete"):
        world.unpack(with_part(world, archive(("PG_VERSION", b"18\n"))), target)


def test_a_part_with_fewer_files_than_stated_is_noticed(world, target):
    with pytest.raises(GiveUp, match="part_incomplete"):
        world.unpack(with_part(world, archive(("base", None))), target)


@pytest.mark.parametrize(
    "members",
    [
        archive(("../evil", b"x")),
        archive(("base/../../evil", b"x")),
        archive(("/tmp/evil", b"x")),
        archive(("base/5/link", "/etc")),
        archive(("pg_tblspc/etc", "/etc")),
    ],
)
def test_an_archive_that_reaches_outside_is_refused(world, target, members):
    with pytest.raises(GiveUp, match="archive_member_refused"):
        world.unpack(with_part(world, members), target)
    assert not (target.directory.parent / "evil").exists()


def test_a_symbolic_link_planted_in_the_target_is_not_followed(world, target, tmp_path):
    (tmp_path / "outside").mkdir()
    (target.directory / "base").symlink_to(tmp_path / "outside")
    with pytest.raises(GiveUp, match="target_unexpected"):
        world.unpack(packed(world), target)
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_file_replaced_by_a_symbolic_link_is_not_followed(world, target, tmp_path):
    (tmp_path / "outside").write_text("precious")
    (target.directory / "PG_VERSION").symlink_to(tmp_path / "outside")
    with pytest.raises(GiveUp, match="target_unexpected"):
        world.unpack(packed(world), target)
    assert (tmp_path / "outside").read_text() == "precious"


# Incremental backups, where a real chain is too friendly.

PARENT_LINES = b"INCREMENTAL FROM LSN: 0/2000028\nINCREMENTAL FROM TLI: 1\n"


def test_what_an_incremental_no_longer_holds_is_gone_and_foreign_files_stay(world, tmp_path):
    (tmp_path / "target").mkdir()
    (tmp_path / "space").mkdir()
    target = RestoreTarget(tmp_path / "target", {16401: tmp_path / "space"})
    base = SMALL | {"pg_tblspc": None, "base/6": None, "base/6/1": b"x", "conf.d": None}
    full = packed(world, SyntheticBackup(base, {16401: {"PG_18": None, "PG_18/6": None, "PG_18/6/2": b"x"}}))
    world.unpack(full, target)
    (target.directory / ".understudy").write_text("run")
    (target.directory / "conf.d/foreign").write_text("stays")
    after = {"base": None, "base/5": None, "base/5/1": b"new", "pg_tblspc": None, "backup_label": b"L\n" + PARENT_LINES}
    incremental = world.sealed(world.pack(SyntheticBackup(after, start_lsn="0/4000028"), "inc"), "inc")
    world.unpack(incremental, target, parent=full.manifest)
    assert set(tree(target.directory)) == {
        ".understudy", "backup_label", "base", "base/5", "base/5/1", "conf.d", "conf.d/foreign", "pg_tblspc",
    }  # fmt: skip
    assert (target.directory / "backup_label").read_bytes() == b"L\n"
    assert list((tmp_path / "space").iterdir()) == []


@pytest.mark.parametrize("lines", [b"", PARENT_LINES.replace(b"0/2", b"0/3"), PARENT_LINES.replace(b"TLI: 1", b"TLI: 2")])
def test_an_incremental_that_stands_on_another_backup_is_refused(world, target, lines):
    full = packed(world)
    world.unpack(full, target)
    incremental = SyntheticBackup(SMALL | {"backup_label": b"L\n" + lines}, start_lsn="0/4000028")
    with pytest.raises(GiveUp, match="incremental_wrong_parent"):
        world.unpack(world.sealed(world.pack(incremental, "inc"), "inc"), target, parent=full.manifest)


def test_a_full_disk_is_named(world, tmp_path):
    (tmp_path / "small").mkdir()
    with file_system(tmp_path / "small", f"size={MEGABYTE}") as directory, pytest.raises(GiveUp, match="target_full"):
        world.unpack(packed(world, SyntheticBackup(LARGE)), RestoreTarget(directory))


@contextmanager
def file_system(directory, option):
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", option, "tmpfs", str(directory)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("a file system of its own needs root")
    try:
        yield directory
    finally:
        subprocess.run(["umount", str(directory)], check=True)


# Stopping and going on.


def test_parts_with_a_receipt_are_skipped_and_the_rest_completes_the_target(world, target, tmp_path):
    backup = packed(world, SyntheticBackup(LARGE), part_bytes=4 * MEGABYTE)
    receipts: dict[str, tuple[str, ...]] = {}

    def receipt(name, directories):
        if len(receipts) == 2:
            raise Interrupted
        receipts[name] = directories

    with pytest.raises(Interrupted):
        world.unpack(backup, target, part_done=receipt)
    assert len(receipts) == 2
    for name in receipts:
        world.path("full", name).unlink()
    unpacked = world.unpack(backup, target, done_parts=receipts)
    assert unpacked.skipped_parts == 2
    assert tree(target.directory).keys() - {"base", "base/5"} == LARGE.keys()
    assert all((target.directory / path).read_bytes() == content for path, content in LARGE.items())


def test_a_restore_is_cancelled_and_leaves_no_thread(world, target):
    backup = packed(world, SyntheticBackup(LARGE), part_bytes=2 * MEGABYTE)
    with pytest.raises(Cancelled):
        world.unpack(backup, target, listener=Listener(cancel_at_bytes=1))
    assert not any(thread.name.startswith("unpack") for thread in threading.enumerate())


def test_progress_ends_at_its_total(world, target):
    listener = Listener()
    backup = packed(world, SyntheticBackup(LARGE), part_bytes=4 * MEGABYTE)
    world.unpack(backup, target, listener=listener)
    done, total = listener.reports[-1]
    assert done == total == sum(part.plain_bytes for part in backup.parts)


@contextmanager
def closed_to_writers(directory):
    """By its mode; for root, whom no mode stops, by its file system, as after a fault of the disk."""
    if os.geteuid() == 0:
        with file_system(directory, "ro"):
            yield
    else:
        directory.chmod(0o500)
        yield


def test_a_target_that_cannot_be_written_to_is_named(world, target):
    with closed_to_writers(target.directory), pytest.raises(GiveUp, match="target_unwritable"):
        world.unpack(packed(world), target)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_as_many_parts_as_workers_are_under_way_at_once(world, target, workers):
    backup = packed(world, SyntheticBackup(LARGE), part_bytes=2 * MEGABYTE)
    store = CountingStore(backup.store, workers)
    unpacked = world.unpack(replace(backup, store=store), target, workers=workers)
    assert store.most_under_way == workers
    assert unpacked.files == len(LARGE)
