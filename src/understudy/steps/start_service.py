"""Start a service, or deploy it, by the operator's command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from understudy.steps.codec import step_kind
from understudy.steps.run_operator_command import RunOperatorCommand
from understudy.vocabulary.phases import Phase


@step_kind("start_service")
@dataclass(frozen=True, slots=True)
class StartService(RunOperatorCommand):
    VERB: ClassVar = "start"
    PHASE: ClassVar = Phase.DEPLOY
