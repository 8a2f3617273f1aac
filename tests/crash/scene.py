"""What is played, and how its points are counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from understudy.plan.plan import Plan
from understudy.records.chain import EvidenceSigner
from understudy.runner.step_execution import WorldFor
from understudy.vocabulary.identifiers import Person

CALLS_COUNTED = 2


@dataclass(frozen=True, slots=True)
class Scene:
    plan: Callable[[Path], Plan]
    """The plan to submit; called in the first process only."""
    world_for: Callable[[Path], WorldFor]
    signer: Callable[[Path], EvidenceSigner | None] = lambda directory: None
    approved_by: Person | None = None
    """Who agrees beforehand to what the plan asks."""
    caps: Mapping[str, int] = field(default_factory=dict)
    """How many calls in one execution of a step are points, by pattern of ``port.method``: ``{"instances.*.facts": 1}``."""
    reads: tuple[str, ...] = ()
    """Patterns of ``port.method`` that look at something in a moment and change nothing. To be killed right before or after one
    is to be killed after the effect before it, or before the one that follows, which are points; so these are none. What is
    read in pieces still has a point at each."""
    points: tuple[str, ...] = ("*",)
    """Patterns of labels: only what fits one is a point. For a scene whose other points another scene visits."""
