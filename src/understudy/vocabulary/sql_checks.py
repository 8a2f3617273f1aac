"""The operator's questions to data that came back, and whether an answer will do. Pure.

A check is a mapping with ``sql``, ``name``, ``database`` and bounds, each as text: ``equals`` alone, or ``at_least``, ``at_most``
or both; all must hold.
"""

from __future__ import annotations

from collections.abc import Mapping

from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.json import JsonObject

_BOUNDS = ("at_least", "at_most", "equals")


def judged_answer(check: Mapping[str, str], answer: str | None) -> JsonObject:
    """For the evidence.

    Raises:
        GiveUp: ``check_failed``.
    """
    name = check.get("name", "")
    if not _holds(answer, check):
        raise GiveUp(
            "check_failed",
            found=f"{f'{name}: ' if name else ''}{check['sql']!r} answered {answer!r}",
            expected=" and ".join(f"{bound.replace('_', ' ')} {check[bound]}" for bound in _BOUNDS if bound in check),
            hint="the restored data break a rule of the stack file: recover to an earlier moment, or correct the check",
        )
    named: JsonObject = {"name": name} if name else {}
    return {**named, "sql": check["sql"], "answer": answer}


def _holds(answer: str | None, check: Mapping[str, str]) -> bool:
    if answer is None:
        return False
    if "equals" in check:
        return answer == check["equals"]
    try:
        number = float(answer)
    except ValueError:
        return False
    return number >= float(check.get("at_least", "-inf")) and number <= float(check.get("at_most", "inf"))
