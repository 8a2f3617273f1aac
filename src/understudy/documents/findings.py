"""What the records hold of a run beside its times: backups, what was set aside, checks, faults, the runs before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import cast

from understudy.documents.layout import code, facts, paragraph, section, table, when
from understudy.documents.markup import Child, Markup, element
from understudy.documents.proofs import in_one_line, in_words
from understudy.documents.reported import RecordedRun, ReportedRun
from understudy.documents.verdicts import Row
from understudy.documents.words import duration, words
from understudy.judge.measured import MeasuredStack
from understudy.judge.run_measurement import VALIDATING
from understudy.records.run import RecordedError, StepRecord, StepState
from understudy.vocabulary.json import Json, JsonObject
from understudy.vocabulary.sizes import readable_size

_RESTORING = frozenset({"restore-base-backup", "restore-snapshot"})
_TAKING = frozenset({"take-base-backup", "take-snapshot"})
_COPYING = ("copy-backup-to-", "copy-snapshot-to-")
_BRINGS_BACK = frozenset({"restore", "drill", "recovery"})


def backups_section(reported: ReportedRun) -> Markup | None:
    """What was read, how far it led, and what was taken."""
    used = [row for each in reported.all_runs for step in each.steps for row in _used(each, step)]
    taken = [row for each in reported.all_runs for step in each.steps for row in _taken(each, step)]
    if not used and not taken:
        if reported.recorded.run.procedure not in _BRINGS_BACK:
            return None
        return section("Backups that were used", paragraph("None: no step came so far as to read one."))
    headings = ("Resource", "Backup", "Repository", "How it went", "Came to")
    tables: list[Markup] = []
    if used:
        tables.append(table(headings, used, caption="Backups that were read"))
    if taken:
        tables.append(table(headings, taken, caption="Backups that were taken"))
    return section("Backups that were used" if used else "Backups that were taken", tables)


def _used(run: RecordedRun, step: StepRecord) -> Iterator[Row]:
    resource, _, verb = step.key.partition("/")
    if verb not in _RESTORING or step.attempts == 0:
        return
    proof = _proof(step)
    named = _listed(proof.get("labels")) or _listed(proof.get("label") or proof.get("backup"))
    labels: Child = [[" + " if number else None, _label(each)] for number, each in enumerate(named)] or "not known"
    where = run.read_from.get(step.key) or str(proof.get("repository") or "not known")
    yield (resource, labels, where, words(step.state.value), _came_to(run, resource, proof))


def _came_to(run: RecordedRun, resource: str, restored: JsonObject) -> Child:
    replayed = next((_proof(step) for step in run.steps if step.key == f"{resource}/replay-wal"), {})
    said: list[Child] = []
    if "entries" in restored:
        said.append(f"{restored['entries']} entries, {_size(restored.get('content_bytes'))}")
    if "snapshot_started" in restored:
        said.append([", as of ", _moment(restored["snapshot_started"])])
    if "replayed_lsn" in replayed:
        said.append(f"WAL replayed up to {replayed['replayed_lsn']} on timeline {replayed['timeline']}, ")
        last = replayed.get("last_replayed_commit")
        said.append(["last commit ", _moment(last)] if last else "no commit behind the backup")
    return said or "nothing"


def _taken(run: RecordedRun, step: StepRecord) -> Iterator[Row]:
    resource, _, verb = step.key.partition("/")
    if step.attempts == 0:
        return
    proof = _proof(step)
    if verb in _TAKING:
        said = [str(proof["reason"])] if proof.get("reason") else []
        size = proof.get("size_bytes", proof.get("content_bytes"))
        said += [f"{_size(size)}, stored in {_size(proof.get('sealed_bytes'))}"] if size is not None else []
        yield (
            resource,
            _label(proof.get("label", "not known")),
            run.read_from.get(step.key, ""),
            words(step.state.value),
            "; ".join(said) or "nothing",
        )
    elif verb.startswith(_COPYING):
        where = str(proof.get("repository") or verb.partition("-to-")[2])
        yield (resource, _label(proof.get("label", "not known")), where, f"copied: {words(step.state.value)}", "")
    elif verb in ("write-backup-manifest", "write-snapshot-manifest"):
        yield (resource, _label(proof.get("label", "not known")), str(proof.get("repository", "not known")),
               f"complete: {words(step.state.value)}", f"manifest {proof.get('manifest_sha256', 'not known')}")  # fmt: skip


def whereabouts_section(reported: ReportedRun) -> Markup | None:
    """What lies where now, and what was set aside, which nobody removes by himself."""
    if reported.recorded.run.procedure not in _BRINGS_BACK:
        return None
    drill = reported.recorded.run.procedure == "drill"
    aside = list(set_aside(reported))
    told: list[Child] = []
    if not drill:
        rows = [row for each in reported.all_runs for step in each.steps for row in _places(step)]
        if rows:
            told.append(table(("Resource", "What", "Where"), rows, caption="Where what came back lies"))
    else:
        told.append(paragraph("A drill restores into sandboxes of its own and removes them; nothing that serves was touched."))
    if aside:
        told.append(table(("Resource", "Set aside"), [(name, code(what)) for name, what in aside], caption="What was set aside"))
    else:
        told.append(paragraph("Nothing was set aside."))
    unprotected = _unprotected(reported)
    if unprotected:
        told.append(paragraph(element("b", "Not protected yet: ", class_="bad"), "; ".join(unprotected)))
    return section("What lies where, and what was set aside", told)


def set_aside(reported: ReportedRun) -> Iterator[tuple[str, str]]:
    for each in reported.all_runs:
        for step in each.steps:
            for what in _listed(_proof(step).get("set_aside")):
                yield step.key.partition("/")[0], str(what)


def _places(step: StepRecord) -> Iterator[Row]:
    resource, _, verb = step.key.partition("/")
    proof = _proof(step)
    if verb == "release-target" and step.state is StepState.SUCCEEDED:
        for place in _listed(proof.get("released")) or _listed(proof.get("place")):
            yield (resource, "restored to", code(str(place)))
    if verb == "open-to-clients" and "port" in proof:
        listens = ", ".join(filter(None, [str(proof.get("listen_addresses") or ""), f"port {proof['port']}"]))
        yield (resource, "serves at", code(listens))
    if "start_again" in proof:
        yield (resource, "to start it again", code(str(proof["start_again"])))


def _unprotected(reported: ReportedRun) -> list[str]:
    measured = reported.measured
    if measured is None:
        return []
    parts = measured.parts.values() if isinstance(measured, MeasuredStack) else (measured,)
    return [f"{part.resource} in {repository}, which was away" for part in parts for repository in part.unprotected]


def checks_section(reported: ReportedRun) -> Markup | None:
    """The steps that looked at what came back, with what they were answered."""
    if reported.recorded.run.procedure not in _BRINGS_BACK:
        return None
    looked = [
        (each, step)
        for each in reported.all_runs
        for step in each.steps
        if each.phases.get(step.key) in VALIDATING and step.attempts
    ]
    if not looked:
        return section("Checks", paragraph("No step came so far as to look at what came back."))
    steps = [step for _, step in looked]
    rows = [
        (step.key, step.error.found if step.error is not None else _claim(step), words(step.state.value), _in_short(step))
        for step in steps
    ]
    tables = [table(("Step", "Looked whether", "Ended", "Answer"), rows, caption="What was looked at")]
    asked = [row for step in steps for row in _answers(step)]
    if asked:
        tables.append(
            table(("Check", "Question", "Answer"), asked, caption="Checks of the stack file, asked of what was restored")
        )
    databases = [row for step in steps for row in _databases(step)]
    if databases:
        headings = ("Database", "Relations", "Rows", "Size", "Definitions, SHA-256")
        caption = "Databases whose every row was read"
        tables.append(table(headings, databases, caption=caption, numbers=("Relations", "Rows", "Size")))
    return section("Checks", tables)


_OF_AN_ERROR = ("code", "found", "expected")
_SHORT = 60


def _answers(step: StepRecord) -> Iterator[Row]:
    for check in cast("Sequence[JsonObject]", _proof(step).get("checks") or ()):
        yield (str(check.get("name") or "unnamed"), code(str(check["sql"])), str(check["answer"]))


def _in_short(step: StepRecord) -> str:
    """What fits into a line of what it proved; the rest stands in the appendix."""
    proof = {name: value for name, value in _proof(step).items() if name not in _OF_AN_ERROR}
    lines = {name: in_one_line(name, value) for name, value in proof.items()}
    return (
        "; ".join(f"{in_words(name)}: {said}" for name, said in lines.items() if said is not None and len(said) <= _SHORT) or "—"
    )


def _databases(step: StepRecord) -> Iterator[Row]:
    found = _proof(step).get("databases")
    for name, read in (found if isinstance(found, Mapping) else {}).items():
        if isinstance(read, Mapping):
            told = [str(read.get(each, "not known")) for each in ("relations", "rows")]
            yield (name, *told, _size(read.get("relation_bytes")), code(str(read.get("definitions_sha256", "not known"))))


def faults_section(reported: ReportedRun) -> Markup:
    """Each with its code, what was found, what was expected, and the hint."""
    found = list(faults(reported))
    if not found:
        return section("Faults", paragraph("None."))
    return section("Faults", [_fault(where, error) for where, error in found])


def faults(reported: ReportedRun) -> Iterator[tuple[str, RecordedError]]:
    """By where they were met; without the steps that were left out because another one failed."""
    several = len(reported.all_runs) > 1
    for each in reported.all_runs:
        of = f" of {each.run.run}" if several else ""
        if each.run.error is not None:
            yield f"the run {each.run.run}", each.run.error
        for step in each.steps:
            if step.error is not None and step.state is not StepState.SKIPPED:
                yield f"{step.key}{of}", step.error
    if reported.not_followed is not None:
        yield "planning what was to follow", reported.not_followed


def _fault(where: str, error: RecordedError) -> Markup:
    return element(
        "div",
        element("h3", where),
        facts(
            [
                ("code", code(error.code) if error.code else "none"),
                ("found", error.found),
                ("expected", error.expected or None),
                ("hint", error.hint or None),
            ]
        ),
        class_="fault",
    )


def request_section(reported: ReportedRun) -> Markup | None:
    """The runs of the same request before this one; None where it is the first."""
    if not reported.before:
        return None
    rows = [
        (code(each.run.run), when(each.run.submitted), _took(each.run.submitted, each.run.ended), words(each.run.state.value),
         _why(each))
        for each in reported.before
    ]  # fmt: skip
    return section(
        "Runs of the same request before this one",
        paragraph("What was asked for needed more than one run; times count from the first."),
        table(("Run", "Submitted", "Took", "Ended", "Why another one followed"), rows, caption="Earlier runs of the request"),
    )


def _why(each: RecordedRun) -> str:
    errors = [(step.key, step.error) for step in each.steps if step.error is not None and step.state is StepState.FAILED]
    if errors:
        return "; ".join(f"{key}: {error.code}" for key, error in errors)
    return each.run.error.code if each.run.error is not None else "not known"


def _took(began: datetime, ended: datetime | None) -> str:
    return duration(ended - began) if ended is not None else "not ended"


def _claim(step: StepRecord) -> str:
    return step.evidence.claim if step.evidence is not None else "no evidence"


def _proof(step: StepRecord) -> JsonObject:
    return step.evidence.proof if step.evidence is not None else {}


def _listed(value: Json) -> Sequence[Json]:
    """The proof of a step that failed holds texts only."""
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        return value.split(", ")
    return value if isinstance(value, Sequence) else (cast(Json, value),)


def _label(text: Json) -> Markup:
    return element("code", str(text), class_="label")


def _moment(value: Json) -> Child:
    """As it was recorded, where it is no time that this version reads."""
    try:
        return when(datetime.fromisoformat(str(value)))
    except ValueError:
        return str(value)


def _size(value: Json) -> str:
    return readable_size(value) if isinstance(value, int | float) else "not known"
