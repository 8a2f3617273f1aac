"""What a page about a run is made of: values that were recorded and measured, gathered by ``app``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from understudy.judge.measured import MeasuredRecovery, MeasuredStack
from understudy.records.findings import FindingRecord
from understudy.records.run import RecordedError, RunRecord, RunState, StepRecord
from understudy.vocabulary.identifiers import StepKey
from understudy.vocabulary.phases import Phase


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """One run of a request, with its steps in the order of the plan."""

    run: RunRecord
    steps: tuple[StepRecord, ...]
    phases: Mapping[StepKey, Phase]
    """Of each step; of none where this version cannot read the plan."""
    read_from: Mapping[StepKey, str]
    """The repository that a step restores from, by the plan."""


@dataclass(frozen=True, slots=True)
class ChainPlace:
    """Where the run stands in the chain of evidence, and what came of looking whether it is as it was signed."""

    controller: str | None
    first: int | None
    """Number of the first link of the run; None where nothing of it was chained."""
    last: int | None
    last_digest: str | None
    """Of the link that says how the run ended; of a run that has not ended, of its newest link."""
    head_count: int | None
    head_digest: str | None
    head_at: datetime | None
    signer: str | None
    """Ed25519 public key in base64; None where the head bears no signature."""
    findings: tuple[str, ...]
    """What is not as it was signed, by the keys that the stack file trusts; empty where all is."""
    unproven: tuple[str, ...] = ()
    """Why nothing proves or disproves how the run ended."""


@dataclass(frozen=True, slots=True)
class ReportedRun:
    stack: str
    recorded: RecordedRun
    before: tuple[RecordedRun, ...]
    """The runs of the same request before it, oldest first."""
    not_followed: RecordedError | None
    """Why no further run of the request could be planned, where one was called for."""
    measured: MeasuredRecovery | MeasuredStack | None
    """Of a drill and a recovery: as it was signed when the run ended; while it is under way, as it stands."""
    not_measured: str
    """Why ``measured`` is None although the run is a drill or a recovery."""
    understudy_version: str | None
    """Of the program that ended the run; None while it is under way."""
    server_version: str | None
    chain: ChainPlace
    evidence_file: str | None
    """Where the evidence of the run lies; None while it is under way."""
    verify: str
    """The command that verifies it here."""
    made: datetime
    made_by_version: str
    findings: tuple[FindingRecord, ...] = ()
    """What was found wanting in it, and in the runs of the same request before it."""
    overdue: tuple[FindingRecord, ...] = ()
    """Findings of whichever run whose day had passed when the page was made."""

    @property
    def touched_nothing(self) -> bool:
        """As of a run that was refused or called off before its first step."""
        first = self.recorded.steps[0] if self.recorded.steps else None
        state = self.recorded.run.state
        if first is None or self.before:
            return False
        refused = first.error is not None and first.error.refused
        return (state is RunState.CANCELLED and first.attempts == 0) or (state is RunState.FAILED and refused)

    @property
    def all_runs(self) -> tuple[RecordedRun, ...]:
        return (*self.before, self.recorded)

    @property
    def began(self) -> datetime:
        """Of the first run of the request."""
        return self.all_runs[0].run.submitted
