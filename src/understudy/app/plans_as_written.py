"""Plans of earlier runs, as whichever version wrote them."""

from __future__ import annotations

from collections.abc import Iterator

from understudy.runner.plan_json import plan_outline
from understudy.vocabulary.json import JsonObject


def steps_as_written(plan: JsonObject) -> Iterator[JsonObject]:
    """The fields of each step, by whichever version: what an older one planned need not be a step of this one any more.

    Nothing of a plan whose form is not understood: what it proved is not known, and so keeps nothing.
    """
    try:
        outline = plan_outline(plan)
    except (ValueError, KeyError):
        return
    for each in outline:
        yield each.step
