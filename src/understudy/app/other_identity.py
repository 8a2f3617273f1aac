"""A drill that opens what is stored with another identity than the stack file's: that of the recovery kit, tried out in time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from understudy.plan.request import BackupRequest, Request, StackRequest, request_from_json
from understudy.ports.world import Keys
from understudy.stack.expectation import Unfit
from understudy.stack.secrets import parse_reference, resolve
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import RunId

if TYPE_CHECKING:
    from understudy.app.installation import Installation


def opening_as_asked(installation: Installation, request: Request) -> Installation:
    """The same, with the identity that the request names, if it names one.

    Raises:
        GiveUp: ``secret_missing``, ``secret_unreadable``.
    """
    reference = _reference(request)
    return installation if reference is None else installation.with_keys(_keys(installation, reference))


def keys_of_run(installation: Installation, run: RunId) -> Keys:
    """Those of the stack file, with the identity that was asked for. Raises as ``opening_as_asked`` does."""
    try:
        asked = installation.records.requests.of(run)
        reference = None if asked is None else _reference(request_from_json(asked.asked))
    except (Refusal, ValueError, KeyError, TypeError):
        reference = None  # no run that was asked for, or asked by a newer version: then this one cannot carry it out anyway
    return installation.keys.keys if reference is None else _keys(installation, reference)


def checked_reference(text: str) -> str:
    """
    Raises:
        Refusal: ``option_malformed``; the text is not repeated, because it may be the key.
    """
    try:
        return str(parse_reference(text))
    except Unfit as unfit:
        raise Refusal(
            "option_malformed",
            found="an --identity that is no reference",
            expected=unfit.expected,
            hint="write the key into a file that only its owner reads, and name it: --identity file:/path/of/the/kit",
        ) from None


def _reference(request: Request) -> str | None:
    if isinstance(request, BackupRequest):
        return None
    first = request.parts[0] if isinstance(request, StackRequest) else request
    return first.choice.opened_with


def _keys(installation: Installation, reference: str) -> Keys:
    return replace(installation.keys.keys, identity=resolve(parse_reference(reference)))
