"""Which WAL files a server needs to get from a backup to the end of a timeline. Pure over what the archive holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from understudy.repository.wal_archive import WalArchive, WalContents
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.wal import Lsn, Timeline, TimelineFork, WalSegment, history_file_name, parse_history_file


@dataclass(frozen=True, slots=True)
class ReplayPath:
    names: tuple[str, ...]
    """History files first, then segments in the order of replay."""
    last_segment: str
    starts: Lsn
    reaches: Lsn
    """The last byte that the repository holds on the timeline where replay ends."""


def replay_path(archive: WalArchive, from_timeline: Timeline, start: Lsn, to_timeline: Timeline) -> ReplayPath:
    """What the archive holds on the way.

    Raises:
        GiveUp: ``wal_missing``: a segment between the backup's start and what is there behind it is not in the repository;
            ``timeline_unknown``: the history file is missing, or the backup's timeline is no ancestor.
    """
    forks: tuple[TimelineFork, ...] = ()
    if to_timeline != from_timeline:
        forks = parse_history_file(archive.fetch_history(to_timeline).decode())
    return path_over(archive.contents(), forks, from_timeline, start, to_timeline)


def path_over(
    contents: WalContents, forks: Sequence[TimelineFork], from_timeline: Timeline, start: Lsn, to_timeline: Timeline
) -> ReplayPath:
    """As ``replay_path``, over what was listed and read already."""
    legs = _legs(forks, from_timeline, start, to_timeline)
    segments: list[WalSegment] = []
    for timeline, begin, end in legs:
        segments += _held(contents, timeline, begin, end)
    if not segments:
        raise _missing(WalSegment.holding(from_timeline, start, contents.segment_bytes))
    # A server that is told to follow a timeline asks for its history even when the backup was taken on it.
    histories = [history_file_name(timeline) for timeline, _, _ in legs if timeline > 1 and timeline in contents.histories]
    if to_timeline > 1 and to_timeline not in contents.histories:
        raise GiveUp(
            "timeline_unknown",
            found=f"{history_file_name(to_timeline)} is not in the repository",
            expected="the history file of the timeline that replay follows",
            hint="it is shipped with the first WAL of that timeline: take a base backup anew, or use another repository",
        )
    reaches = contents.reaches(to_timeline) or legs[-1][1]
    return ReplayPath((*histories, *(segment.name for segment in segments)), segments[-1].name, start, max(start, reaches))


def _legs(
    forks: Sequence[TimelineFork], from_timeline: Timeline, start: Lsn, to_timeline: Timeline
) -> list[tuple[Timeline, Lsn, Lsn | None]]:
    """Each timeline on the way with where it is entered and left; the last one is not left."""
    on_the_way = [fork for fork in forks if fork.parent >= from_timeline]
    if from_timeline != to_timeline and (not on_the_way or on_the_way[0].parent != from_timeline):
        raise GiveUp(
            "timeline_unknown",
            found=f"the history of timeline {to_timeline} does not lead through timeline {from_timeline}",
            expected="that the backup's timeline is an ancestor",
            hint="choose the timeline that the backup is on, or a backup of an ancestor",
        )
    legs: list[tuple[Timeline, Lsn, Lsn | None]] = []
    entered = start
    for fork in on_the_way:
        legs.append((fork.parent, entered, fork.at))
        entered = fork.at
    return [*legs, (to_timeline, entered, None)]


def _held(contents: WalContents, timeline: Timeline, begin: Lsn, end: Lsn | None) -> list[WalSegment]:
    """The unbroken sequence of segments from ``begin``; a hole in it is an error, its end is not."""
    first = WalSegment.holding(timeline, begin, contents.segment_bytes)
    reach = contents.reaches(timeline)
    if reach is None or reach <= begin:
        return []
    stop = min(reach, end) if end is not None else reach
    last = WalSegment.holding(timeline, Lsn(max(begin.position, stop.position - 1)), contents.segment_bytes)
    gap = contents.gap_between(first, last)
    if gap is not None:
        raise _missing(gap)
    return list(first.through(last))


def _missing(segment: WalSegment) -> GiveUp:
    return GiveUp(
        "wal_missing",
        found=f"WAL segment {segment.name} is not in the repository, and later ones are",
        expected="every segment from the backup on",
        hint="restore from another repository, or from a backup that was taken behind the hole (understudy backups RESOURCE)",
    )
