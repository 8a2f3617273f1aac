"""Stop a service by the operator's command, before what it depends on is touched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from understudy.steps.codec import step_kind
from understudy.steps.run_operator_command import RunOperatorCommand
from understudy.vocabulary.phases import Phase


@step_kind("stop_service")
@dataclass(frozen=True, slots=True)
class StopService(RunOperatorCommand):
    VERB: ClassVar = "stop"
    PHASE: ClassVar = Phase.FENCE
