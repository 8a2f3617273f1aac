"""What serves, and keeps no state of its own: stopped, started and checked by commands of the operator's."""

from __future__ import annotations

from pydantic import Field

from understudy.stack.fields import Name
from understudy.stack.operator_commands import ActingCommand, CheckCommand
from understudy.stack.order import PRIORITY, Names, Priority
from understudy.stack.stack_part import StackPart


class Service(StackPart):
    """An application: how it is stopped, started and checked. What it keeps is a resource, on which it depends."""

    title = "Services"

    start: ActingCommand = Field(
        description="Starts it, or deploys it. It ends once it has done so: what is to go on is handed to a service manager, "
        "or put "
        "into the background with its output sent elsewhere."
    )
    check: CheckCommand = Field(description="Whether it serves. A recovery has succeeded only where this ends with 0.")
    stop: ActingCommand | None = Field(
        default=None,
        description="Stops it, and ends with 0 also where nothing runs. Before what it depends on is replaced, so that nothing "
        "is "
        "written meanwhile. Default: none; it is then taken to be stopped.",
    )
    tier: Name = Field(default="standard", description="The tier whose objectives hold for it.")
    priority: Priority = PRIORITY
    depends_on: Names = Field(
        default=(),
        description="Names of resources and of other services that must serve before this one is started. It is stopped before "
        "them. Where one of them cannot be brought back, this one is left stopped.",
    )
