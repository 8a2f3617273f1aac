"""How often the tail of the WAL goes into a repository: every ``ship_every``, and each tail begins where the one before ended."""

import threading
from datetime import timedelta

import pytest

from tests.repository.sample_keys import fresh_keys
from tests.servers.processes import wait_until
from tests.supervise.owned_clock import OwnedClock
from understudy.adapters.age import choose_sealer
from understudy.adapters.clock.system import SystemClock
from understudy.adapters.files import FileStore
from understudy.adapters.postgres.database import PostgresDatabase
from understudy.adapters.postgres.receiver import PostgresWalReceiver, ReceiverOptions
from understudy.repository.epochs import OwnClaim, claim_epoch
from understudy.repository.wal_archive import WalArchive
from understudy.steps.wal_shipping import WalShipper
from understudy.supervise.wal_streams import WalStream
from understudy.vocabulary.identifiers import RepositoryName, ResourceName
from understudy.vocabulary.secret import Secret

MEGABYTE = 1024 * 1024
NEAR, ORDERS = RepositoryName("near"), ResourceName("orders")
CONTROLLER = "the-test"
SHIP_EVERY = timedelta(seconds=10)


class Streamed:
    """A real server and its real receiver; the stream's clock is the test's."""

    def __init__(self, server, directory):
        secret = Secret(server.replication_url)
        self.server = server
        self.clock = OwnedClock()
        self.passes = 0
        database = PostgresDatabase(secret, SystemClock())
        options = ReceiverOptions("understudy", directory / "spool", 64 * MEGABYTE, "understudy_test",
                                  programs_directory=str(server.programs))  # fmt: skip
        self.receiver = PostgresWalReceiver(secret, lambda: database, SystemClock(), options)
        system = database.facts().system_identifier
        self._store = FileStore.create(directory / "store")
        self._keys = fresh_keys()
        claim_epoch(self._store, self._keys, CONTROLLER, SystemClock().now())
        self.archive = WalArchive(self._store, choose_sealer(), self._keys, ORDERS, system, MEGABYTE)
        self.stream = WalStream(
            ORDERS, self.receiver, lambda: None, {NEAR: self.shipper}, SHIP_EVERY, self.clock,
            self._passed, lambda report: None,
        )  # fmt: skip

    def shipper(self):
        return WalShipper(self.receiver, self.archive, OwnClaim(self._store, self._keys, CONTROLLER, SystemClock()))

    def _passed(self, report):
        assert report.fault is None
        self.passes += 1

    def write(self, words):
        """Until they lie in the spool."""
        self.server.sql(f"select pg_logical_emit_message(true, 'x', '{words}')")

        def spooled():
            partial = self.receiver.spool().partial
            return partial is not None and words.encode() in b"".join(self.receiver.read_tail(partial, 0))

        wait_until(spooled, f"{words!r} to be spooled")

    def await_passes(self, count):
        wanted = self.passes + count
        wait_until(lambda: self.passes >= wanted, f"{count} more passes")

    @property
    def tails(self):
        return [(each.start, each.stop) for each in self.archive.contents().tails]

    @property
    def tail_names(self):
        return [
            each.key.rpartition("/")[2].partition(".")[0] for each in self._store.list("postgres") if each.key.endswith(".json")
        ]

    def holds(self, words):
        (segment,) = {each.segment for each in self.archive.contents().tails}
        return words.encode() in b"".join(self.archive.fetch_segment(segment))


@pytest.fixture
def streamed(postgres_servers, tmp_path):
    made = Streamed(postgres_servers(segment_megabytes=1), tmp_path)
    made.receiver.ensure_running()
    made.write("the first words")
    made.stream.start()
    yield made
    made.stream.stop()
    made.receiver.stop()


def test_tails_go_in_every_ship_every_and_each_begins_where_the_one_before_ended(streamed):
    streamed.await_passes(1)
    [(start, first_stop)] = streamed.tails
    assert start == 0
    assert streamed.holds("the first words")

    streamed.write("the second words")
    streamed.await_passes(2)
    streamed.clock.pass_by(SHIP_EVERY - timedelta(seconds=1))
    streamed.await_passes(2)
    assert streamed.tails == [(0, first_stop)], "nothing in between"

    streamed.clock.pass_by(timedelta(seconds=1))
    wait_until(lambda: len(streamed.tails) > 1, "the second tail")
    streamed.await_passes(2)
    [_, (second_start, second_stop)] = streamed.tails
    assert second_start == first_stop < second_stop
    assert streamed.tail_names == [f"{0:010d}-{first_stop:010d}", f"{first_stop:010d}-{second_stop:010d}"]
    assert streamed.holds("the second words")


def test_what_was_shipped_before_a_restart_is_not_shipped_again(streamed):
    streamed.await_passes(1)
    [(_, first_stop)] = streamed.tails
    streamed.write("words of a second shipper")
    streamed.shipper().ship_once()
    assert [start for start, _ in streamed.tails] == [0, first_stop]


class NotingStop(threading.Event):
    """Notes how long a thread would wait, does not wait, and is set after so many times."""

    def __init__(self, times):
        super().__init__()
        self.noted, self._times = [], times

    def wait(self, timeout=None):
        self.noted.append(timeout)
        if len(self.noted) == self._times:
            self.set()
        return self.is_set()


def test_a_server_that_cannot_be_asked_is_asked_less_and_less_often(tmp_path):
    nowhere = Secret(f"host={tmp_path} port=1")
    database = PostgresDatabase(nowhere, SystemClock())
    receiver = PostgresWalReceiver(
        nowhere, lambda: database, SystemClock(), ReceiverOptions("slot", tmp_path / "spool", 2**30, "x")
    )
    faults, clock = [], OwnedClock()
    stream = WalStream(ORDERS, receiver, lambda: None, {}, SHIP_EVERY, clock, lambda report: None, faults.append)
    stream._stopping = NotingStop(6)
    stream.start()
    wait_until(lambda: len(stream._stopping.noted) == 6, "six tries")
    assert stream._stopping.noted == [1, 2, 4, 8, 8, 8]
    assert all(report.fault is not None for report in faults)
