"""What serves, and keeps no state of its own: stopped, started and checked by commands of the operator's."""

from __future__ import annotations

from pydantic import Field

from understudy.stack.fields import Name
from understudy.stack.operator_commands import ActingCommand, CheckCommand
from understudy.stack.order import PRIORITY, Names, Priority
from understudy.stack.stack_part import StackPart


class ServiceDrill(StackPart):
    """How a drill starts a service beside the real one. What it needs to know it is told by environment: UNDERSTUDY_DRILL=1,
    UNDERSTUDY_SANDBOX (a directory of its own), UNDERSTUDY_PORT (a free port), UNDERSTUDY_PORT_<SERVICE> of the services that it
    depends on, and UNDERSTUDY_COPY_<RESOURCE> (where the drill brought up a copy of what it depends on).
    """

    title = "Drills of services"

    start: ActingCommand = Field(
        description="Starts it on the copies, in the sandbox, on a port of its own. It must be another command than the real "
        "start."
    )
    check: CheckCommand = Field(description="Whether what was started there serves.")
    stop: ActingCommand | None = Field(
        default=None,
        description="Stops it; what still runs then fails the drill. Default: none, and Understudy ends whatever was started.",
    )


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
    drill: ServiceDrill | None = Field(
        default=None, description="How a drill starts it. Default: none, and it cannot be drilled."
    )
    tier: Name = Field(default="standard", description="The tier whose objectives hold for it.")
    priority: Priority = PRIORITY
    depends_on: Names = Field(
        default=(),
        description="Names of resources and of other services that must serve before this one is started. It is stopped before "
        "them. Where one of them cannot be brought back, this one is left stopped.",
    )
