"""Whether a stack is ready for a disaster: each line is a measurement, and is ticked by nothing else. Pure: facts in, lines out.

What was not measured is unknown, and unknown is not met. What this version does not build is said as that, and judged by nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from understudy.vocabulary.identifiers import RunId


class Readiness(StrEnum):
    MET = "met"
    NOT_MET = "not_met"
    UNKNOWN = "unknown"
    NOT_BUILT = "not_built"


class Area(StrEnum):
    HIGH_AVAILABILITY = "high availability"
    BACKUPS = "backups"
    MONITORING = "monitoring"
    ALERTING = "alerting"
    DRILLS = "drills"
    DEPLOYMENT = "deployment"
    SECURITY = "security"


@dataclass(frozen=True, slots=True)
class ReadinessLine:
    area: Area
    name: str
    """Stable, for scripts: ``usable_backup``."""
    subject: str
    """The resource, the repository or the scenario; empty where it is about the whole."""
    asks: str
    state: Readiness
    found: str
    """The value that was measured, in words."""
    run: RunId | None = None
    """Whose evidence says so."""
    at: datetime | None = None
    """When it was measured."""


@dataclass(frozen=True, slots=True)
class KeptFacts:
    """A resource, by the records."""

    resource: str
    recoverable: bool
    """Whether a usable backup is known of."""
    newest: RunId | None
    newest_at: datetime | None
    exposed: timedelta | None
    """How old the newest work can be that a loss would cost; None while nobody watches."""
    rpo: timedelta
    scheduled: bool
    missed_since: datetime | None
    failed: RunId | None
    """The newest backup that failed, where none was completed since."""
    failed_at: datetime | None
    repositories: int
    damaged: int
    """Backups that were found damaged."""


@dataclass(frozen=True, slots=True)
class ReadBackFacts:
    """A repository, by what was read back of it."""

    repository: str
    size_bytes: int
    never_read_bytes: int
    oldest_read: datetime | None


@dataclass(frozen=True, slots=True)
class RehearsedFacts:
    """A scenario and what it is about: the newest run that was one, whatever came of it."""

    scenario: str
    resources: tuple[str, ...]
    run: RunId | None
    at: datetime | None
    passed: bool
    """It succeeded, and every objective is known to be met."""
    of_this_stack_file: bool


@dataclass(frozen=True, slots=True)
class ReadinessFacts:
    now: datetime
    serving: bool
    kept: tuple[KeptFacts, ...]
    stored: tuple[ReadBackFacts, ...]
    rehearsed: tuple[RehearsedFacts, ...]
    drills_declared: int
    drills_overdue: tuple[str, ...]
    deviations_without_finding: tuple[RunId, ...]
    """Drills and recoveries that failed or missed an objective, and of which no finding says so."""
    findings_overdue: tuple[str, ...]
    roles_missing: tuple[str, ...]
    recipients: int
    signers_named: bool
    chain_links: int
    chain_faults: int
    escrow_drill: RunId | None
    """The newest drill that passed and was opened with another identity than this host's."""
    escrow_drill_at: datetime | None


def judge_readiness(facts: ReadinessFacts) -> tuple[ReadinessLine, ...]:
    return (
        *_high_availability(facts),
        *(line for each in facts.kept for line in _backups(each)),
        *(line for each in facts.stored for line in _read_back(each)),
        *_watched(facts),
        *_drills(facts),
        *_not_built(Area.DEPLOYMENT, "deploys", "a new release is rolled out without a failed request, and rolled back"),
        *_security(facts),
    )


def is_ready(lines: Sequence[ReadinessLine]) -> bool:
    """Nothing is known to be wanting, and nothing that this version measures is unknown."""
    return all(line.state in (Readiness.MET, Readiness.NOT_BUILT) for line in lines)


def _high_availability(facts: ReadinessFacts) -> Iterator[ReadinessLine]:
    yield from _not_built(Area.HIGH_AVAILABILITY, "fail_over", "a standby takes over by itself when a server is lost")
    for each in facts.kept:
        yield ReadinessLine(
            Area.HIGH_AVAILABILITY,
            "several_repositories",
            each.resource,
            "it is kept in two repositories at least",
            _is(each.repositories >= 2),
            f"{each.repositories} by the stack file",
        )


def _backups(each: KeptFacts) -> Iterator[ReadinessLine]:
    def line(
        name: str, asks: str, state: Readiness, found: str, run: RunId | None = None, at: datetime | None = None
    ) -> ReadinessLine:
        return ReadinessLine(Area.BACKUPS, name, each.resource, asks, state, found, run, at)

    newest = "a usable backup is there" if each.recoverable else "no usable backup is known of"
    yield line("usable_backup", "a usable backup is there", _is(each.recoverable), newest, each.newest, each.newest_at)
    if each.exposed is None:
        yield line(
            "exposure", "a loss now costs no more than the RPO", Readiness.UNKNOWN, "nobody measures it: serve does not run"
        )
    else:
        found = f"{each.exposed.total_seconds():.0f} s of {each.rpo.total_seconds():.0f} s"
        yield line("exposure", "a loss now costs no more than the RPO", _is(each.exposed <= each.rpo), found)
    scheduled = "a schedule is declared" if each.scheduled else "only when somebody asks"
    missed = f"due since {each.missed_since.isoformat(timespec='seconds')}, and not begun" if each.missed_since else scheduled
    yield line(
        "schedule", "backups are taken by a schedule, and none is missed", _is(each.scheduled and not each.missed_since), missed
    )
    failed = "none failed since the newest" if each.failed is None else "the last one failed"
    yield line(
        "last_backup", "no backup failed since the newest one", _is(each.failed is None), failed, each.failed, each.failed_at
    )
    yield line("sound", "nothing that was read back is damaged", _is(not each.damaged), f"{each.damaged} damaged")


