"""What the evidence of a run says of it as a whole: what was measured and checked, and on which server."""

from __future__ import annotations

from dataclasses import replace

from understudy.app.installation import Installation
from understudy.app.measuring import measure, plan_of
from understudy.app.run_view import RunView, view_of
from understudy.judge.run_measurement import VALIDATING
from understudy.plan.plan import Plan, Procedure
from understudy.records.run import RunState
from understudy.vocabulary.errors import UnderstudyError
from understudy.vocabulary.identifiers import RunId
from understudy.vocabulary.json import Json, JsonObject
from understudy.vocabulary.json_form import to_json

MEASURED = frozenset({Procedure.DRILL, Procedure.RECOVERY})


def report_of(installation: Installation, run: RunId, state: RunState) -> JsonObject:
    """Of a run all of whose steps have ended, and which is about to end as ``state``; so that it is chained with that end.

    What cannot be told is null, with the reason in ``not_measured``: a run whose work is done ends all the same.
    """
    view = view_of(installation, run)
    view = replace(view, run=replace(view.run, state=state))
    measured, met, checked, why = None, None, None, ""
    try:
        checked = _checked(view, plan_of(installation, view))
        if view.run.procedure in MEASURED:
            judged = measure(installation, view)
            measured, met = to_json(judged), judged.met
    except UnderstudyError as error:  # another version planned it, or the stack file names its resource no more
        why = f"{error.code}: {error.found}"
    except (ValueError, LookupError) as error:  # another version left evidence of another form
        why = f"{type(error).__name__}: {error}"
    return {
        "measured": measured,
        "met": met,
        "not_measured": why,
        "checked": checked,
        "server_version": server_version(view),
    }


def _checked(view: RunView, plan: Plan) -> list[Json]:
    """The steps that looked at what came back, each with what it claims; how it knows stands in its own evidence."""
    phases = {each.step.key: each.step.PHASE for each in plan.steps}
    return [
        {"step": step.key, "claim": step.evidence.claim, "outcome": step.evidence.outcome.value}
        for step in view.steps
        if step.evidence is not None and phases[step.key] in VALIDATING
    ]


def server_version(view: RunView) -> Json:
    """Of the server that came back, by its own word; null where none did, or where nobody got as far as to ask it."""
    proofs = (step.evidence.proof for step in view.steps if step.evidence is not None and step.key.endswith("/verify-database"))
    return next((proof.get("server_version") for proof in proofs), None)
