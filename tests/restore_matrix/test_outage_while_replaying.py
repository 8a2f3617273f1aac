"""The store goes away in the middle of replay and comes back. PostgreSQL 16 over S3."""

import threading
from datetime import timedelta

import pytest

from tests.restore_matrix.estate import RESOURCE, Estate, SilentWatcher, dump_of, expect_success
from tests.restore_matrix.stores import BUCKET, PREFIX, s3_fields
from tests.servers.flavours import Flavour
from tests.servers.postgres import PostgresServer
from tests.servers.rclone_s3 import RcloneS3
from tests.told import told_whole
from understudy.app.recoveries import Choice, restore
from understudy.cli.watching import TerminalWatcher

REPLAYING = f"{RESOURCE}/replay-wal"
LONG_ENOUGH_TO_BE_TOLD = timedelta(seconds=4)
SEGMENTS = 40
"""More than are fetched ahead, so that the server is still waiting for some when the store goes away."""


@pytest.fixture
def source():
    with PostgresServer(Flavour.WHEEL_16, segment_megabytes=1) as server:
        buckets = server.directory / "buckets"
        buckets.mkdir(mode=0o700)
        with RcloneS3(buckets, BUCKET) as store:
            estate = Estate.around(server, s3_fields(store, buckets), repository_directory=buckets / BUCKET / PREFIX)
            yield estate, store
            estate.close()


class Outage(SilentWatcher):
    """Kills the store once replay is under way, starts it again once the run has said for a while that it waits for it."""

    def __init__(self, estate, store, directory):
        self.requests = directory.with_name(f"{directory.name}.wal") / "fetched" / "requests"
        self.store = store
        self.began = threading.Event()
        self.ended = threading.Event()
        self.segments_before = 0
        self.steps_seen_while_away = set()
        self.reason = None
        self._terminal = TerminalWatcher()
        self._thread = threading.Thread(target=self._end_the_store)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.began.set()
        self._thread.join()
        if not self.ended.is_set():
            self.store.start()

    def _end_the_store(self):
        while not self.began.wait(0.002):
            if self._delivered() >= 2:
                self.store.stop()
                self.segments_before = self._delivered()
                self.began.set()

    def _delivered(self):
        try:
            return sum(" 0 " in line for line in self.requests.read_text().splitlines())
        except FileNotFoundError:
            return 0

    def show(self, view):
        self._terminal.show(view)
        if not self.began.is_set() or self.ended.is_set():
            return
        self.steps_seen_while_away |= {step.key for step in view.steps if step.state.is_final}
        replaying = next(step for step in view.steps if step.key == REPLAYING)
        if replaying.held_up_since is not None and view.seen - replaying.held_up_since >= LONG_ENOUGH_TO_BE_TOLD:
            self.reason = replaying.held_up_by
            self.segments_after_waiting = self._delivered()
            self.store.start()
            self.ended.set()


def test_replay_says_that_it_waits_for_a_store_that_is_away_goes_on_and_never_promotes_early(source, capsys):
    estate, store = source
    server = estate.server
    server.sql("create table t (number int primary key)")
    estate.back_up_well()
    for number in range(SEGMENTS):
        server.sql(f"insert into t values ({number})")  # noqa: S608
        server.sql("select pg_switch_wal()")
    estate.ship()
    copy = server.sibling()
    with Outage(estate, store, copy.data) as outage:
        view = expect_success(restore(estate.installation, RESOURCE, copy.data, Choice(), outage))
    assert outage.ended.is_set(), "the store was not away while WAL was replayed"
    assert outage.segments_after_waiting < SEGMENTS
    assert told_whole(outage.reason) == "store_unreachable"
    said = capsys.readouterr().err
    assert said.count(f"waiting   {REPLAYING}") == 1
    assert said.count("store_unreachable") == 1
    assert f"goes on   {REPLAYING}" in said
    assert REPLAYING not in outage.steps_seen_while_away
    assert f"{RESOURCE}/promote" not in outage.steps_seen_while_away
    assert view.succeeded
    copy.start()
    assert copy.sql("select count(*) from t") == [(SEGMENTS,)]
    assert dump_of(copy) == dump_of(server)