def _read_back(each: ReadBackFacts) -> Iterator[ReadinessLine]:
    asks = "everything stored was read back and compared"
    state, found = _is(not each.never_read_bytes), f"{each.never_read_bytes} of {each.size_bytes} bytes never read yet"
    if not each.size_bytes or each.oldest_read is None:
        state, found = Readiness.UNKNOWN, "nothing was read back yet"
    yield ReadinessLine(Area.BACKUPS, "read_back", each.repository, asks, state, found, None, each.oldest_read)


def _watched(facts: ReadinessFacts) -> Iterator[ReadinessLine]:
    runs = "it runs" if facts.serving else "it does not run"
    asks = "serve runs: WAL is shipped, schedules are kept, exposure is watched"
    yield ReadinessLine(Area.MONITORING, "serving", "", asks, _is(facts.serving), runs, None, facts.now)
    yield from _not_built(Area.MONITORING, "metrics", "metrics are served to a monitoring system")
    yield from _not_built(Area.ALERTING, "messages", "somebody is told by itself when protection fails")
    missing = f"nobody for {', '.join(facts.roles_missing)}" if facts.roles_missing else "every role has a contact"
    asks = "it is declared who is to be told, and who does what"
    yield ReadinessLine(Area.ALERTING, "contacts", "", asks, _is(not facts.roles_missing), missing)


def _drills(facts: ReadinessFacts) -> Iterator[ReadinessLine]:
    for each in facts.rehearsed:
        yield _rehearsed(each)
    declared = f"{facts.drills_declared} declared" if facts.drills_declared else "no drill is declared"
    found = f"overdue: {', '.join(facts.drills_overdue)}" if facts.drills_overdue else declared
    held = _is(facts.drills_declared > 0 and not facts.drills_overdue)
    yield ReadinessLine(Area.DRILLS, "calendar", "", "drills are held by a calendar, and none is overdue", held, found)
    left = facts.deviations_without_finding
    found = f"without one: {', '.join(left)}" if left else "none is without"
    asks = "whatever failed or missed an objective is a finding"
    yield ReadinessLine(Area.DRILLS, "deviations", "", asks, _is(not left), found, left[0] if left else None)
    found = f"overdue: {', '.join(facts.findings_overdue)}" if facts.findings_overdue else "none is overdue"
    yield ReadinessLine(Area.DRILLS, "findings", "", "no finding is overdue", _is(not facts.findings_overdue), found)


def _rehearsed(each: RehearsedFacts) -> ReadinessLine:
    subject = f"{each.scenario} of {', '.join(each.resources)}"
    asks = "the newest rehearsal or recovery met every objective, with this stack file"
    if each.run is None:
        return ReadinessLine(Area.DRILLS, "proven", subject, asks, Readiness.UNKNOWN, "never measured")
    if not each.passed:
        found, state = "it failed, or not every objective is known to be met", Readiness.NOT_MET
    elif not each.of_this_stack_file:
        found, state = "it passed with another stack file than today's", Readiness.UNKNOWN
    else:
        found, state = "it passed", Readiness.MET
    return ReadinessLine(Area.DRILLS, "proven", subject, asks, state, found, each.run, each.at)


def _security(facts: ReadinessFacts) -> Iterator[ReadinessLine]:
    found = f"{facts.recipients} recipients" if facts.recipients != 1 else "one recipient"
    asks = "what is stored is sealed to two keys at least, one of them kept elsewhere"
    yield ReadinessLine(Area.SECURITY, "recipients", "", asks, _is(facts.recipients >= 2), found)
    named = "they are named in the stack file" if facts.signers_named else "only this host's own key is believed"
    yield ReadinessLine(Area.SECURITY, "signers", "", "believed signers are named", _is(facts.signers_named), named)
    asks = "the evidence is as it was signed"
    state = Readiness.UNKNOWN if not facts.chain_links else _is(not facts.chain_faults)
    found = f"{facts.chain_links} links, {facts.chain_faults} faults"
    yield ReadinessLine(Area.SECURITY, "evidence", "", asks, state, found, None, facts.now)
    asks = "a drill passed that was opened with the key from the safe"
    state = Readiness.UNKNOWN if facts.escrow_drill is None else Readiness.MET
    found = "never measured" if facts.escrow_drill is None else "it passed"
    yield ReadinessLine(Area.SECURITY, "escrow", "", asks, state, found, facts.escrow_drill, facts.escrow_drill_at)


def _not_built(area: Area, name: str, asks: str) -> Iterator[ReadinessLine]:
    yield ReadinessLine(area, name, "", asks, Readiness.NOT_BUILT, "this version does not do that")


def _is(met: bool) -> Readiness:
    return Readiness.MET if met else Readiness.NOT_MET
