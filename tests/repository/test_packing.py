import io
import random
import subprocess
import tarfile
import threading
from datetime import timedelta

import pytest

from tests.repository.archives_on_disk import base_backup
from tests.repository.counting_store import CountingStore
from tests.repository.packing_world import Listener, PackingWorld
from tests.repository.synthetic_backup import SyntheticBackup
from tests.servers.flavours import Flavour
from tests.servers.processes import wait_until
from understudy.repository.manifests import sums_text
from understudy.repository.sealing import read_sealed
from understudy.vocabulary.errors import Cancelled, GiveUp, TryAgain

MEGABYTE = 1024 * 1024
NOISE = random.Random(7).randbytes(MEGABYTE)
LARGE = {f"base/5/{number}": NOISE for number in range(24)}


@pytest.fixture
def world(tmp_path):
    return PackingWorld(tmp_path)


def plain_part(world: PackingWorld, label: str, name: str) -> bytes:
    return b"".join(read_sealed(world.store, world.sealer, f"backups/{label}/{name}", world.identity))


def stored_names(world: PackingWorld) -> list[str]:
    return [found.key.rpartition("/")[2] for found in world.store.list("backups/")]


def no_thread_is_left() -> bool:
    return not any(thread.name.startswith(("part", "compress", "unpack")) for thread in threading.enumerate())


@pytest.mark.parametrize("flavour", list(Flavour))
def test_a_real_server_backup_is_packed_into_complete_archives(world, postgres_servers, flavour):
    server = postgres_servers(flavour)
    location = server.new_directory("space")
    server.sql(f"create tablespace space location '{location}'")
    server.sql("create table t tablespace space as select generate_series(1, 100000) id")
    stream = base_backup(server, "full")
    packed = world.pack(stream, "full", part_bytes=4 * MEGABYTE)
    assert stream.stopped
    assert {part.tablespace_oid for part in packed.parts} == {None, int(stream.tablespace_oid)}
    unpacked = {}
    for part in packed.parts:
        prefix = "" if part.tablespace_oid is None else f"pg_tblspc/{part.tablespace_oid}/"
        with tarfile.open(fileobj=io.BytesIO(plain_part(world, "full", part.name))) as tar:
            files = [member for member in tar if member.isfile()]
            assert len(files) == part.files
            for member in files:
                unpacked[prefix + member.name.removeprefix("./")] = member.size
    assert unpacked == {path: listed.size_bytes for path, listed in packed.manifest.files.items()}
    assert len([part for part in packed.parts if part.tablespace_oid is None]) > 2


def test_parts_are_named_after_tablespace_attempt_and_number_and_never_split_a_file(world):
    big = bytes(3 * MEGABYTE)
    stream = SyntheticBackup({"big": big, **{f"small{n}": b"x" * 600_000 for n in range(4)}}, {16401: {"PG_18/5/1": b"t"}})
    packed = world.pack(stream, "full", part_bytes=MEGABYTE, attempt="7f")
    assert [part.name for part in packed.parts] == [
        "16401-7f-0001.tar.zst.age",
        *(f"base-7f-{number:04d}.tar.zst.age" for number in range(1, 6)),
    ]
    assert packed.parts[1].plain_bytes == 3 * MEGABYTE + 512 + 1024
    assert packed.plain_bytes == sum(part.plain_bytes for part in packed.parts)


def test_the_sums_are_what_sha256sum_checks(world):
    packed = world.pack(SyntheticBackup(LARGE), "full")
    folder = world.path("full", "SHA256SUMS").parent
    (folder / "SHA256SUMS").write_bytes(sums_text((*packed.parts, packed.server_manifest)))
    checked = subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.count(": OK") == len(packed.parts) + 1


def test_a_part_opens_with_age_zstd_and_tar_alone(world, tmp_path):
    packed = world.pack(SyntheticBackup({"base": None, "base/5": b"content"}), "full")
    identity = tmp_path / "identity"
    identity.write_text(world.identity.reveal())
    part = world.path("full", packed.parts[0].name)
    opened = subprocess.run(["age", "--decrypt", "--identity", str(identity), str(part)], capture_output=True, check=True).stdout
    plain = subprocess.run(["zstd", "--decompress"], input=opened, capture_output=True, check=True).stdout
    listed = subprocess.run(["tar", "--list"], input=plain, capture_output=True, check=True)
    assert listed.stdout.split() == [b"base/", b"base/5"]
    assert listed.stderr == b""


def test_a_second_attempt_stands_beside_what_the_first_left_behind(world):
    world.pack(SyntheticBackup(LARGE), "full", attempt="a1")
    packed = world.pack(SyntheticBackup(LARGE), "full", attempt="a2")
    assert packed.server_manifest.name == "backup_manifest-a2.zst.age"
    assert len(stored_names(world)) == 2 * (len(packed.parts) + 1)


