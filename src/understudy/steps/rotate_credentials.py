"""Replace what an intruder may know, by a command of the operator's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from understudy.steps.codec import step_kind
from understudy.steps.run_operator_command import RunOperatorCommand
from understudy.vocabulary.phases import Phase


@step_kind("rotate_credentials")
@dataclass(frozen=True, slots=True)
class RotateCredentials(RunOperatorCommand):
    """Of the whole recovery, not of one resource: what is named is the rotation."""

    VERB: ClassVar = "rotate"
    PHASE: ClassVar = Phase.PROTECT
