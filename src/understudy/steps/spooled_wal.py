"""What this host's spool holds, as an archive: for who counts on it, or looks whether it is of the right cluster."""

from __future__ import annotations

from understudy.ports.wal_receiver import SpoolFacts, WalReceiver, WalSource
from understudy.repository.layout import TailSpan
from understudy.repository.wal_contents import WalContents
from understudy.vocabulary.errors import GiveUp

SPOOL_OF_ANOTHER_CLUSTER = "spool_of_another_cluster"
SEGMENT_MISSING = "segment_missing"


def spooled_wal(receiver: WalReceiver, system_identifier: str, segment_bytes: int) -> WalContents:
    """What the spool holds of this cluster, as the archive that it would make by itself.

    Raises:
        GiveUp: ``spool_unreadable``, ``spool_of_another_cluster``.
    """
    try:
        spool, contents = _as_contents(receiver, segment_bytes)
    except OSError as error:
        raise GiveUp(
            "spool_unreadable",
            found=f"{error.filename}: {error.strerror}",
            expected="this host's spool of WAL, which can be read",
            hint="run this as the user that serve runs as, or as root",
        ) from error
    if contents.timelines() and spool.system_identifier != system_identifier:
        raise GiveUp(
            SPOOL_OF_ANOTHER_CLUSTER,
            found=f"this host's spool holds WAL of cluster {spool.system_identifier or '(not noted)'}",
            expected=f"WAL of cluster {system_identifier}, of which the backup is",
            hint="the server was replaced since the backup was taken: take a new one, understudy backup RESOURCE --full",
        )
    return contents


def contents_of(source: WalSource, segment_bytes: int) -> WalContents:
    """The same of what else lies on this host."""
    return _as_contents(source, segment_bytes)[1]


def _as_contents(source: WalSource, segment_bytes: int) -> tuple[SpoolFacts, WalContents]:
    """With how many bytes its unfinished segment holds; looked at anew where others let go of that one meanwhile."""
    while True:
        spool = source.spool()
        try:
            reach = source.read_tail(spool.partial, 0).size_bytes if spool.partial is not None else 0
        except GiveUp as error:
            if error.code != SEGMENT_MISSING or not has_moved_on(source, spool):
                raise
        else:
            tails = (TailSpan(spool.partial, 0, reach),) if spool.partial is not None and reach else ()
            return spool, WalContents(segment_bytes, spool.segments, tails, spool.histories)


def has_moved_on(receiver: WalSource, seen: SpoolFacts) -> bool:
    """Whether the spool holds other segments than it was seen to."""
    now = receiver.spool()
    return (now.segments, now.partial) != (seen.segments, seen.partial)
