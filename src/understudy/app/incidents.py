"""The incident record of a real recovery: written once it has ended, and made again whenever somebody asks."""

from __future__ import annotations

import logging
from pathlib import Path

from understudy.app.evidence_files import evidence_directory
from understudy.app.installation import Installation
from understudy.app.papers import rendered
from understudy.app.reporting import Lead, report_run
from understudy.documents.incident import has_incident, incident_paper
from understudy.documents.paper import Paper
from understudy.plan.plan import Procedure
from understudy.records.private_files import make_private_directory
from understudy.records.receipts import write_durably
from understudy.vocabulary.errors import Refusal, UnderstudyError
from understudy.vocabulary.identifiers import RunId

_log = logging.getLogger(__name__)
_VERIFY = "understudy evidence verify"


def incident_of(installation: Installation, run: RunId, verify: str = _VERIFY, lead: Lead = str) -> Paper:
    """
    Raises:
        Refusal: ``run_unknown``; ``no_incident``: it is no real recovery, it has not ended, or it touched nothing.
    """
    reported = report_run(installation, run, verify, lead)
    if not has_incident(reported) or reported.recorded.run.ended is None:
        about = reported.recorded.run
        how = "has not ended" if about.ended is None else "touched nothing" if reported.touched_nothing else "is no recovery"
        raise Refusal(
            "no_incident",
            found=f"{run}, {about.procedure} {about.subject}, {how}",
            expected="a real recovery that has ended and that touched something",
            hint="find it with understudy runs; any run has a page: understudy evidence report RUN",
        )
    return incident_paper(reported)


def incident_file(state: Path, run: RunId) -> Path:
    return evidence_directory(state) / f"{run}.incident.md"


def keep_incident_record(installation: Installation, run: RunId) -> None:
    """Beside the evidence of a real recovery, once: whoever has written in it since keeps what he wrote.

    A record that cannot be made now keeps no evidence from being laid down: it can be made whenever somebody asks.
    """
    file = incident_file(installation.state, run)
    if installation.records.run(run).procedure != Procedure.RECOVERY or file.exists():
        return
    try:
        paper = incident_of(installation.reading(installation.records), run)
        make_private_directory(file.parent)
        write_durably(file, rendered(paper, ".md"))
    except (UnderstudyError, OSError) as error:
        if not (isinstance(error, UnderstudyError) and error.code == "no_incident"):
            _log.warning("the incident record of %s cannot be written now (understudy evidence incident does): %s", run, error)
