"""Of the disaster recovery plan: what each scenario takes, step by step; how it is tested; how it is seen to be well, and "
"what to do
where it is not."""

from __future__ import annotations

from collections.abc import Iterator

from understudy.documents.disaster_plan import DisasterPlan, ProcedureStep, ProvenRun, ScenarioProcedure, ScheduledDrill
from understudy.documents.paper import Block, Chapter, Grid, Lines, Pairs, Points, Said, Text, Tone, Typed, Verbatim, pieces
from understudy.documents.step_words import step_words
from understudy.documents.words import duration, phase_name, words
from understudy.stack.resources import PostgresResource

_DRILLS_SHOWN = 20


def scenarios_chapter(plan: DisasterPlan) -> Chapter:
    return Chapter(
        "Scenarios and procedures",
        (
            Lines(
                "The steps are those of the plans that Understudy made for this document: with the code, from the "
                "repositories and on the "
                "host of the recovery. A drill runs the same steps in a sandbox."
            ),
            *(_procedure(plan, each) for each in plan.procedures),
        ),
    )


def _procedure(plan: DisasterPlan, each: ScenarioProcedure) -> Chapter:
    objective = getattr(plan.stack.objectives, each.scenario)
    return Chapter(
        _title(each),
        (
            Pairs(
                (
                    ("objective", f"back within {duration(objective.rto)}, at most {duration(objective.rpo)} of work lost"),
                    ("proven", _proven(plan, each)),
                )
            ),
            Typed((each.command,)),
            *_stands_against(each),
            *_steps(plan, each),
        ),
    )


def _title(each: ScenarioProcedure) -> str:
    return f"{words(each.scenario).capitalize()}: {', '.join(each.resources) or 'nothing'}"


def _proven(plan: DisasterPlan, each: ScenarioProcedure) -> Text:
    last = plan.last_of(each.scenario, each.resources)
    if last is None:
        rehearse: Text = ["; rehearse it: ", Verbatim(each.rehearsal)] if each.rehearsal is not None else "; it has no drill"
        return [Said("never measured", Tone.OPEN), *pieces(rehearse)]
    took = duration(last.recovery_time) if last.recovery_time is not None else "not measured"
    verdict = Said("objectives met", Tone.GOOD) if last.met else Said("objectives not met", Tone.BAD)
    return [f"{took}, ", verdict, f", in {last.procedure} ", Verbatim(last.run), " of ", last.ended]


def _stands_against(each: ScenarioProcedure) -> Iterator[Block]:
    error = each.stands_against
    if error is None:
        return
    yield Lines([Said("As things stand it would be refused: ", Tone.BAD), f"{error.code}: {error.found}."])
    if error.hint:
        yield Lines(f"What to do: {error.hint}.")
    if each.of_the_drill:
        yield Lines("Below are the steps of its drill.")


def _steps(plan: DisasterPlan, each: ScenarioProcedure) -> Iterator[Block]:
    if not each.steps:
        yield Lines(Said("It cannot be planned now, so it has no steps here.", Tone.BAD))
        return
    same = next(other for other in plan.procedures if other.steps == each.steps)
    if same is not each:
        yield Lines(f"Its steps are those of {_title(same)}, above.")
        return
    rows = tuple(_step_row(number, step) for number, step in enumerate(each.steps, start=1))
    yield Grid(("Step", "Phase", "What it does", "Took last"), rows, f"Steps of {words(each.scenario)}")
    for step in each.steps:
        if step.asks is not None:
            yield Lines(["Before ", Verbatim(step.key), " a person is asked: ", Said(step.asks, Tone.SOFT)])


def _step_row(number: int, step: ProcedureStep) -> tuple[Text, ...]:
    took: Text = Said("never measured", Tone.OPEN)
    if step.last is not None:
        took = [duration(step.last.took), " in ", Verbatim(step.last.run)]
    return [f"{number}. ", Verbatim(step.key)], phase_name(step.phase), step_words(step.key), took


