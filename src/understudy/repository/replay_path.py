"""Which WAL files a server needs to get from a backup to the end of a timeline. Pure over what the archive holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from understudy.repository.wal_archive import WalArchive, WalContents
from understudy.repository.wal_records import page_end
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.wal import Lsn, Timeline, TimelineFork, WalSegment, history_file_name, parse_history_file


@dataclass(frozen=True, slots=True)
class ReplayPath:
    names: tuple[str, ...]
    """History files first, then segments in the order of replay."""
    last_segment: str
    starts: Lsn
    reaches: Lsn
    """The last byte that is known to be held on the timeline where replay ends."""
    gap: WalSegment | None = None
    """The path ends before this segment, which is missing although later ones are there."""

    @property
    def reaches_at_most(self) -> Lsn:
        """A tail ends with its last byte that is not zero, so the WAL held may go on in zeros; but not into the next page."""
        return page_end(self.reaches)


def replay_path(
    archive: WalArchive, from_timeline: Timeline, start: Lsn, to_timeline: Timeline, *, up_to_gap: bool = False
) -> ReplayPath:
    """What the archive holds on the way. ``up_to_gap``: what lies before a hole is wanted although there is one.

    Raises:
        GiveUp: ``wal_missing``: a segment between the backup's start and what is there behind it is not in the repository;
            ``timeline_unknown``: the history file is missing, or the backup's timeline is no ancestor.
    """
    forks: tuple[TimelineFork, ...] = ()
    if to_timeline != from_timeline:
        forks = read_history(archive, to_timeline)
    return path_over(archive.contents(), forks, from_timeline, start, to_timeline, up_to_gap=up_to_gap)


def read_history(archive: WalArchive, timeline: Timeline) -> tuple[TimelineFork, ...]:
    """The ancestry of a timeline.

    Raises:
        GiveUp: ``history_unreadable`` where it is signed and makes no sense; and as ``fetch_history`` does.
    """
    content = archive.fetch_history(timeline)
    try:
        return parse_history_file(content.decode())
    except ValueError as error:
        raise GiveUp(
            "history_unreadable",
            found=f"{history_file_name(timeline)}: {error}",
            expected="a line for each timeline that it descends from",
            hint="these bytes were signed, so the host that wrote them was at fault: use another repository, or another timeline "
            "with --timeline",
        ) from error


def read_histories(
    archive: WalArchive, contents: WalContents
) -> tuple[dict[Timeline, tuple[TimelineFork, ...]], dict[Timeline, GiveUp]]:
    """The ancestry of each timeline; and what is wrong with those that are damaged, which others need not suffer from."""
    histories: dict[Timeline, tuple[TimelineFork, ...]] = {}
    damaged: dict[Timeline, GiveUp] = {}
    for timeline in contents.histories:
        try:
            histories[timeline] = read_history(archive, timeline)
        except GiveUp as error:
            if error.code not in {"wal_corrupt", "history_unreadable"}:
                raise
            damaged[timeline] = error
    return histories, damaged


def path_over(
    contents: WalContents,
    forks: Sequence[TimelineFork],
    from_timeline: Timeline,
    start: Lsn,
    to_timeline: Timeline,
    *,
    up_to_gap: bool = False,
) -> ReplayPath:
    """As ``replay_path``, over what was listed and read already."""
    legs = _legs(forks, from_timeline, start, to_timeline)
    segments: list[WalSegment] = []
    gap: WalSegment | None = None
    for index, leg in enumerate(legs):
        held, gap = _held(contents, leg, index > 0)
        segments += held
        if gap is not None:
            break
    if gap is not None and not (up_to_gap and segments):
        raise wal_missing(gap)
    if not segments:
        raise wal_missing(WalSegment.holding(from_timeline, start, contents.segment_bytes))
    # A server that is told to follow a timeline asks for its history even when the backup was taken on it.
    timelines = [leg.timeline for leg in legs if leg.timeline > 1]
    histories = [history_file_name(timeline) for timeline in timelines if timeline in contents.histories]
    if to_timeline > 1 and to_timeline not in contents.histories:
        raise GiveUp(
            "timeline_unknown",
            found=f"{history_file_name(to_timeline)} is not in the repository",
            expected="the history file of the timeline that replay follows",
            hint="it is shipped with the first WAL of that timeline: take a base backup anew, or use another repository",
        )
    reaches = gap.start if gap is not None else contents.reaches(to_timeline) or legs[-1].begin
    names = (*histories, *(segment.name for segment in segments))
    return ReplayPath(names, segments[-1].name, start, max(start, reaches), gap)


@dataclass(frozen=True, slots=True)
class _Leg:
    """One timeline on the way, where it is entered and left; the last one is not left."""

    timeline: Timeline
    begin: Lsn
    end: Lsn | None


def _legs(forks: Sequence[TimelineFork], from_timeline: Timeline, start: Lsn, to_timeline: Timeline) -> list[_Leg]:
    on_the_way = [fork for fork in forks if fork.parent >= from_timeline]
    if from_timeline != to_timeline and (not on_the_way or on_the_way[0].parent != from_timeline):
        raise GiveUp(
            "timeline_unknown",
            found=f"the history of timeline {to_timeline} does not lead through timeline {from_timeline}",
            expected="that the backup's timeline is an ancestor",
            hint="choose the timeline that the backup is on, or a backup of an ancestor",
        )
    legs: list[_Leg] = []
    entered = start
    for fork in on_the_way:
        legs.append(_Leg(fork.parent, entered, fork.at))
        entered = fork.at
    return [*legs, _Leg(to_timeline, entered, None)]


def _held(contents: WalContents, leg: _Leg, forked_off: bool) -> tuple[list[WalSegment], WalSegment | None]:
    """The unbroken sequence of the leg's segments, and the missing one that ends it before the leg does.

    On the last leg the end of what is there is no gap. A segment in the middle of which a timeline is left is taken from the
    timeline that goes on, whose copy begins with the same bytes, and never from the one that was left: a server that finds no
    other replays on, past the fork, what was written by the side that is not wanted (which is why PostgreSQL renames that segment
    to ``.partial``).
    """
    first = WalSegment.holding(leg.timeline, leg.begin, contents.segment_bytes)
    end = leg.end
    if end is None:
        begins_within = forked_off and leg.begin > first.start
        if begins_within and not _holds_up_to(contents, first, leg.begin):
            return [], first
        end = max(leg.begin, contents.reaches(leg.timeline) or leg.begin)
        if end == leg.begin and not begins_within:
            return [], None
    elif end <= leg.begin:
        return [], None
    last = WalSegment.holding(leg.timeline, Lsn(end.position - 1), contents.segment_bytes)
    held: list[WalSegment] = []
    for segment in first.through(last):
        if leg.end is not None and leg.end < segment.end:
            break
        if not (contents.holds(segment) or (segment == last and _holds_up_to(contents, segment, end))):
            return held, segment
        held.append(segment)
    return held, None


def _holds_up_to(contents: WalContents, segment: WalSegment, end: Lsn) -> bool:
    """Complete, or by tails that reach to the page of ``end``."""
    reach = contents.tail_reaches().get(segment)
    return contents.holds(segment) or (reach is not None and page_end(segment.start + reach) >= end)


def wal_missing(segment: WalSegment) -> GiveUp:
    return GiveUp(
        "wal_missing",
        found=f"WAL segment {segment.name} is not in the repository",
        expected="every segment from the backup on",
        hint="restore from another repository, from a backup that was taken behind the hole (understudy backups RESOURCE), or "
        "to a moment before it",
    )
