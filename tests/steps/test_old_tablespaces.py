"""What lies where the WAL of a recovery makes tablespaces, with the WAL of real servers. PostgreSQL 15 and 18."""

import os
import shutil
from types import SimpleNamespace

import pytest

from tests.restore_matrix.estate import files_in
from tests.servers.flavours import Flavour
from tests.servers.postgres import PostgresServer
from tests.told import told_whole
from understudy.adapters.places.local import LocalPlaces
from understudy.records.receipts import FileReceipts
from understudy.repository.restore_target import RestoreTarget
from understudy.steps.old_tablespaces import OldTablespaces
from understudy.vocabulary.errors import TryAgain
from understudy.vocabulary.identifiers import RunId
from understudy.vocabulary.wal import WalSegment

MIB, RUN = 2**20, RunId("run-1")
SETTINGS = {"autovacuum": "off", "wal_keep_size": "64MB"}


class Killed(BaseException):
    """Nothing of the process does anything more."""


class Made:
    """A server that made the tablespace ``late`` in the segment ``segment``, and one table in it."""

    def __init__(self, server):
        self.server, self.path = server, server.new_directory("late")
        server.sql("select pg_switch_wal()")
        name = server.sql("select pg_walfile_name(pg_current_wal_insert_lsn())")[0][0]
        server.sql(f"create tablespace late location '{self.path}'")
        server.sql("create table prices tablespace late as select generate_series(1, 500) n")
        server.sql("select pg_switch_wal(); checkpoint")
        self.segment = WalSegment.parse(name, MIB)
        self.content = (server.data / "pg_wal" / name).read_bytes()
        self.version = next(each.name for each in self.path.iterdir())

    def read(self, offset, size_bytes):
        return self.content[offset : offset + size_bytes]


@pytest.fixture(scope="module", params=[Flavour.WHEEL_18, Flavour.DEBIAN_15])
def source(request):
    with PostgresServer(request.param, segment_megabytes=1, fresh=True, settings=SETTINGS) as server:
        yield Made(server)


class Receipts(FileReceipts):
    killed_before_writing = False

    def write(self, name, value):
        if self.killed_before_writing:
            raise Killed
        super().write(name, value)


class Recovery:
    """One run that replays the source's WAL, at the moment before its server is given a segment."""

    def __init__(self, source, directory):
        self.source, self.directory = source, directory
        (directory / "data" / "pg_tblspc").mkdir(parents=True)
        self.receipts = Receipts(directory / "state", RUN)
        self.old = self.attempt()

    def attempt(self):
        """Another process, with what the one before has left on the disks."""
        world = SimpleNamespace(run=RUN, receipts=self.receipts, places=LocalPlaces())
        instances = SimpleNamespace(owner=(os.getuid(), os.getgid()), major=lambda: self.source.server.flavour.major)
        self.old = OldTablespaces(world, "orders", RestoreTarget(self.directory / "data"), instances, MIB)
        self.old.keep_off()
        return self.old

    def give(self):
        self.old.before_ready(self.source.segment, self.source)

    @property
    def may_make_tablespaces(self):
        return (self.directory / "data" / "pg_tblspc").stat().st_mode & 0o200 != 0


@pytest.fixture
def recovery(source, tmp_path):
    left = tmp_path / "left"
    shutil.copytree(source.path, left)
    yield Recovery(source, tmp_path)
    shutil.rmtree(source.path)
    shutil.move(left, source.path)


def test_what_the_old_server_left_there_is_set_aside_before_the_server_may_make_a_tablespace(source, recovery):
    before = files_in(source.path)
    assert before and not recovery.may_make_tablespaces
    recovery.give()
    aside = f"{source.version}.before-{RUN}"
    assert [each.name for each in source.path.iterdir()] == [aside]
    assert {str(path).replace(aside, source.version): what for path, what in files_in(source.path).items()} == {
        str(path): what for path, what in before.items()
    }
    assert recovery.old.set_aside == [str(source.path / aside)]
    assert recovery.may_make_tablespaces


def test_killed_before_it_could_say_so_it_says_so_all_the_same_and_leaves_what_is_replayed_afterwards(source, recovery):
    recovery.receipts.killed_before_writing = True
    with pytest.raises(Killed):
        recovery.give()
    assert not recovery.may_make_tablespaces
    recovery.receipts.killed_before_writing = False
    recovery.attempt()
    recovery.give()
    aside = str(source.path / f"{source.version}.before-{RUN}")
    assert recovery.old.set_aside == [aside]
    (source.path / source.version).mkdir()
    (source.path / source.version / "replayed").write_text("rows")
    for _ in range(2):
        recovery.attempt()
        assert recovery.may_make_tablespaces, "the server may replay again what made it"
        recovery.give()
        assert recovery.old.set_aside == [aside]
        assert (source.path / source.version / "replayed").read_text() == "rows"


def test_other_things_that_lie_there_stay(source, recovery):
    (source.path / "PG_12_201909212").mkdir()
    (source.path / "lost+found").mkdir()
    (source.path / f"{source.version}.before-run-0").mkdir()
    recovery.give()
    kept = {"PG_12_201909212", "lost+found", f"{source.version}.before-run-0", f"{source.version}.before-{RUN}"}
    assert {each.name for each in source.path.iterdir()} == kept


def test_where_nothing_lies_nothing_is_set_aside(source, recovery):
    shutil.rmtree(source.path / source.version)
    recovery.give()
    assert recovery.old.set_aside == []
    assert recovery.may_make_tablespaces


def test_where_this_run_has_restored_that_tablespace_itself_nothing_is_set_aside(source, recovery):
    shutil.rmtree(source.path / source.version)
    LocalPlaces().claim(str(source.path), RUN)
    (source.path / source.version).mkdir()
    (source.path / source.version / "restored").write_text("rows")
    recovery.give()
    assert recovery.old.set_aside == []
    assert (source.path / source.version / "restored").exists()


def test_a_directory_that_is_not_there_is_waited_for_with_how_to_make_it(source, recovery):
    shutil.rmtree(source.path)
    with pytest.raises(TryAgain) as waits:
        recovery.give()
    assert told_whole(waits.value) == "tablespace_missing"
    assert str(source.path) in waits.value.found and str(source.path) in waits.value.hint
    assert not recovery.may_make_tablespaces
    source.path.mkdir()
    recovery.give()
    assert recovery.may_make_tablespaces