def testing_chapter(plan: DisasterPlan) -> Chapter:
    drills = [each for each in plan.proven if each.procedure == "drill"]
    rehearsed = dict.fromkeys(each.rehearsal for each in plan.procedures if each.rehearsal is not None)
    return Chapter(
        "Testing protocol and calendar",
        (
            Points(
                (
                    "A drill carries out the same plan as the recovery, in a sandbox: own directories, ports and "
                    "credentials, no archiving. "
                    "It is passed once every check held, every objective is known to be met, and the sandbox is gone.",
                    "A drill that failed, or that misses an objective, becomes a finding with an owner, a date and a retest.",
                    "Every drill leaves evidence that is signed, failed ones included.",
                ),
                numbered=True,
            ),
            Grid(
                ("Drill", "Scenario", "What", "Every", "Passed last", "Next", "Standing"),
                tuple(_entry_row(each) for each in plan.calendar),
                "The calendar of the stack file, which serve keeps",
            )
            if plan.calendar
            else Lines([Said("No drill is declared in the stack file", Tone.OPEN), ": nobody holds one by itself."]),
            Lines("To rehearse everything in this plan:"),
            Typed(tuple(rehearsed)),
            Grid(
                ("Scenario", "What", "Last drill", "Result"),
                tuple(_calendar_row(plan, each) for each in plan.procedures if each.rehearsal is not None),
                "When each was rehearsed last",
            ),
            Lines(
                f"Drills that have ended, newest "
                f"first{f' (of {len(drills)} the last {_DRILLS_SHOWN})' if len(drills) > _DRILLS_SHOWN else ''}:"
            ),
            Grid(
                ("Run", "Scenario", "What", "Ended", "Result", "Recovery time"),
                tuple(_drill_row(each) for each in drills[:_DRILLS_SHOWN]),
                "Drills",
                ("Recovery time",),
            )
            if drills
            else Lines(Said("None yet.", Tone.BAD)),
        ),
    )


def _entry_row(each: ScheduledDrill) -> tuple[Text, ...]:
    standing: Text = Said("in time", Tone.GOOD)
    if each.overdue_since is not None:
        standing = [Said("overdue", Tone.BAD), " since ", each.overdue_since]
    last: Text = Said("never", Tone.OPEN) if each.passed is None else [Verbatim(each.passed), " of ", each.passed_at]
    what = ", ".join(each.resources) or "not named"
    return each.name, words(each.scenario), what, each.every, last, each.next or "not planned", standing


def _calendar_row(plan: DisasterPlan, each: ScenarioProcedure) -> tuple[Text, ...]:
    last = next(
        (
            run
            for run in plan.proven
            if run.procedure == "drill" and run.scenario == each.scenario and set(each.resources) <= set(run.resources)
        ),
        None,
    )
    if last is None:
        return words(each.scenario), ", ".join(each.resources), Said("never rehearsed", Tone.BAD), ""
    return words(each.scenario), ", ".join(each.resources), [Verbatim(last.run), " of ", last.ended], _result(last)


def _result(run: ProvenRun) -> Text:
    if not run.succeeded:
        return Said("failed", Tone.BAD)
    return Said("passed", Tone.GOOD) if run.met else Said("objectives not met", Tone.BAD)


def _drill_row(run: ProvenRun) -> tuple[Text, ...]:
    took = duration(run.recovery_time) if run.recovery_time is not None else "not recovered"
    return Verbatim(run.run), words(run.scenario), ", ".join(run.resources), run.ended, _result(run), took


def health_chapter(plan: DisasterPlan) -> Chapter:
    checks: list[tuple[Text, ...]] = []
    for name, settings in plan.stack.resources.items():
        if not isinstance(settings, PostgresResource):
            continue
        for check in settings.checks:
            bounds = {"at least": check.at_least, "at most": check.at_most, "exactly": check.equals}
            told = ", ".join(f"{word} {value}" for word, value in bounds.items() if value is not None)
            checks.append((name, Verbatim(check.sql), told))
    beats = [name for name, each in plan.stack.resources.items() if isinstance(each, PostgresResource) and each.heartbeat]
    return Chapter(
        "Health checks",
        (
            Lines("Every drill and every recovery of a database reads each row of it, and asks these of what came back:"),
            Grid(("Resource", "Question", "Must answer"), tuple(checks), "Checks of the stack file")
            if checks
            else Lines(
                Said(
                    "The stack file declares no checks: what came back is read, and nobody asks whether it is the right data.",
                    Tone.OPEN,
                )
            ),
            Lines(
                f"A heartbeat tells the loss in time for {', '.join(beats)}."
                if beats
                else "No heartbeat is declared: losses are told by the last commit that was replayed."
            ),
            Lines("By hand, at any time:"),
            Typed(
                (
                    "understudy status",
                    "understudy check",
                    "understudy verify --deep",
                    "understudy readiness",
                    "understudy evidence verify",
                )
            ),
        ),
    )


def troubleshooting_chapter(plan: DisasterPlan) -> Chapter:
    lately = tuple((Verbatim(each.code), each.found, each.hint or "none") for each in plan.met_lately)
    known = tuple((Verbatim(each.code), each.expected, each.hint) for each in plan.advice)
    return Chapter(
        "Troubleshooting",
        (
            Lines(["Every error has a code and says what to do. A run's errors: ", Verbatim("understudy show RUN"), "."]),
            Grid(("Error", "Found", "What to do"), lately, "What runs of this stack met lately")
            if lately
            else Lines("No run in the records has met an error."),
            Grid(("Error", "Expected", "What to do"), known, "What a recovery can meet, by the messages of this version"),
            Lines("An ellipsis stands for what the message then names."),
        ),
    )
