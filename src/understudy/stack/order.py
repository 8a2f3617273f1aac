"""What comes back first when several things are lost at once: the keys that every kind of resource has."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from understudy.stack.expectation import Expectation
from understudy.stack.fields import Name

PRIORITIES = ("P1", "P2", "P3")
"""The most urgent first."""

Priority = Annotated[Literal["P1", "P2", "P3"], Expectation("P1, P2 or P3", "P1, P2 or P3")]
Names = tuple[Name, ...]

PRIORITY: Priority = Field(
    default="P2",
    description="How urgent it is where several resources are recovered together: what is P2 is begun once everything that is P1 "
    "serves again, or has failed. What a more urgent one depends on is as urgent as that.",
)
DEPENDS_ON: Names = Field(
    default=(),
    description="Names of resources that must serve before this one is recovered. Where one of them cannot be brought back, this "
    "one is left out.",
)
