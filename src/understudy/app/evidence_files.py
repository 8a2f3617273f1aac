"""The evidence of runs that have ended, as files of the state directory."""

from __future__ import annotations

import os
from pathlib import Path

from understudy.app.installation import Installation
from understudy.records.export import export_run, write_export
from understudy.records.private_files import make_private_directory
from understudy.vocabulary.identifiers import RunId


def evidence_directory(state: Path) -> Path:
    return state / "evidence"


def keep_evidence(installation: Installation, run: RunId) -> Path:
    """The evidence of a run that has ended, as a file of the state directory; written once."""
    file = evidence_directory(installation.state) / f"{run}.json"
    if not file.exists():
        make_private_directory(file.parent)
        # Under a name of this process's own: the command that waits and the control plane may both be here.
        aside = file.with_name(f".{run}.{os.getpid()}")
        write_export(aside, export_run(installation.records, run))
        aside.replace(file)
    return file
