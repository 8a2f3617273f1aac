"""What all models of the stack file have in common."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class StackPart(BaseModel):
    """Frozen, and no key that it doesn't name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: ClassVar[str]
    """The heading in the manual."""
