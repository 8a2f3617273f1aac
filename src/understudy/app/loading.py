"""Handing a snapshot to the command, or the server, that takes it back."""

from __future__ import annotations

from understudy.app.carrying_out import Asked, Watcher, carry_out
from understudy.app.installation import Installation
from understudy.app.recoveries import plan_requested_recovery
from understudy.app.run_view import RunView
from understudy.app.snapshot_restores import load_request
from understudy.plan.request import Choice
from understudy.vocabulary.identifiers import Person


def load(
    installation: Installation,
    resource: str,
    choice: Choice,
    watcher: Watcher,
    approved_by: Person | None = None,
    into: str = "",
    renamed: str = "",
) -> RunView:
    """Somebody is asked first, unless somebody agreed already. Raises as ``load_request`` and ``restore`` do."""
    request = load_request(installation, resource, choice, approved_by, into, renamed)
    asked = Asked(request, lambda following: plan_requested_recovery(installation, following))
    return carry_out(installation, plan_requested_recovery(installation, request), watcher, request.approved_by, asked)
