"""Who does what in a disaster, and how they are reached: what the disaster recovery plan prints."""

from __future__ import annotations

from pydantic import Field

from understudy.stack.fields import Line, Name
from understudy.stack.stack_part import StackPart

ROLES = {
    "declares": "declares the disaster, and so starts this plan",
    "leads": "leads while it lasts: decides, keeps the log, says when it is over",
    "recovers": "types the commands of this plan",
    "approves": "agrees to what a recovery asks before it touches anything",
    "communicates": "tells users, customers and the management",
    "keeps_kit": "keeps the recovery kit, with which everything can be opened on a bare machine",
}
"""What somebody must do in every recovery. A stack file may name further roles."""


class Contact(StackPart):
    """Somebody who is needed in a disaster. It is printed in the disaster recovery plan, and used for nothing else."""

    title = "Contacts"

    who: Line = Field(description="A person, a team or a company.")
    reach: tuple[Line, ...] = Field(min_length=1, description="How they are reached, the surest way first.")
    roles: tuple[Name, ...] = Field(
        min_length=1,
        description="What they do: declares, leads, recovers, approves, communicates, keeps_kit; or a role of your own. The "
        "first "
        "of several in a role is the one to ask, the others stand in.",
    )
