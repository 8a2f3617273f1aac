"""What ``understudy check`` finds of directories and buckets. Pure: facts in, findings out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from understudy.judge.preflight import Finding, Grade
from understudy.stack.units import format_duration
from understudy.vocabulary.sizes import readable_size


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """What was seen of a directory or a bucket, from its beginning."""

    url: str
    entries: int
    """Below a directory; the directory itself is there also where its disk is not."""
    size_bytes: int
    is_all: bool
    """Whether there is no more than was looked at."""
    tried: int
    """Contents that were opened."""
    passed_over: tuple[str, ...]
    """What cannot be kept, each with the reason."""


def judge_source(subject: str, facts: SourceFacts) -> Iterator[Finding]:
    amount = f"{facts.entries} entries, {readable_size(facts.size_bytes)}"
    if not facts.is_all:
        amount = f"more than {amount}"
    if facts.entries == 0:
        expected = "something that is worth keeping"
        yield Finding(
            subject, "source", Grade.WARNING, f"{facts.url} is empty", expected,
            "if there should be something, mount its disk, or correct the address in the stack file",
        )  # fmt: skip
    else:
        yield Finding(subject, "source", Grade.OK, f"{facts.url}: {amount}; {facts.tried} contents were opened to try")
    if facts.passed_over:
        more = f", and {len(facts.passed_over) - 1} more" if len(facts.passed_over) > 1 else ""
        yield Finding(
            subject, "passed_over", Grade.WARNING, f"not kept: {facts.passed_over[0]}{more}", "only what has content, and links",
            f"nothing, where whoever uses them makes them anew; or name them in exclude of the {subject}",
        )  # fmt: skip


def judge_state_within(subject: str, path: str, state: str) -> Finding:
    """What every run writes would change while it is read, and be stored with each snapshot."""
    return Finding(
        subject, "state_within", Grade.WARNING, f"{path} holds the state directory {state}", "the two apart from one another",
        f"leave it out: exclude: [/{state.removeprefix(path).strip('/')}/]",
    )  # fmt: skip


def judge_schedule(subject: str, rpo: timedelta, longest_gap: timedelta | None) -> Finding:
    """``longest_gap``: between two snapshots as scheduled; None where nothing is scheduled. What was changed since the last
    snapshot is what a loss costs.
    """
    wanted = f"at most {format_duration(rpo)}, the tier's rpo"
    if longest_gap is None:
        return Finding(
            subject, "schedule", Grade.WARNING, "no snapshots are scheduled", f"{wanted}, between two snapshots",
            'backup: {schedule: "*/15 * * * *"}, and understudy serve',
        )  # fmt: skip
    found = f"up to {format_duration(longest_gap)} between two snapshots"
    if longest_gap <= rpo:
        return Finding(subject, "schedule", Grade.OK, found)
    return Finding(
        subject, "schedule", Grade.WARNING, found, wanted,
        "schedule them more often, or choose another tier",
    )  # fmt: skip
