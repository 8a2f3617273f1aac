"""What lies where the WAL of a real recovery makes tablespaces: set aside before the server may replay it.

A tablespace that was made after the backup is in the WAL alone, and replay makes it at the path that it had. On the source's own
host the old server's files lie there. No stack file can name a place for it, because nobody knew of it when it was written.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import cast

from understudy.ports.instance import Instances
from understudy.ports.world import World
from understudy.repository.restore_target import RestoreTarget, target_faults
from understudy.repository.wal_staging import LaidDown
from understudy.repository.wal_tablespaces import TablespaceSearch
from understudy.vocabulary.errors import TryAgain
from understudy.vocabulary.json import Json
from understudy.vocabulary.wal import WalSegment

_LOOK_AGAIN = timedelta(seconds=1)


class OldTablespaces:
    """For ``WalPrefetcher``: told of each segment before the server can have it, by several threads at once.

    Only the directory that is named after the server's version goes aside, as ``PG_15_202209061.before-<run>``: the path itself
    may be a mount point, and hold other things. Once for each path: what lies there afterwards is what was replayed.

    Until the first path is found the server may make no tablespaces at all, so that one that was overlooked would stop it.
    """

    def __init__(self, world: World, resource: str, target: RestoreTarget, instances: Instances, segment_bytes: int) -> None:
        self._world = world
        self._receipt = f"{resource}-tablespaces-set-aside"
        self._target = target
        self._owner = instances.owner
        self._version = re.compile(rf"(PG_{instances.major()}_\d+)(\.before-.*)?")
        self._search = TablespaceSearch(segment_bytes)
        self._lock = threading.Lock()
        self._paths = dict(cast(Mapping[str, list[str]], world.receipts.read(self._receipt) or {}))

    @property
    def set_aside(self) -> list[Json]:
        """Where it lies now, in the order of the paths."""
        with self._lock:
            return [aside for path in sorted(self._paths) for aside in self._paths[path]]

    def keep_off(self) -> None:
        """Before the server is started. Raises what ``target_faults`` expects."""
        if self._paths:
            self._target.allow_tablespaces()
        else:
            self._target.freeze_tablespaces()

    def before_ready(self, segment: WalSegment, content: LaidDown) -> None:
        """
        Raises:
            TryAgain: ``tablespace_missing``: a person must make the directory, or mount it.
            GiveUp: as ``Places.set_aside`` does, and ``target_unwritable``.
        """
        for path in self._search.made_in(segment, content.read):
            with self._lock:
                if path not in self._paths:
                    asides = self._empty(path, segment)
                    self._world.receipts.write(self._receipt, cast(Mapping[str, Json], {**self._paths, path: asides}))
                    self._paths[path] = asides
                with target_faults():
                    self._target.allow_tablespaces()

    def _empty(self, path: str, segment: WalSegment) -> list[str]:
        """What was set aside, also by an attempt that was killed before it could say so."""
        if not Path(path).is_dir():
            raise _missing(path, segment, self._owner)
        if self._world.places.facts(path).claimed_by == self._world.run:
            return []  # where this run has restored that very tablespace
        with target_faults():
            names = {found[1] for name in os.listdir(path) if (found := self._version.fullmatch(name))}  # noqa: PTH208
        asides = [self._world.places.set_aside(f"{path}/{name}", self._world.run) for name in sorted(names)]
        return [aside for aside in asides if aside is not None]


def _missing(path: str, segment: WalSegment, owner: tuple[int, int]) -> TryAgain:
    return TryAgain(
        "tablespace_missing",
        found=f"the WAL in segment {segment} makes a tablespace in {path}, and there is no such directory here",
        expected="that directory, on the disk that is to hold it: no backup holds the tablespace, so it goes where it was",
        hint=f"mount its disk, or make it: install -d -m 0700 -o {owner[0]} -g {owner[1]} {path}; the recovery then goes on by "
        "itself",
        after=_LOOK_AGAIN,
    )
