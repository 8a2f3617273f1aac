"""Pages about runs: what stands on them, gathered from records and measurements, and their files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from understudy import __version__
from understudy.adapters.pdf import printed
from understudy.app.evidence_files import evidence_directory, keep_evidence
from understudy.app.findings import open_findings, overdue
from understudy.app.installation import Installation
from understudy.app.key_ring import trusted_signers
from understudy.app.measuring import measure, plan_of
from understudy.app.proving import require_free, require_writable, unwritable
from understudy.app.run_report import MEASURED
from understudy.app.run_view import RunView, view_of
from understudy.documents.reported import ChainPlace, RecordedRun, ReportedRun
from understudy.documents.run_page import GENERATOR, run_page
from understudy.judge.measured import MeasuredRecovery, MeasuredStack, measured_from_json
from understudy.records.chain import head_from_json, link_from_json
from understudy.records.chained_form import RUN_ENDED
from understudy.records.export import export_run, unproven, verify_export
from understudy.records.findings import FindingRecord
from understudy.records.private_files import make_private_directory
from understudy.records.receipts import write_durably
from understudy.records.run import RecordedError
from understudy.vocabulary.errors import UnderstudyError
from understudy.vocabulary.identifiers import RunId
from understudy.vocabulary.json import JsonObject

_OURS = f'<meta name="generator" content="{GENERATOR}"><meta name="run" content="'
_LOOKED_AT_BYTES = 4096


Lead = Callable[[str], str]
"""A hint, with the commands that it names leading to this stack."""


def report_run(installation: Installation, run: RunId, verify: str, lead: Lead = str) -> ReportedRun:
    """What a page about the run says. ``verify``: the command that verifies its evidence.

    Raises:
        Refusal: ``run_unknown``.
    """
    view = view_of(installation, run)
    exported = export_run(installation.past, run)
    told = cast(JsonObject, exported["run"])
    measured, why = _measured(installation, view, told)
    request = installation.records.requests.of(run)
    last = request is not None and request.runs[-1] == run
    version, server = told.get("understudy_version"), told.get("server_version")
    return ReportedRun(
        stack=installation.stack.stack,
        recorded=_recorded(installation, view, lead),
        before=tuple(_recorded(installation, each, lead) for each in _before(view)),
        not_followed=_led(request.error, lead) if request is not None and last else None,
        measured=measured,
        not_measured=why,
        understudy_version=None if version is None else str(version),
        server_version=None if server is None else str(server),
        chain=_chain_place(installation, exported),
        evidence_file=str(evidence_directory(installation.state) / f"{run}.json") if view.run.ended else None,
        verify=verify,
        made=installation.clock.now(),
        made_by_version=__version__,
        findings=tuple(each for each in installation.past.findings.all() if each.run in _runs_of(view)),
        overdue=_overdue(installation),
    )


def _runs_of(view: RunView) -> tuple[RunId, ...]:
    return (view.run.run, *(each.run.run for each in _before(view)))


def _overdue(installation: Installation) -> tuple[FindingRecord, ...]:
    looking = installation.reading(installation.past)
    found = open_findings(looking)
    names = overdue(looking, found)
    return tuple(each for each in found if each.finding in names)


def write_report(installation: Installation, run: RunId, file: Path | None, verify: str, lead: Lead = str) -> Path:
    """The page about the run, into ``file``, whole or not at all: as PDF where that is how its name ends. Else beside its
    evidence in the state directory, where an earlier page about the same run is replaced.

    Raises:
        Refusal: ``run_unknown``; ``file_unwritable``: also where something else has that name; ``pdf_unavailable``.
    """
    page = run_page(report_run(installation, run, verify, lead))
    if file is None:
        file = evidence_directory(installation.state) / f"{run}.html"
        _make_private(file.parent)
        if not _is_page_about(file, run):
            require_free(file)
    else:
        require_free(file)
    if installation.records.run(run).ended is not None:
        keep_evidence(installation, run)
    require_writable(file)
    content = printed(page) if file.suffix.lower() == ".pdf" else page.encode()
    try:
        write_durably(file, content)
    except OSError as error:
        raise unwritable(f"{file}: {error.strerror}") from error
    return file


def _make_private(directory: Path) -> None:
    try:
        make_private_directory(directory)
    except OSError as error:
        raise unwritable(f"{directory}: {error.strerror}") from error


def _is_page_about(file: Path, run: RunId) -> bool:
    if file.is_symlink() or not file.is_file():
        return False
    with file.open("rb") as read:
        return f'{_OURS}{run}"'.encode() in read.read(_LOOKED_AT_BYTES)


def _measured(installation: Installation, view: RunView, told: JsonObject) -> tuple[MeasuredRecovery | MeasuredStack | None, str]:
    """As it was signed with the end of the run; while there is none, as it stands. With the reason where there is nothing."""
    if view.run.procedure not in MEASURED:
        return None, ""
    try:
        if "measured" not in told:
            return measure(installation, view), ""
        signed = told["measured"]
        if signed is None:
            return None, str(told.get("not_measured") or "the records do not say why")
        return _in_their_turns(view, measured_from_json(cast(JsonObject, signed))), ""
    except UnderstudyError as error:
        return None, f"{error.code}: {error.found}"
    except (ValueError, LookupError, TypeError, AttributeError) as error:  # another version left it in another form
        return None, f"another version wrote down what it came to: {type(error).__name__}: {error}"


def _in_their_turns(view: RunView, measured: MeasuredRecovery | MeasuredStack) -> MeasuredRecovery | MeasuredStack:
    """The chain keeps resources by their names; the first run's plan has them in their turns."""
    if isinstance(measured, MeasuredRecovery):
        return measured
    first = _before(view)[0] if view.follows is not None else view
    turns = dict.fromkeys(step.key.partition("/")[0] for step in first.steps)
    return replace(measured, parts={name: measured.parts[name] for name in (*turns, *measured.parts) if name in measured.parts})


