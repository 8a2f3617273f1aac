"""The page about one run, whole: HTML in one piece, without scripts and without anything from elsewhere."""

from __future__ import annotations

from understudy.documents.course import approvals_section, proofs_section, timeline_section
from understudy.documents.findings import (
    backups_section,
    checks_section,
    faults_section,
    request_section,
    whereabouts_section,
)
from understudy.documents.incident import finding_row, incident_record
from understudy.documents.layout import code, facts, paragraph, section, when
from understudy.documents.markup import Child, Markup, element, style_sheet
from understudy.documents.paper import Grid
from understudy.documents.paper_html import block
from understudy.documents.reported import ChainPlace, ReportedRun
from understudy.documents.style import css
from understudy.documents.verdicts import headline, loss_section, objectives_section, phases_section
from understudy.documents.words import duration, words

GENERATOR = "understudy run report v1"
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_NAMES = {
    "backup": "Backup",
    "expiry": "Removal of old backups",
    "restore": "Restore",
    "drill": "Recovery drill",
    "recovery": "Recovery",
}
_OF_A_SCENARIO = frozenset({"drill", "recovery"})


def run_page(reported: ReportedRun) -> str:
    title = f"{_kind(reported)}: {_about(reported)}"
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="generator", content=GENERATOR),
        element("meta", name="run", content=reported.recorded.run.run),
        element("title", f"{title}, {reported.recorded.run.run}"),
        style_sheet(css()),
    )
    content = element("main", _beginning(reported, title), *_sections(reported))
    page = element("html", head, element("body", content, _footer(reported)), lang="en")
    return f"<!DOCTYPE html>\n{page.html}\n"


def _sections(reported: ReportedRun) -> tuple[Child, ...]:
    return (
        objectives_section(reported),
        faults_section(reported),
        phases_section(reported),
        timeline_section(reported),
        loss_section(reported),
        approvals_section(reported),
        backups_section(reported),
        checks_section(reported),
        whereabouts_section(reported),
        request_section(reported),
        _wanting(reported),
        _versions(reported),
        _chain_section(reported),
        proofs_section(reported),
        incident_record(reported),
    )


def _wanting(reported: ReportedRun) -> Markup | None:
    """What was found wanting, and what is overdue of all that ever was."""
    headings = ("Finding", "What is to change", "Owner", "Due", "Tested again")
    others = tuple(each for each in reported.overdue if each not in reported.findings)
    tables = [
        block(Grid(headings, tuple(finding_row(each) for each in found), caption))
        for found, caption in ((reported.findings, "Findings of this run"), (others, "Overdue findings of other runs"))
        if found
    ]
    return section("Findings", tables) if tables else None


def _beginning(reported: ReportedRun, title: str) -> Child:
    run = reported.recorded.run
    scenario = run.subject if run.procedure in _OF_A_SCENARIO else None
    return element(
        "header",
        paragraph(f"{reported.stack} · {_kind(reported)}", class_="kind"),
        element("h1", title),
        headline(reported),
        facts(
            [
                ("run", code(run.run)),
                ("scenario", scenario),
                ("resources", ", ".join(_resources(reported)) or "not known"),
                ("state", words(run.state.value)),
                ("submitted", when(run.submitted)),
                ("ended", when(run.ended, "not ended")),
                ("this run took", duration(run.ended - run.submitted) if run.ended is not None else "not ended"),
                ("asked to stop by", run.cancel_requested_by),
            ]
        ),
    )


def _resources(reported: ReportedRun) -> list[str]:
    named = (step.key.partition("/")[0] for each in reported.all_runs for step in each.steps)
    return [name for name in dict.fromkeys(named) if name != "stack"]


def _kind(reported: ReportedRun) -> str:
    return _NAMES.get(reported.recorded.run.procedure, reported.recorded.run.procedure)


def _about(reported: ReportedRun) -> str:
    run = reported.recorded.run
    if run.procedure not in _OF_A_SCENARIO:
        return run.subject
    return f"{', '.join(_resources(reported))} after {words(run.subject)}"


def _versions(reported: ReportedRun) -> Markup:
    run = reported.recorded.run
    asks = any(step.key.endswith("/verify-database") for each in reported.all_runs for step in each.steps)
    server = reported.server_version or "not known: no server was asked in this run"
    ended_by = reported.understudy_version or ("not known" if run.ended is not None else "not ended")
    return section(
        "Versions",
        facts(
            [
                ("Understudy, which ended the run", ended_by),
                ("Understudy, which made this page", reported.made_by_version),
                ("PostgreSQL, as the restored server says", server if asks or reported.server_version else None),
                ("stack file, SHA-256", code(run.stack_digest)),
                ("plan", code(run.plan_id)),
            ]
        ),
        class_="whole",
    )


def _chain_section(reported: ReportedRun) -> Markup:
    chain = reported.chain
    return section(
        "Place in the chain of evidence",
        _looked(reported),
        facts(
            [
                ("controller", code(chain.controller) if chain.controller else "not known"),
                ("links of this run", f"{chain.first} to {chain.last}" if chain.first is not None else "none"),
                ("digest of the last of them", code(chain.last_digest) if chain.last_digest else "none"),
                ("signed head", _head(chain)),
                ("signer (Ed25519)", code(chain.signer) if chain.signer else "not signed"),
                ("evidence file", code(reported.evidence_file) if reported.evidence_file else "written when the run has ended"),
            ]
        ),
        paragraph("This page is not signed: the evidence is. To verify it here:"),
        paragraph(code(reported.verify)),
        paragraph("Elsewhere the evidence file and the signer's public key are enough; compare the key with the recovery kit:"),
        paragraph(code(_elsewhere(reported))),
        class_="whole",
    )


def _looked(reported: ReportedRun) -> Child:
    chain = reported.chain
    at: Child = ["When this page was made, ", when(reported.made), ", "]
    unproven = [paragraph(f"Not proven, but for the steps: {why}.") for why in chain.unproven]
    if chain.findings:
        wrong = element("ul", (element("li", each) for each in chain.findings))
        return [
            paragraph(at, element("b", "this run was not as it was signed:", class_="bad"), class_="verdict bad"),
            wrong,
            unproven,
        ]
    if chain.first is None:
        return paragraph(at, element("b", "nothing of this run was chained.", class_="open"))
    said = "every link of this run was as it was signed, by a key that the stack file trusts."
    return [paragraph(at, element("b", said, class_="good")), unproven]


def _head(chain: ChainPlace) -> Child:
    if chain.head_digest is None:
        return "none"
    return [f"{chain.head_count} links up to ", code(chain.head_digest), ", signed ", when(chain.head_at)]


def _elsewhere(reported: ReportedRun) -> str:
    name = f"{reported.recorded.run.run}.json"
    return f"understudy evidence verify {name} --signer {reported.chain.signer or 'KEY'}"


def _footer(reported: ReportedRun) -> Markup:
    return element(
        "footer",
        paragraph(
            f"Made by Understudy {reported.made_by_version} from its records, ", when(reported.made), ". Times are in UTC."
        ),
        paragraph("For paper or PDF, print this page: it is laid out for A4.", class_="screen-only"),
    )
