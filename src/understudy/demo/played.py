"""What a play came to; each figure is measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import cast

from understudy.demo.ledger import Loss
from understudy.demo.stack_file import PRICES
from understudy.vocabulary.json import JsonObject


@dataclass(slots=True)
class Played:
    """What a play came to; each figure is measured."""

    synchronous: bool
    acknowledged: int = 0
    recovered: int = 0
    loss: Loss = Loss(0, timedelta())  # noqa: RUF009 - frozen
    processes_killed: int = 0
    exposure_seconds: list[float] = field(default_factory=list)
    recovery: JsonObject = field(default_factory=dict)
    page: str = ""
    """The report of ``recovery`` to read, an HTML file."""
    point_in_time: JsonObject = field(default_factory=dict)
    prices_back: int = 0
    """In the sandbox."""
    prices_live: int = 0
    """In the database, at the end."""

    @property
    def loss_objective(self) -> timedelta:
        """The stack file's recovery point objective of the scenario."""
        objectives = cast(JsonObject, cast(JsonObject, self.recovery["measured"])["objectives"])
        return timedelta(seconds=cast(float, objectives["rpo"]))

    @property
    def loss_met(self) -> bool:
        return self.loss.is_within(self.loss_objective, synchronous=self.synchronous)

    @property
    def prices_met(self) -> bool:
        return bool(self.point_in_time.get("met")) and self.prices_back == self.prices_live == PRICES

    @property
    def objectives_met(self) -> bool:
        return bool(self.recovery.get("met")) and self.loss_met and self.prices_met