def _before(view: RunView) -> list[RunView]:
    """Oldest first."""
    found: list[RunView] = []
    at = view.follows
    while at is not None:
        found.insert(0, at)
        at = at.follows
    return found


def _led(error: RecordedError | None, lead: Lead) -> RecordedError | None:
    return None if error is None else replace(error, hint=lead(error.hint))


def _recorded(installation: Installation, view: RunView, lead: Lead) -> RecordedRun:
    try:
        steps = [each.step for each in plan_of(installation, view).steps]
    except UnderstudyError:  # another version planned it: what its steps left behind is there all the same
        steps = []
    phases = {step.key: step.PHASE for step in steps}
    sources = {step.key: str(getattr(step, "repository", "")) for step in steps}
    return RecordedRun(
        run=replace(view.run, error=_led(view.run.error, lead)),
        steps=tuple(replace(step, error=_led(step.error, lead)) for step in view.steps),
        phases=phases,
        read_from={key: name for key, name in sources.items() if name},
    )


def _chain_place(installation: Installation, exported: JsonObject) -> ChainPlace:
    links = [link_from_json(each) for each in cast("Sequence[JsonObject]", exported["links"])]
    run = str(cast(JsonObject, exported["run"])["run"])
    own = [each for each in links if each.run == run]
    last = next((each for each in own if each.step == RUN_ENDED), own[-1] if own else None)
    head = None if exported["head"] is None else head_from_json(cast(JsonObject, exported["head"]))
    signers = trusted_signers(installation.stack.encryption, installation.state)
    return ChainPlace(
        controller=None if head is None else head.controller,
        first=own[0].sequence if own else None,
        last=own[-1].sequence if own else None,
        last_digest=None if last is None else last.digest,
        head_count=None if head is None else head.count,
        head_digest=None if head is None else head.digest,
        head_at=None if head is None else head.at,
        signer=None if head is None else head.signer,
        findings=tuple(each.found for each in verify_export(exported, signers)) if own else (),
        unproven=tuple(unproven(exported)),
    )
