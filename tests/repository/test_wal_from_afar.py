"""WAL out of a store that is slow to answer: fetched ahead, several pieces at once. Counted, not timed."""

import os
import subprocess
import threading
from collections import Counter
from functools import partial

import pytest

from tests.contracts.object_store import ObjectStoreContract
from tests.repository.delaying_store import DelayingStore
from tests.repository.sample_keys import fresh_keys
from tests.servers.flavours import server_owner
from tests.servers.processes import wait_until
from understudy.adapters.age import choose_sealer
from understudy.repository.wal_archive import WalArchive
from understudy.repository.wal_prefetch import WalPrefetcher
from understudy.vocabulary.identifiers import ResourceName, SystemIdentifier
from understudy.vocabulary.wal import Timeline, WalSegment

MEGABYTE = 1024 * 1024
OWNER = server_owner()[1:] if server_owner() else (os.getuid(), os.getgid())
SEGMENTS = [WalSegment(Timeline(1), number, MEGABYTE) for number in range(1, 13)]
WINDOW, WORKERS = 6, 3


class TestDelayingStore(ObjectStoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        return DelayingStore.create(tmp_path / "store")


class WatchedArchive:
    """Counts what is under way at once, and how often each piece is fetched."""

    def __init__(self, archive):
        self._archive = archive
        self._changed = threading.Lock()
        self.under_way: set[str] = set()
        self.most_at_once = 0
        self.fetched: Counter[str] = Counter()

    def fetch_segment(self, segment):
        with self._changed:
            self.under_way.add(segment.name)
            self.fetched[segment.name] += 1
            self.most_at_once = max(self.most_at_once, len(self.under_way))
        try:
            return [b"".join(self._archive.fetch_segment(segment))]
        finally:
            with self._changed:
                self.under_way.discard(segment.name)

    def fetch_history(self, timeline):
        return self._archive.fetch_history(timeline)


@pytest.fixture
def archive(tmp_path):
    made = WalArchive(
        DelayingStore.create(tmp_path / "store"), choose_sealer(), fresh_keys(), ResourceName("orders"),
        SystemIdentifier("7400000000000000001"), MEGABYTE,
    )  # fmt: skip
    for segment in SEGMENTS:
        made.put_segment(segment, bytes([segment.number]) * MEGABYTE)
    return WatchedArchive(made)


def _all_there(ready, names):
    return {path.name for path in ready.iterdir()} >= set(names)


def test_while_one_segment_is_asked_for_the_next_ones_are_there_already(archive, tmp_path):
    names = [segment.name for segment in SEGMENTS]
    ready, target = tmp_path / "fetched" / "ready", tmp_path / "RECOVERYXLOG"
    with WalPrefetcher(
        archive, names, tmp_path / "fetched", owner=OWNER, segment_bytes=MEGABYTE, workers=WORKERS, window=WINDOW
    ) as fetching:
        ahead = names[:WINDOW]
        for position, name in enumerate(names):
            # Nobody asked for a single one of these.
            wait_until(partial(_all_there, ready, ahead), f"what is ahead when {name} is asked for")
            command = fetching.restore_command.replace("%f", name).replace("%p", str(target))
            assert subprocess.run(["/bin/sh", "-c", command], check=False, timeout=120).returncode == 0
            assert target.read_bytes() == bytes([position + 1]) * MEGABYTE
            assert set(archive.fetched) <= set(names[: position + WINDOW]), "nothing beyond the window"
            ahead = names[position + 1 : position + WINDOW]
    assert 1 < archive.most_at_once <= WORKERS
    assert archive.fetched == Counter(names), "each once"
