"""What is done beside the recovery itself where somebody was in the system."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from understudy.stack.fields import Name
from understudy.stack.operator_commands import ActingCommand
from understudy.stack.stack_part import StackPart


class IntrusionSettings(StackPart):
    """What is done beside the recovery itself where somebody was in the system."""

    title = "After an intrusion"

    rotate: Mapping[Name, ActingCommand] = Field(
        default_factory=dict,
        description="Commands that replace what the intruder may know, by name: passwords, keys, tokens. They run one after "
        "another, in this order, once every resource of a real recovery is back, and before services are started. No name is "
        "that of a resource or a service. A drill runs none.",
    )
