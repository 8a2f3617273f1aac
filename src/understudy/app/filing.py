"""Evidence laid down where it outlives its state directory: a file beside the records, and a sealed copy in each repository."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta

from understudy.app.evidence_files import keep_evidence
from understudy.app.incidents import keep_incident_record
from understudy.app.installation import Installation
from understudy.app.repositories import is_unmade
from understudy.records.export import export_run
from understudy.records.state_database import as_state_faults
from understudy.repository.layout import evidence_key
from understudy.repository.sealing import store_sealed
from understudy.supervise.repeated_look import RepeatedLook
from understudy.vocabulary.canonical import canonical_json
from understudy.vocabulary.errors import UnderstudyError
from understudy.vocabulary.identifiers import RepositoryName, RunId

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.2
_LATER = timedelta(seconds=60)
"""Until a copy that could not be laid down (a repository is away) is tried again."""


def file_evidence(
    installation: Installation, run: RunId, away: Mapping[RepositoryName, str] | None = None
) -> dict[RepositoryName, str]:
    """A sealed copy in every repository, with the chain's signed head: what shows records that were taken away here.

    A repository that can't be written to now does not undo the run: why, by name; empty where all hold a copy. Those that are
    known to be ``away`` are not asked again.
    """
    content = canonical_json(export_run(installation.records, run))
    key = evidence_key(run, installation.sealer.sealing)
    faults = dict(away or {})
    for name in installation.repository_names():
        if name in faults or is_unmade(installation, name):
            continue
        store = installation.stores[name]
        try:
            if store.head(key) is None:
                store_sealed(store, installation.sealer, key, [content], installation.keys.keys.recipients)
        except UnderstudyError as error:
            if error.code != "object_exists":  # the command that waits for a run and the control plane may both file it
                faults[name] = str(error)
    return faults


def file_outstanding(installation: Installation) -> Mapping[RepositoryName, str]:
    """Lay down the evidence of every run that has ended and whose copies are not all there, of whichever process it was.

    For who holds the state directory. Why a repository has no copy now, by name; empty where nothing is left to do.
    """
    away: dict[RepositoryName, str] = {}
    for run in installation.records.filing.outstanding():
        keep_evidence(installation, run)
        keep_incident_record(installation, run)
        away = file_evidence(installation, run, away)
        if not away:
            installation.records.filing.filed(run)
    return away


def file_or_warn(installation: Installation) -> None:
    """``file_outstanding``, with a line in the log for each repository that holds no copy now."""
    for repository, fault in file_outstanding(installation).items():
        _log.warning("the evidence is not copied into %s now; a later run or serve tries again: %s", repository, fault)


class EvidenceFiling(RepeatedLook):
    """``file_outstanding`` while the control plane serves, for runs that it carries out, and for what died before it could."""

    def __init__(self, installation: Installation) -> None:
        super().__init__("evidence", _LOOK_SECONDS)
        self._installation = installation
        self._not_before_seconds: float | None = None
        self._told: Mapping[RepositoryName, str] = {}

    def look(self) -> None:
        now_seconds = self._installation.clock.monotonic_seconds()
        if self._not_before_seconds is None or now_seconds >= self._not_before_seconds:
            self._not_before_seconds = now_seconds + _LATER.total_seconds() if self._is_left() else None

    def _is_left(self) -> bool:
        try:
            with as_state_faults():
                away = file_outstanding(self._installation)
        except (UnderstudyError, OSError) as error:
            _log.warning("the evidence cannot be laid down now: %s", error)
            return True
        for repository, fault in away.items():
            if repository not in self._told:
                _log.warning("the evidence is not copied into %s now, and it is tried again: %s", repository, fault)
        self._told = away
        return bool(away)
