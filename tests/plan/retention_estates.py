"""What a database and its repository have lived through, played move by move; and an oracle that knows nothing of the rules.

The oracle plays restores over sets of segments and of backups. It shares no code with what it judges.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from tests.repository.sample_backups import sample_backup
from understudy.plan.retention import KeepRules, RetentionFacts, UnfinishedBackup
from understudy.plan.wal_retention import ClusterHoldings
from understudy.repository.manifests import BackupManifest
from understudy.repository.wal_contents import WalContents
from understudy.vocabulary.identifiers import BackupLabel, BackupOrigin, SystemIdentifier
from understudy.vocabulary.wal import Lsn, Timeline, TimelineFork, WalSegment

SIZE = 2**20
BEGIN = datetime(2026, 9, 20, 21, 30, tzinfo=UTC)
B6 = KeepRules(
    daily=7, weekly=4, monthly=12, manual=timedelta(days=30), point_in_time=timedelta(days=7), timezone="Europe/Berlin"
)


@dataclass(frozen=True)
class Moment:
    """The end of a segment: where a restore may be asked to go."""

    system: str
    timeline: int
    number: int
    at: datetime


@dataclass
class Cluster:
    system: str
    timeline: int = 1
    number: int = 3
    """The segment that is written now."""
    ancestry: dict[int, list[tuple[int, int]]] = field(default_factory=lambda: {1: []})
    """Of each timeline its ancestors, oldest first, each with the byte at which it was left."""
    backups: list[BackupManifest] = field(default_factory=list)
    wal: set[tuple[int, int]] = field(default_factory=set)


class Estate:
    """Moves change it. Our own time passes forwards only; the server's clock may jump."""

    def __init__(self) -> None:
        self.now = BEGIN
        self.skew = timedelta(0)
        """By how much the server's clock, which stamps commits and backups, is ahead of ours."""
        self.clusters = [Cluster("7400000000000000001")]
        self.moments: list[Moment] = []
        self.proven: set[tuple[str, str]] = set()
        self.in_use: set[str] = set()
        self._serial = 0

    @property
    def here(self) -> Cluster:
        return self.clusters[-1]

    def write(self, segments: int, hours: int) -> None:
        for _ in range(segments):
            self.now += timedelta(hours=hours) / segments
            self._complete_segment()

    def back_up(self, incremental: bool, span: int, by_hand: bool, after_hours: int) -> None:
        self.now += timedelta(hours=after_hours, seconds=7)
        cluster = self.here
        parents = [each for each in cluster.backups if each.timeline == cluster.timeline] if incremental else []
        parent = parents[-1] if parents else None
        self._serial += 1
        begun = BEGIN + timedelta(seconds=self._serial)
        label = BackupLabel.of_full(begun) if parent is None else BackupLabel.of_incremental(parent.label, begun)
        start = Lsn(cluster.number * SIZE + 40)
        for _ in range(span):
            self._complete_segment()
            self.now += timedelta(minutes=5)
        stop = Lsn(cluster.number * SIZE + 300)
        self._complete_segment()
        stopped = self.now + self.skew
        cluster.backups.append(
            sample_backup(
                label.text,
                parent.label.text if parent else None,
                system_identifier=SystemIdentifier(cluster.system),
                timeline=Timeline(cluster.timeline),
                start_lsn=start,
                stop_lsn=stop,
                start_time=stopped,
                stop_time=stopped,
                segment_bytes=SIZE,
                origin=BackupOrigin.MANUAL if by_hand else BackupOrigin.AUTOMATIC,
            )
        )

    def recover(self, back: int, within: bool) -> None:
        """To a point some segments ago, on the present timeline, from which a new one goes on."""
        cluster = self.here
        stops = [each.stop_lsn.position for each in cluster.backups if each.timeline == cluster.timeline]
        at = (cluster.number - back) * SIZE + (500 if within else 0)
        if not stops or at < min(stops):
            return
        new = max(cluster.ancestry) + 1
        cluster.ancestry[new] = [*cluster.ancestry[cluster.timeline], (cluster.timeline, at)]
        cluster.timeline, cluster.number = new, at // SIZE

    def move_to_another_cluster(self) -> None:
        self.clusters.append(Cluster(f"740000000000000000{len(self.clusters) + 1}"))

    def jump(self, hours: int) -> None:
        self.skew = timedelta(hours=hours)

    def lose_segment(self, choice: int) -> None:
        held = sorted(self.here.wal)
        if held:
            self.here.wal.remove(held[choice % len(held)])

    def lose_backup(self, choice: int) -> None:
        if self.here.backups:
            self.here.backups.pop(choice % len(self.here.backups))

    def prove(self, choice: int) -> None:
        if self.here.backups:
            self.proven.add((self.here.system, self.here.backups[choice % len(self.here.backups)].label.text))

    def read(self, choice: int) -> None:
        if self.here.backups:
            self.in_use.add(self.here.backups[choice % len(self.here.backups)].label.chain.text)

    def facts(self, now: datetime | None = None) -> RetentionFacts:
        return RetentionFacts(
            now=now or self.now,
            clusters=tuple(self._holdings(cluster) for cluster in self.clusters if cluster.backups),
            unusable=(),
            unfinished=(UnfinishedBackup(SystemIdentifier(self.here.system), BackupLabel("20260101-000000F")),),
            in_use={BackupLabel(each): "run-1" for each in self.in_use},
            proven={(SystemIdentifier(system), BackupLabel(label)) for system, label in self.proven},
        )

    def _holdings(self, cluster: Cluster) -> ClusterHoldings:
        segments = tuple(sorted(WalSegment(Timeline(timeline), number, SIZE) for timeline, number in cluster.wal))
        later = tuple(Timeline(each) for each in sorted(cluster.ancestry) if each > 1)
        histories = {
            each: tuple(TimelineFork(Timeline(parent), Lsn(at)) for parent, at in cluster.ancestry[each]) for each in later
        }
        wal = WalContents(SIZE, segments, (), later)
        return ClusterHoldings(
            system_identifier=SystemIdentifier(cluster.system), backups=tuple(cluster.backups), wal=wal, histories=histories
        )

    def _complete_segment(self) -> None:
        cluster = self.here
        cluster.wal.add((cluster.timeline, cluster.number))
        self.moments.append(Moment(cluster.system, cluster.timeline, cluster.number, self.now + self.skew))
        cluster.number += 1


