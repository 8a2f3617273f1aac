"""The ``pg_wal`` of killed servers: whole, recycled, damaged, foreign, and full of traps."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.room import new_path
from tests.servers.flavours import Flavour
from tests.servers.postgres import PostgresServer
from understudy.adapters.postgres.wal_remains import DataDirectoryRemains
from understudy.ports.wal_remains import OLD_WAL_UNUSABLE, HeldWal
from understudy.repository.wal_records import WAL_PAGE_BYTES
from understudy.vocabulary.errors import Cancelled, GiveUp
from understudy.vocabulary.wal import Lsn, Timeline, WalSegment

SEGMENT_BYTES = 1 << 20
ONE, TWO = Timeline(1), Timeline(2)


@dataclass(frozen=True)
class Left:
    """What ``pg_wal`` held when the server was killed, and what that server had said before."""

    wal: Path
    system: str
    received: Lsn
    flushed: Lsn

    @property
    def held(self) -> HeldWal:
        return HeldWal(SEGMENT_BYTES, frozenset({self.segment(-1)}), {ONE: self.received})

    def segment(self, number: int, timeline: Timeline = ONE) -> WalSegment:
        """Counted from the one up to within which the WAL was received."""
        return WalSegment(timeline, self.received.position // SEGMENT_BYTES + number, SEGMENT_BYTES)


def flushed(server: PostgresServer) -> Lsn:
    return Lsn.parse(str(server.sql("select pg_current_wal_flush_lsn()")[0][0]))


def write(server: PostgresServer) -> None:
    server.sql("insert into t select n, repeat('x', 300) from generate_series(1, 6000) n")
    server.sql("select pg_logical_emit_message(true, 'big', repeat('y', 1500000))")
    server.sql("select pg_switch_wal()")
    server.sql("insert into t select n, 'the last ones' from generate_series(1, 500) n")


@pytest.fixture(scope="module", params=[Flavour.WHEEL_18, Flavour.DEBIAN_15], ids=["18", "15"])
def killed(request):
    with PostgresServer(
        request.param, segment_megabytes=1, fresh=True, settings={"autovacuum": "off", "min_wal_size": "40MB"}
    ) as server:
        server.sql("create table t (id bigint, filler text)")
        for _ in range(3):
            write(server)
        server.sql("checkpoint")
        write(server)
        server.sql("checkpoint")  # what is of no use any more is renamed, to be written anew
        write(server)
        [(system,)] = server.sql("select system_identifier::text from pg_control_system()")
        received = flushed(server)
        write(server)
        end = flushed(server)
        server.kill_everything()
        yield Left(server.data / "pg_wal", str(system), received, end)


@pytest.fixture
def data(killed):
    """A data directory with a copy of it."""
    made = new_path("left")
    shutil.copytree(killed.wal, made / "pg_wal")
    yield made
    shutil.rmtree(made)


def look(data, left, held=None, timeline=ONE, system=None):
    return DataDirectoryRemains().look(str(data), system or left.system, held or left.held, timeline, lambda: None)


def refused(data, left, **options):
    with pytest.raises(GiveUp) as error:
        look(data, left, **options)
    assert error.value.code == OLD_WAL_UNUSABLE
    return error.value.found


def flip(data, segment, at):
    path = data / "pg_wal" / segment.name
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_all_that_was_flushed_is_there_and_nothing_of_recycled_files(killed, data):
    names = sorted(each.name for each in (data / "pg_wal").iterdir())
    found = look(data, killed)
    assert found.ends == killed.flushed and found.fault == ""
    spool = found.source.spool()
    first, last = killed.segment(0), WalSegment.holding(ONE, killed.flushed, SEGMENT_BYTES)
    assert spool.segments == (killed.segment(-1), *first.through(WalSegment(ONE, last.number - 1, SEGMENT_BYTES)))
    assert spool.partial == last
    assert max(name for name in names if len(name) == 24) > last.name, "some were recycled"
    for segment in spool.segments:
        assert b"".join(found.source.read_segment(segment)) == (data / "pg_wal" / segment.name).read_bytes()
    tail = b"".join(found.source.read_tail(last, 0))
    assert (data / "pg_wal" / last.name).read_bytes().startswith(tail)
    assert 0 <= killed.flushed.bytes_since(last.start) - len(tail) < 8


def test_where_everything_was_received_nothing_is_left_to_take(killed, data):
    last = WalSegment.holding(ONE, killed.flushed, SEGMENT_BYTES)
    held = HeldWal(SEGMENT_BYTES, frozenset(), {ONE: killed.flushed})
    found = look(data, killed, held)
    assert (found.ends, found.fault) == (killed.flushed, "")
    assert (found.source.spool().segments, found.source.spool().partial) == ((), last)


def test_a_flipped_bit_ends_it_at_the_last_whole_record_before_it_and_is_told(killed, data):
    at = SEGMENT_BYTES // 2 + 3000
    flip(data, killed.segment(1), at)
    found = look(data, killed)
    assert killed.segment(1).start < found.ends <= killed.segment(1).start + at
    assert found.source.spool().partial == killed.segment(1)
    assert killed.segment(1).name in found.fault and f"damaged behind {found.ends}" in found.fault


def test_damage_to_what_was_received_does_no_harm(killed, data):
    content = (data / "pg_wal" / killed.segment(-1).name).read_bytes()
    flip(data, killed.segment(-1), len(content.rstrip(b"\0")) - 2000)
    found = look(data, killed)
    assert (found.ends, found.fault) == (killed.flushed, "")
    assert killed.segment(-1) not in found.source.spool().segments, "nothing is compared by it"


@pytest.mark.parametrize("spoil", ["removed", "first page", "cut short", "a link", "a pipe"])
def test_a_segment_that_is_not_there_or_not_to_be_read_ends_it_and_is_told(killed, data, spoil):
    path = data / "pg_wal" / killed.segment(2).name
    content = path.read_bytes()
    path.unlink()
    if spoil == "first page":
        path.write_bytes(bytes(WAL_PAGE_BYTES) + content[WAL_PAGE_BYTES:])
    elif spoil == "cut short":
        path.write_bytes(content[:-1])
    elif spoil == "a link":
        (data / "elsewhere").write_bytes(content)
        path.symlink_to(data / "elsewhere")
    elif spoil == "a pipe":
        os.mkfifo(path)
    found = look(data, killed)
    assert killed.segment(1).start < found.ends <= killed.segment(2).start
    assert path.name in found.fault


def test_without_the_segment_that_goes_on_from_what_is_held_nothing_is_taken(killed, data):
    (data / "pg_wal" / killed.segment(0).name).unlink()
    found = look(data, killed)
    assert found.ends == killed.received
    assert killed.segment(0).name in found.fault and killed.segment(1).name in found.fault
    assert (found.source.spool().segments, found.source.spool().partial) == ((), None)


def test_the_wal_of_another_cluster_is_refused(killed, data):
    assert f"cluster {killed.system}" in refused(data, killed, system="7000000000000000007")


def test_without_a_directory_without_pg_wal_and_without_a_segment_in_it_it_says_so(killed, data):
    assert "No such file" in refused(data / "nothing", killed)
    shutil.rmtree(data / "pg_wal")
    assert f"{data}/pg_wal: No such file" in refused(data, killed)
    (data / "pg_wal").mkdir()
    found = look(data, killed)
    assert found.ends == killed.received and killed.segment(0).name in found.fault


def test_a_pg_wal_on_another_disk_is_followed_to_and_one_of_another_user_is_not(killed, data):
    (data / "pg_wal").rename(data / "wal-disk")
    (data / "pg_wal").symlink_to(data / "wal-disk")
    assert look(data, killed).ends == killed.flushed
    (data / "pg_wal").unlink()
    (data / "pg_wal").symlink_to("/usr/share")
    if os.geteuid() == 0:
        os.chown(data, 65534, 65534)
    assert "another user" in refused(data, killed)


def test_it_can_be_ended_early(killed, data):
    def cancelled():
        raise Cancelled

    with pytest.raises(Cancelled):
        DataDirectoryRemains().look(str(data), killed.system, killed.held, ONE, cancelled)


@pytest.fixture(scope="module")
def promoted():
    with PostgresServer(segment_megabytes=1, fresh=True, settings={"wal_keep_size": "64MB"}) as server:
        server.sql("create table t (id bigint, filler text)")
        [(system,)] = server.sql("select system_identifier::text from pg_control_system()")
        received = flushed(server)
        write(server)
        server.stop()
        (server.data / "standby.signal").touch()
        server.start()
        server.promote()
        write(server)
        end = flushed(server)
        server.kill_everything()
        yield Left(server.data / "pg_wal", str(system), received, end)


def test_a_timeline_that_goes_on_from_what_is_held_is_found_and_followed_over_the_fork(promoted):
    data = str(promoted.wal.parent)
    timeline, forks = DataDirectoryRemains().continuation(data, promoted.system, promoted.held, ONE)
    assert timeline == TWO and [fork.parent for fork in forks] == [ONE]
    found = look(data, promoted, timeline=TWO)
    assert (found.ends, found.fault) == (promoted.flushed, "")
    spool = found.source.spool()
    left_in = WalSegment.holding(TWO, forks[0].at, SEGMENT_BYTES)
    last = WalSegment.holding(TWO, promoted.flushed, SEGMENT_BYTES)
    before = list(promoted.segment(0).through(WalSegment(ONE, left_in.number - 1, SEGMENT_BYTES)))
    assert [*spool.segments, spool.partial] == [*before, *left_in.through(last)]
    assert spool.histories == (TWO,) and found.source.read_history(TWO).startswith(b"1\t")


def test_a_timeline_that_left_before_the_end_of_what_is_held_is_another_history(promoted):
    data = str(promoted.wal.parent)
    [fork] = DataDirectoryRemains().continuation(data, promoted.system, promoted.held, ONE)[1]
    beyond = HeldWal(SEGMENT_BYTES, frozenset(), {ONE: fork.at + 8})
    assert DataDirectoryRemains().continuation(data, promoted.system, beyond, ONE) is None
    assert "does not say how timeline 3 goes on" in refused(data, promoted, timeline=Timeline(3))
