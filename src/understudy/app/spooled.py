"""What this host received of a database's WAL and has not shipped, as a restore may count on it."""

from __future__ import annotations

import contextlib
from dataclasses import replace

from understudy.app.holdings import Holdings
from understudy.app.installation import Installation
from understudy.steps.spooled_wal import spooled_wal
from understudy.vocabulary.errors import UnderstudyError
from understudy.vocabulary.identifiers import RepositoryName
from understudy.vocabulary.wal import Timeline, TimelineFork, parse_history_file


def with_spooled(installation: Installation, repository: RepositoryName, held: Holdings) -> Holdings:
    """As the repository will be once the spool here is shipped; as it is where the run's step leaves that out with a reason."""
    backup = held.backups[0]
    receiver = installation.receivers[backup.resource]
    try:
        spooled = spooled_wal(receiver, backup.system_identifier, backup.segment_bytes)
        if spooled.timelines():
            installation.repository(repository).require_epoch(installation.records.controller_id())
    except UnderstudyError:
        return held
    histories: dict[Timeline, tuple[TimelineFork, ...]] = {}
    for timeline in spooled.histories:
        with contextlib.suppress(ValueError, UnderstudyError, OSError):
            histories[timeline] = parse_history_file(receiver.read_history(timeline).decode())
    return replace(held, histories={**histories, **held.histories}, wal=held.wal.continued_by(spooled))