def nightly(days, *, incremental_but_sundays=False, by_hand=()):
    """A backup at three in the morning in Berlin, each night up to and with 24 November 2026, a Tuesday."""
    estate = Estate()
    last = datetime(2026, 11, 24, 3, tzinfo=ZoneInfo("Europe/Berlin"))
    for ago in range(days - 1, -1, -1):
        night = last - timedelta(days=ago)
        estate.now = night.astimezone(UTC) - timedelta(seconds=7)
        estate.back_up(incremental_but_sundays and night.weekday() != 6, 0, ago in by_hand, 0)
        estate.write(2, 20)
    estate.now = last.astimezone(UTC) + timedelta(hours=8)
    return estate


# The oracle


def is_good(cluster: Cluster, backup: BackupManifest) -> bool:
    """Whether it can be restored to its own end."""
    labels = {each.label.text: each for each in cluster.backups}
    standing: BackupManifest | None = backup
    while standing is not None and standing.parent is not None:
        standing = labels.get(standing.parent.text)
    first, last = backup.start_lsn.position // SIZE, (backup.stop_lsn.position - 1) // SIZE
    return standing is not None and {(backup.timeline, number) for number in range(first, last + 1)} <= cluster.wal


def leads(cluster: Cluster, backup: BackupManifest, moment: Moment) -> bool:
    """Whether a server that was restored from it replays to the moment over WAL that is there."""
    needed, position = [], backup.start_lsn.position
    if backup.timeline != moment.timeline:
        way = [fork for fork in cluster.ancestry[moment.timeline] if fork[0] >= backup.timeline]
        if not way or way[0][0] != backup.timeline or way[0][1] < backup.stop_lsn.position:
            return False
        for timeline, left_at in way:
            needed += [(timeline, number) for number in range(position // SIZE, left_at // SIZE)]
            position = max(position, left_at)
    elif backup.stop_lsn.position > (moment.number + 1) * SIZE:
        return False
    needed += [(moment.timeline, number) for number in range(position // SIZE, moment.number + 1)]
    return set(needed) <= cluster.wal


def reachable(estate: Estate) -> set[Moment]:
    """Every moment that some good backup leads to."""
    found = set()
    for cluster in estate.clusters:
        good = [each for each in cluster.backups if is_good(cluster, each)]
        mine = [moment for moment in estate.moments if moment.system == cluster.system]
        found |= {moment for moment in mine if any(leads(cluster, each, moment) for each in good)}
    return found


# Estates by chance

_hours = st.integers(0, 40)
_choice = st.integers(0, 200)
_details = {
    "write": st.tuples(st.integers(1, 3), _hours),
    "back_up": st.tuples(st.booleans(), st.integers(0, 1), st.booleans(), _hours),
    "recover": st.tuples(st.integers(0, 12), st.booleans()),
    "lose_segment": st.tuples(_choice),
    "lose_backup": st.tuples(_choice),
    "prove": st.tuples(_choice),
    "read": st.tuples(_choice),
    "jump": st.tuples(st.sampled_from([-50, 0, 2000])),
    "move_to_another_cluster": st.tuples(),
}
_ordinary = ["write"] * 14 + ["back_up"] * 20 + ["recover"] * 3 + ["lose_segment"] * 4 + ["lose_backup"] * 2
_rare = ["prove", "read", "jump", "move_to_another_cluster"]
_moves = st.sampled_from(_ordinary + _rare).flatmap(lambda name: _details[name].map(lambda details: (name, *details)))
rules = st.builds(
    KeepRules,
    daily=st.integers(0, 3),
    weekly=st.integers(0, 2),
    monthly=st.integers(0, 2),
    manual=st.integers(0, 5).map(lambda days: timedelta(days=days)),
    point_in_time=st.integers(0, 5).map(lambda days: timedelta(days=days)),
    timezone=st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Apia"]),
)


def played(moves: list[tuple[object, ...]]) -> Estate:
    estate = Estate()
    for name, *details in moves:
        getattr(estate, str(name))(*details)
    return estate


estates = st.lists(_moves, min_size=8, max_size=40).map(played)
