"""Findings: opened by a person, also from a run; closed with the run that tested it again, or with a reason."""

from __future__ import annotations

from datetime import UTC, date

from understudy.app.installation import Installation
from understudy.app.run_report import MEASURED
from understudy.judge.findings import FindingState, Retest, finding_state, why_no_retest
from understudy.records.findings import FindingRecord
from understudy.records.run import RunState
from understudy.stack.models import Scenario
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import Person, RunId


def add_finding(
    installation: Installation, text: str, owner: str, due: date, by: Person, run: RunId | None, scenario: Scenario | None
) -> FindingRecord:
    """``scenario``: what must be tested again; else that of the run.

    Raises:
        Refusal: ``run_unknown``; ``finding_malformed``; ``signer_not_named``.
    """
    for name, value in (("the text", text), ("the owner", owner)):
        if not value.strip():
            raise _malformed(f"{name} is empty", "a sentence, and somebody who sees to it")
    about = scenario.value if scenario is not None else ""
    if run is not None and not about:
        record = installation.records.run(run)
        about = record.subject if record.procedure in MEASURED else ""
    elif run is not None:
        installation.records.run(run)
    installation.require_believed_signer(own_key_will_do=True)
    return installation.records.findings.open(text.strip(), owner.strip(), due, by, run, about)


def close_finding(installation: Installation, finding: str, by: Person, retest: RunId | None, reason: str) -> FindingRecord:
    """
    Raises:
        Refusal: ``finding_unknown``, ``finding_closed``, ``run_unknown``; ``retest_not_passed``: the run does not show that it is
            mended; ``finding_malformed``: neither a run nor a reason; ``signer_not_named``.
    """
    found = installation.records.findings.of(finding)
    if retest is None and not reason.strip():
        raise _malformed("neither a retest nor a reason", "the run that tested it again, or a reason")
    if retest is not None:
        why = why_no_retest(found, _retest_of(installation, retest))
        if why is not None:
            raise Refusal(
                "retest_not_passed",
                found=f"{retest} is no retest of {finding}: {why}",
                expected="a drill or a recovery of the same scenario that began later, succeeded, and met every objective",
                hint=f"rehearse it: understudy drill {found.scenario or 'SCENARIO'}; or say why not: --reason",
            )
    installation.require_believed_signer(own_key_will_do=True)
    return installation.records.findings.close(finding, by, retest, reason.strip())


def _retest_of(installation: Installation, run: RunId) -> Retest:
    record = installation.records.run(run)
    end = installation.records.history.end_of(run)
    met = None if end is None else end[0].get("met")
    return Retest(
        scenario=record.subject,
        measured=record.procedure in MEASURED,
        submitted=record.submitted,
        succeeded=record.state is RunState.SUCCEEDED,
        met=met if isinstance(met, bool) else None,
    )


def open_findings(installation: Installation) -> tuple[FindingRecord, ...]:
    return tuple(each for each in installation.records.findings.all() if each.closing is None)


def states_of(installation: Installation, findings: tuple[FindingRecord, ...]) -> tuple[FindingState, ...]:
    today = installation.clock.now().astimezone(UTC).date()
    return tuple(finding_state(each, today) for each in findings)


def overdue(installation: Installation, findings: tuple[FindingRecord, ...]) -> tuple[str, ...]:
    """The names of those whose day has passed."""
    states = zip(findings, states_of(installation, findings), strict=True)
    return tuple(each.finding for each, state in states if state is FindingState.OVERDUE)


def _malformed(found: str, expected: str) -> Refusal:
    return Refusal("finding_malformed", found=found, expected=expected, hint="see: understudy findings --help")