@pytest.mark.parametrize(
    ("listed", "code"),
    [
        ({"a": b"1", "b": b"3"}, "backup_file_differs"),
        ({"a": b"1", "b": b"22"}, "backup_file_differs"),
        ({"a": b"1", "b": b"2", "c": b""}, "backup_file_missing"),
        ({"a": b"1"}, "backup_file_unexpected"),
    ],
)
def test_a_file_other_than_the_server_lists_ends_the_backup(world, listed, code):
    stream = SyntheticBackup({"a": b"1", "b": b"2"}, listed=listed)
    with pytest.raises(GiveUp, match=code):
        world.pack(stream, "full")
    assert not stream.stopped
    assert not any("manifest" in name for name in stored_names(world))


def test_an_archive_with_a_path_to_the_outside_is_refused(world):
    with pytest.raises(GiveUp, match="archive_member_refused"):
        world.pack(SyntheticBackup({"../evil": b"x"}), "full")
    assert stored_names(world) == []


@pytest.mark.parametrize("after_bytes", [0, 3 * MEGABYTE, 20 * MEGABYTE])
def test_a_server_that_breaks_off_leaves_no_partial_part_and_no_thread(world, after_bytes):
    fault = TryAgain("database_unreachable", found="the connection broke", after=timedelta(seconds=5))
    stream = SyntheticBackup(LARGE, breaks_after_bytes=after_bytes, breaks_with=fault)
    with pytest.raises(TryAgain) as raised:
        world.pack(stream, "full")
    assert raised.value is fault
    assert all(name.startswith("base-a1-") for name in stored_names(world))
    for name in stored_names(world):
        with tarfile.open(fileobj=io.BytesIO(plain_part(world, "full", name))) as tar:
            assert len(tar.getmembers()) == 7
    assert no_thread_is_left()


class _FullStore:
    """A store that has no room left after some bytes; the rest is the real one's."""

    def __init__(self, world: PackingWorld, room_bytes: int) -> None:
        self._store = world.store
        self._room_bytes = room_bytes

    def __getattr__(self, name):
        return getattr(self._store, name)

    def put(self, key, chunks):
        def limited():
            for chunk in chunks:
                self._room_bytes -= len(chunk)
                if self._room_bytes < 0:
                    raise GiveUp("store_full", found="no room")
                yield chunk

        return self._store.put(key, limited())


@pytest.mark.parametrize("room_bytes", [0, 2 * MEGABYTE, 10 * MEGABYTE, 23 * MEGABYTE])
def test_a_store_that_fails_ends_the_backup_at_once_with_its_own_error(world, room_bytes):
    world.store = _FullStore(world, room_bytes)
    stream = SyntheticBackup(LARGE)
    with pytest.raises(GiveUp, match="store_full"):
        world.pack(stream, "full")
    assert not stream.stopped
    assert no_thread_is_left()


def test_a_sealer_that_fails_ends_the_backup_with_its_own_error(world):
    world.recipient = "no recipient"
    with pytest.raises(GiveUp) as raised:
        world.pack(SyntheticBackup(LARGE), "full")
    assert raised.value.code != "part_incomplete"
    assert stored_names(world) == []
    assert no_thread_is_left()


def test_a_backup_is_cancelled_between_two_pieces(world):
    listener = Listener(cancel_at_bytes=12 * MEGABYTE)
    with pytest.raises(Cancelled):
        world.pack(SyntheticBackup(LARGE), "full", listener=listener)
    assert listener.reports[-1][0] < 16 * MEGABYTE
    assert no_thread_is_left()


class StoreThatWaits:
    """Passes everything on; takes the first parts only once the reading thread no longer gets ahead."""

    def __init__(self, store, listener):
        self._store = store
        self._listener = listener
        self._looking = threading.Lock()
        self.read_meanwhile = 0

    def __getattr__(self, name):
        return getattr(self._store, name)

    def put(self, key, chunks):
        with self._looking:
            if not self.read_meanwhile:
                self._wait_for_a_standstill()
                self.read_meanwhile = self._listener.reports[-1][0]
        return self._store.put(key, chunks)

    def _wait_for_a_standstill(self):
        looks: list[int] = []

        def stands_still() -> bool:
            looks.append(len(self._listener.reports))
            return looks[-1] > 0 and looks[-20:] == [looks[-1]] * 20

        wait_until(stands_still, "the reading thread to stand still")


def test_small_parts_do_not_pile_up_in_memory_before_a_store_that_is_slow(world):
    listener = Listener()
    world.store = StoreThatWaits(world.store, listener)
    files = {f"base/5/{number}": NOISE for number in range(48)}
    packed = world.pack(SyntheticBackup(files), "full", part_bytes=MEGABYTE, listener=listener)
    assert len(packed.parts) == 48
    assert world.store.read_meanwhile < 8 * MEGABYTE


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_as_many_parts_as_asked_are_under_way_at_once(world, at_once):
    world.store = CountingStore(world.store, at_once)
    packed = world.pack(SyntheticBackup(LARGE), "full", part_bytes=2 * MEGABYTE, parts_at_once=at_once)
    assert world.store.most_under_way == at_once
    assert sum(part.files for part in packed.parts) == len(LARGE)
