"""Since when the service has been lost, as far as anybody knows when a recovery is asked for."""

from __future__ import annotations

from datetime import datetime

from understudy.app.exposure_json import watched_from_json
from understudy.app.installation import Installation
from understudy.app.keeping import EXPOSURE
from understudy.judge.disruption import Watched, beside_a_server_that_lives, disruption_of
from understudy.plan.fencing import OldServerFacts
from understudy.vocabulary.disruption import Disruption
from understudy.vocabulary.identifiers import ResourceName


def disruption_at(installation: Installation, name: ResourceName, began: datetime, told: datetime | None) -> Disruption:
    """``began``: when the command was; ``told``: what a person said."""
    watched, reported = _watched(installation, name)
    return disruption_of(began, told, watched, reported)


def disruption_beside(
    installation: Installation, name: ResourceName, known: Disruption | None, old_server: OldServerFacts
) -> Disruption | None:
    """``known``: before anybody looked whether the old server lives."""
    if known is None or not old_server.lives:
        return known
    return beside_a_server_that_lives(known, _watched(installation, name)[0])


def _watched(installation: Installation, name: ResourceName) -> tuple[Watched, datetime | None]:
    """What the watch saw, and as of when."""
    seen = installation.records.observed(name, EXPOSURE)
    return (Watched(), None) if seen is None else (watched_from_json(seen.value), seen.at)
