"""The disaster recovery plan, whole: what it begins with, and its chapters in their order."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from understudy.documents.disaster_plan import DisasterPlan, PlannedResource, ProvenRun
from understudy.documents.paper import Block, Chapter, Grid, Lines, Pairs, Paper, Points, Said, Text, Tone, Verbatim, Verdict
from understudy.documents.plan_people import (
    after_recovery_chapter,
    communication_chapter,
    roles_chapter,
)
from understudy.documents.plan_procedures import health_chapter, scenarios_chapter, testing_chapter, troubleshooting_chapter
from understudy.documents.plan_strategy import (
    automation_chapter,
    backup_chapter,
    dependencies_chapter,
    locations_chapter,
    monitoring_chapter,
)
from understudy.documents.words import duration, words
from understudy.stack.units import format_duration

KIND = "Disaster recovery plan"
NEVER = Said("never measured", Tone.OPEN)


def plan_paper(plan: DisasterPlan) -> Paper:
    return Paper(
        kind=KIND,
        title=f"{KIND}: {plan.stack.stack}",
        about=tuple(_about(plan)),
        chapters=(
            _summary(plan),
            _services(plan),
            backup_chapter(plan),
            scenarios_chapter(plan),
            testing_chapter(plan),
            automation_chapter(plan),
            monitoring_chapter(plan),
            roles_chapter(plan),
            communication_chapter(plan),
            locations_chapter(plan),
            dependencies_chapter(plan),
            health_chapter(plan),
            troubleshooting_chapter(plan),
            after_recovery_chapter(plan),
        ),
        made=plan.made,
        made_by_version=plan.made_by_version,
        subject=plan.stack.stack,
        with_contents=True,
    )


def _about(plan: DisasterPlan) -> Iterator[Block]:
    yield _verdict(plan)
    yield Pairs(
        (
            ("stack", plan.stack.stack),
            ("made", plan.made),
            ("from the stack file", [Verbatim(plan.stack_file), ", SHA-256 ", Verbatim(plan.digest)]),
            ("by Understudy", plan.made_by_version),
        )
    )
    yield Lines(
        "This plan is generated: from the stack file, from the plans that Understudy would carry out now, and from the "
        "evidence of "
        "runs. Every figure names the run that it was measured in; what nobody has measured says so. Make it anew after each "
        "change of the stack file and after each drill, and keep a copy where this host's loss does not reach it."
    )


def _verdict(plan: DisasterPlan) -> Verdict:
    scenarios = [each for each in plan.procedures if each.steps]
    proven = [each for each in scenarios if (last := plan.last_of(each.scenario, each.resources)) is not None and last.met]
    said = f"{len(proven)} of {len(plan.procedures)} procedures are proven: carried out, with every objective met."
    if proven and len(proven) == len(plan.procedures):
        return Verdict(said, Tone.GOOD)
    return Verdict(said, Tone.OPEN if proven else Tone.BAD)


def _summary(plan: DisasterPlan) -> Chapter:
    rows = tuple(_objective_row(plan, each.scenario, each.resources) for each in plan.procedures)
    named = dict.fromkeys(each.scenario for each in plan.procedures)
    return Chapter(
        "Summary and objectives",
        (
            Lines(
                "RTO is how long a recovery may take, from the disruption to the first write that was read back. RPO is how "
                "much of "
                "the newest work it may lose, as time."
            ),
            Grid(
                ("Scenario", "What", "RTO", "RPO", "Measured", "Proven by"),
                rows,
                "Objectives by scenario, and what was measured last",
                ("RTO", "RPO"),
            ),
            Chapter(
                "When this plan is started",
                (
                    Lines("Whoever has the role declares starts it. These are the scenarios, and what each means:"),
                    Points(tuple([Verbatim(each), ": ", scenario_meaning(plan, each)] for each in named)),
                    Lines(
                        "When in doubt, start it: a recovery asks a person before it touches anything, and refuses what it "
                        "can't do."
                    ),
                ),
            ),
        ),
    )


def scenario_meaning(plan: DisasterPlan, scenario: str) -> str:
    """As the stack file's manual says it."""
    info = type(plan.stack.objectives).model_fields.get(scenario)
    return (info.description or words(scenario)) if info is not None else words(scenario)


def _objective_row(plan: DisasterPlan, scenario: str, resources: tuple[str, ...]) -> tuple[Text, ...]:
    objective = getattr(plan.stack.objectives, scenario)
    last = plan.last_of(scenario, resources)
    return (
        words(scenario),
        ", ".join(resources) or "nothing",
        duration(objective.rto),
        duration(objective.rpo),
        NEVER if last is None else _measured(last),
        "no run" if last is None else proof_of(plan, last),
    )


def _measured(last: ProvenRun) -> Text:
    if last.recovery_time is None:
        return "not measured"
    lost = [f"{name} {duration(loss) if loss is not None else 'not known'}" for name, loss in last.losses.items()]
    verdict = Said("objectives met", Tone.GOOD) if last.met else Said("objectives not met", Tone.BAD)
    return [f"{duration(last.recovery_time)}; ", f"work lost at most: {', '.join(lost)}; " if lost else "", verdict]


def proof_of(plan: DisasterPlan, last: ProvenRun) -> Text:
    """The run, what it was and when; and whether the stack file was another one then, which makes it a proof of that one."""
    changed = Said("; the stack file was changed since", Tone.OPEN) if last.stack_digest != plan.digest else None
    return [f"{last.procedure} ", Verbatim(last.run), " of ", last.ended, changed]


def _services(plan: DisasterPlan) -> Chapter:
    return Chapter(
        "Critical services, in the order of recovery",
        (
            Lines("Where everything is lost, these come back in this order. Those of one turn come back at the same time."),
            Grid(
                ("Resource", "Turn", "Kind", "Priority", "Needs first", "Tier: RTO, RPO", "Measured"),
                tuple(_service_row(plan, each) for each in plan.parts),
                "What is protected, in its turns",
                ("Turn",),
            ),
            *_by_hand(plan),
        ),
    )


def _service_row(plan: DisasterPlan, each: PlannedResource) -> tuple[Text, ...]:
    last = plan.last_time_of(each.name)
    measured: Text = NEVER if last is None else _back_after(*last)
    return (
        each.name,
        str(each.turn),
        each.kind,
        each.priority,
        ", ".join(each.depends_on) or "nothing",
        f"{each.tier}: {format_duration(each.rto)}, {format_duration(each.rpo)}",
        measured,
    )


def _back_after(run: ProvenRun, took: timedelta) -> Text:
    return [f"{duration(took)} in {run.procedure} ", Verbatim(run.run)]


def _by_hand(plan: DisasterPlan) -> Iterator[Block]:
    left = [each.name for each in plan.resources if each.by_hand]
    if left:
        yield Lines(
            [
                Said("Brought back by hand: ", Tone.OPEN),
                f"{', '.join(left)}: the stack file does not say how a recovery would put them back. Use ",
                Verbatim("understudy restore NAME --to DIRECTORY"),
                ".",
            ]
        )
