"""What this host received of a database's WAL and has not shipped, as a restore may count on it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

from understudy.app.installation import Installation
from understudy.repository.catalog import Repository
from understudy.repository.manifests import BackupManifest
from understudy.repository.wal_contents import WalContents
from understudy.steps.wal_shipping import spooled_wal
from understudy.vocabulary.errors import UnderstudyError
from understudy.vocabulary.wal import Timeline, TimelineFork, parse_history_file


@dataclass(frozen=True, slots=True)
class SpooledWal:
    wal: WalContents
    histories: Mapping[Timeline, tuple[TimelineFork, ...]]


def what_the_spool_adds(installation: Installation, repository: Repository, backup: BackupManifest) -> SpooledWal:
    """Of the backup's cluster. Nothing where the run's step that ships it will leave it out: that one says why."""
    receiver = installation.receivers[backup.resource]
    try:
        wal = spooled_wal(receiver, backup.system_identifier, backup.segment_bytes)
        if wal.timelines():
            repository.require_epoch(installation.records.controller_id())
    except UnderstudyError:
        return SpooledWal(WalContents(backup.segment_bytes, (), (), ()), {})
    histories: dict[Timeline, tuple[TimelineFork, ...]] = {}
    for timeline in wal.histories:
        with contextlib.suppress(ValueError, UnderstudyError, OSError):
            histories[timeline] = parse_history_file(receiver.read_history(timeline).decode())
    return SpooledWal(wal, histories)
