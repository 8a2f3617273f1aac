"""The runner of an installation: every door has its runs carried out by one like it."""

from __future__ import annotations

from understudy.app.installation import Installation
from understudy.app.run_report import report_of
from understudy.runner.runner import Runner


def runner_of(installation: Installation) -> Runner:
    """A context manager, as ``Runner`` is."""
    return Runner(
        installation.state,
        installation.records,
        installation.clock,
        installation.world_for,
        report_of=lambda run, state: report_of(installation, run, state),
    )
