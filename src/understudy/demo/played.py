"""What a play came to; each figure is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import cast

from understudy.demo.ledger import Compared, Loss
from understudy.demo.stack_file import PRICES
from understudy.vocabulary.json import JsonObject

_NONE = Compared(0, 0, Loss(0, timedelta()))


@dataclass(slots=True)
class Played:
    """What a play came to; each figure is measured."""

    synchronous: bool
    commits: Compared = _NONE
    """Of the first act."""
    processes_killed: int = 0
    exposure_seconds: list[float] = field(default_factory=list)
    recovery: JsonObject = field(default_factory=dict)
    point_in_time: JsonObject = field(default_factory=dict)
    prices_back: int = 0
    """In the sandbox."""
    prices_live: int = 0
    """In the database, at the end of the second act."""
    adopted_seconds: float = 0.0
    """How long ``adopt`` took."""
    everything: JsonObject = field(default_factory=dict)
    """The recovery of the third act."""
    compared: Mapping[str, Compared] = field(default_factory=dict)
    """After it: rows, files, objects."""
    signers: list[str] = field(default_factory=list)
    """Of the evidence of the first act, and of the third: another host's."""
    pages: list[str] = field(default_factory=list)
    """The report of each act to read, an HTML file."""

    @property
    def commits_met(self) -> bool:
        return self.commits.loss.is_within(rpo_of(self.recovery), synchronous=self.synchronous)

    @property
    def prices_met(self) -> bool:
        return bool(self.point_in_time.get("met")) and self.prices_back == self.prices_live == PRICES

    def came_back(self, kind: str) -> bool:
        """Where the host was lost, no promise of the server's but that of the objective holds: what the host had received, and
        the snapshots since, are gone."""
        return self.compared[kind].loss.is_within(rpo_of(self.everything), synchronous=False)

    @property
    def everything_met(self) -> bool:
        return bool(self.everything.get("met")) and bool(self.compared) and all(map(self.came_back, self.compared))

    @property
    def objectives_met(self) -> bool:
        return bool(self.recovery.get("met")) and self.commits_met and self.prices_met and self.everything_met

    @property
    def evidence(self) -> list[str]:
        return [str(each["evidence"]) for each in (self.recovery, self.everything)]


def rpo_of(answer: JsonObject) -> timedelta:
    """The stack file's recovery point objective of the scenario."""
    objectives = cast(JsonObject, cast(JsonObject, answer["measured"])["objectives"])
    return timedelta(seconds=cast(float, objectives["rpo"]))
