"""Looking for the old server before a person is asked about it, and once more before they are asked again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from understudy.adapters.places import LocalPlaces
from understudy.adapters.postgres.wal_remains import DataDirectoryRemains
from understudy.app.holdings import Holdings
from understudy.app.installation import Installation
from understudy.app.landing import address_to_move
from understudy.plan.fencing import OldServerFacts, question
from understudy.plan.plan import Approval, Plan, PlannedStep
from understudy.ports.instance import InstancePlace
from understudy.records.run import RunState
from understudy.runner.plan_json import plan_from_json, plan_to_json
from understudy.steps.fence_old_server import FenceOldServer
from understudy.steps.old_server import AT_THE_ADDRESS, ask_old_servers, may_be_the_one
from understudy.steps.old_server_wal import held_wal
from understudy.steps.provision_target import ProvisionTarget
from understudy.steps.replay_wal import ReplayWal
from understudy.vocabulary.errors import UnderstudyError
from understudy.vocabulary.identifiers import ResourceName, RunId
from understudy.vocabulary.recovery_target import RecoveryTarget, TargetKind
from understudy.vocabulary.wal import Timeline

_log = logging.getLogger(__name__)

Looking = Callable[[str], AbstractContextManager[None]]
"""Called with what is looked at, and entered meanwhile: addresses that nobody answers at cost time-outs."""


def unseen(_: str) -> AbstractContextManager[None]:
    return nullcontext()


def look_for_old_server(
    installation: Installation, name: ResourceName, place: InstancePlace, system_identifier: str, looking: Looking = unseen
) -> OldServerFacts:
    """What runs in the recovery directory, and who answers at the addresses. Nothing is touched."""
    instances, directory = installation.instances[name], LocalPlaces().facts(place.directory)
    serving, declared = installation.databases[name], installation.declared[name]
    with looking(f"looking whether the old server of {name} still answers"):
        runs_here = directory.exists and instances.facts(place).running
        answers = ask_old_servers(serving, declared, system_identifier)
        if runs_here:
            asked = {answer: serving if answer.where == AT_THE_ADDRESS else declared for answer in answers}
            answers = tuple(answer for answer in answers if not may_be_the_one(asked[answer], instances, place))
    return OldServerFacts(runs_here, holds_something=directory.exists and not directory.empty, answers=answers)


def with_old_timeline(directory: str, held: Holdings) -> tuple[Timeline | None, Holdings]:
    """The timeline on which the old server's WAL goes on from what is held, where nobody received anything of it; its history is
    among what is held then. None where there is no such timeline, or nothing to be seen."""
    backup, newest = held.backups[0], max(held.wal.timelines(), default=None)
    if newest is None:
        return None, held
    try:
        found = DataDirectoryRemains().continuation(directory, backup.system_identifier, held_wal(held.wal), newest)
    except UnderstudyError:
        return None, held
    if found is None:
        return None, held
    timeline, forks = found
    return timeline, replace(held, histories={**held.histories, timeline: forks})


def ask_anew(installation: Installation, run: RunId, looking: Looking = unseen) -> None:
    """Word the question of an interrupted run by what is there now, where it waits for a person and nothing was begun.

    Raises:
        Refusal: ``address_taken``, ``old_server_not_fenced``: as before a person is asked for the first time.
    """
    if installation.records.run(run).state is not RunState.INTERRUPTED:
        return
    first = installation.records.steps(run)[0]
    if first.approval_question is None or first.approval is not None or first.attempts:
        return
    try:
        plan = plan_from_json(installation.records.plan(run))
    except (ValueError, KeyError, TypeError):
        return  # told by the runner
    fence = plan.steps[0].step
    if isinstance(fence, FenceOldServer):
        name = ResourceName(fence.resource)
        seen = look_for_old_server(installation, name, fence.place, fence.system_identifier, looking)
        asked = _asking(installation, plan, fence, seen)
        installation.records.ask_anew(run, plan_to_json(asked), fence.key, _question_of(asked))


def ask_anew_or_warn(installation: Installation, run: RunId) -> None:
    """For the control plane, which resumes everything: what is in the way, the fence says when somebody has agreed."""
    try:
        ask_anew(installation, run)
    except UnderstudyError as error:
        _log.warning("%s asks what it asked before: %s", run, error)


def _asking(installation: Installation, plan: Plan, fence: FenceOldServer, seen: OldServerFacts) -> Plan:
    replay = next(each.step for each in plan.steps if isinstance(each.step, ReplayWal))
    provision = next(each.step for each in plan.steps if isinstance(each.step, ProvisionTarget))
    target = RecoveryTarget(TargetKind(replay.target_kind), replay.target_value)
    to_move = address_to_move(installation.postgres(fence.resource))
    asked = question(fence, target, seen, to_move, set_aside=provision.set_aside)
    first = PlannedStep(replace(fence, agreed_to_stop=seen.runs_here), approval=Approval(asked))
    return replace(plan, steps=(first, *plan.steps[1:]))


def _question_of(plan: Plan) -> str:
    approval = plan.steps[0].approval
    return "" if approval is None else approval.question
