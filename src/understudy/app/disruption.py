"""Since when the service has been lost, as far as anybody knows when a recovery is asked for."""

from __future__ import annotations

from datetime import datetime

from understudy.app.exposure_json import watched_from_json
from understudy.app.installation import Installation
from understudy.app.keeping import EXPOSURE
from understudy.judge.disruption import Watched, disruption_of
from understudy.vocabulary.disruption import Disruption
from understudy.vocabulary.identifiers import ResourceName


def disruption_at(installation: Installation, name: ResourceName, began: datetime, told: datetime | None) -> Disruption:
    """``began``: when the command was; ``told``: what a person said."""
    seen = installation.records.observed(name, EXPOSURE)
    watched = Watched() if seen is None else watched_from_json(seen.value)
    return disruption_of(began, told, watched, None if seen is None else seen.at)
