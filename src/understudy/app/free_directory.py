"""Whether a directory may be restored into; and if another run is at work in it, or was, how to go on with that one or end it."""

from __future__ import annotations

from pathlib import Path

from understudy.adapters.places import LocalPlaces
from understudy.app.installation import Installation
from understudy.records.run import RunRecord, RunState
from understudy.vocabulary.errors import Refusal, UnderstudyError
from understudy.vocabulary.identifiers import RunId

_ELSEWHERE = "choose another directory, or move away what is there; Understudy never overwrites it"


def require_free_directory(installation: Installation, directory: Path) -> None:
    """Said before a run begins; provisioning looks again when it claims the directory.

    Raises:
        Refusal: ``target_not_empty``.
    """
    facts = LocalPlaces().facts(str(directory.absolute()))
    if facts.claimed_by is not None:
        raise _claimed(installation, directory, facts.claimed_by)
    if facts.exists and not facts.empty:
        raise _not_empty(f"{directory} holds files", _ELSEWHERE)


def _claimed(installation: Installation, directory: Path, by: RunId) -> Refusal:
    run = _known_run(installation, by)
    if run is None:
        found = f"{directory} bears the marker of run {by or '(unreadable)'}, which is not among the runs of this state directory"
        return _not_empty(found, f"look for it with the --state or the stack file that it was begun with; or {_ELSEWHERE}")
    found = f"{directory} is where run {run.run} ({run.procedure} {run.subject}, {run.state.value}) restores into"
    if run.state is RunState.INTERRUPTED:
        ways_out = f"go on with it: understudy resume {run.run}; or end it, which removes what it made there: "
        return _not_empty(found, f"{ways_out}understudy cancel {run.run}")
    if run.state.is_final:
        return _not_empty(found, f"that run left it so when it ended (understudy show {run.run}); {_ELSEWHERE}")
    return _not_empty(found, f"wait for it: understudy show {run.run}; or end it: understudy cancel {run.run}")


def _known_run(installation: Installation, by: RunId) -> RunRecord | None:
    try:
        return installation.past.run(by)
    except UnderstudyError:
        return None


def _not_empty(found: str, hint: str) -> Refusal:
    return Refusal("target_not_empty", found=found, expected="an empty directory, or one to be made", hint=hint)
