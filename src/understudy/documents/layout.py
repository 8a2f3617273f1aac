"""The pieces that sections are made of: facts, tables, moments, verdicts, blanks to fill in, proofs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from understudy.documents.markup import Child, Markup, element
from understudy.documents.proofs import has_parts, in_one_line, in_words, plain
from understudy.judge.run_measurement import ObjectiveVerdict
from understudy.vocabulary.json import Json, JsonObject

_VERDICTS = {
    ObjectiveVerdict.MET: ("✓ met", "good"),
    ObjectiveVerdict.MISSED: ("✗ missed", "bad"),
    ObjectiveVerdict.UNKNOWN: ("? not known", "open"),
    ObjectiveVerdict.NONE_SET: ("no objective", "soft"),
}


def section(title: str, *content: Child, class_: str | None = None) -> Markup:
    return element("section", element("h2", title), *content, class_=class_)


def paragraph(*content: Child, class_: str | None = None) -> Markup:
    return element("p", *content, class_=class_)


def facts(pairs: Iterable[tuple[str, Child]]) -> Markup:
    """Names and what they are; pairs whose value is None are left out."""
    told = [(element("dt", name), element("dd", value)) for name, value in pairs if value is not None]
    return element("dl", told, class_="facts")


def table(headings: Sequence[str], rows: Iterable[Sequence[Child]], *, caption: str, numbers: Sequence[str] = ()) -> Markup:
    """Rows whose first cell names them.

    Args:
        caption: What the table is about, for who hears it read.
        numbers: Headings of the columns that are aligned to the right.
    """
    kinds = ["number" if heading in numbers else None for heading in headings]
    head = element("tr", (element("th", each, scope="col", class_=kind) for each, kind in zip(headings, kinds, strict=True)))
    body = (element("tr", (_cell(number, each, kinds[number]) for number, each in enumerate(row))) for row in rows)
    made = element("table", element("caption", caption), element("thead", head), element("tbody", body))
    return element("div", made, class_="wide", tabindex=0, role="region", aria_label=caption)


def _cell(number: int, content: Child, kind: str | None) -> Markup:
    if number == 0:
        return element("th", content, scope="row", class_=kind)
    return element("td", content, class_=kind)


def code(text: str) -> Markup:
    return element("code", text)


def when(at: datetime | None, otherwise: str = "not known") -> Child:
    """To the second, in UTC; the whole of it for programs."""
    if at is None:
        return otherwise
    return element("time", f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC", datetime=at.isoformat())


def verdict_mark(verdict: ObjectiveVerdict) -> Markup:
    """In words, with a sign and a colour."""
    said, kind = _VERDICTS[verdict]
    return element("b", said, class_=kind)


def blanks(lines: int) -> Markup:
    """Room to write on."""
    return element("div", (element("div", class_="blank") for _ in range(lines)), class_="blanks", aria_label="to be filled in",
                   role="group")  # fmt: skip


def proof_list(proof: JsonObject) -> Markup:
    """All that a step proved, as ``proofs.proof_lines`` tells it on a terminal."""
    return element("ul", (_named(in_words(name), name, value) for name, value in proof.items()), class_="proof")


def _named(title: str, name: str, value: Json) -> Markup:
    said = in_one_line(name, value)
    if said is not None:
        return element("li", element("span", f"{title}: ", class_="soft"), said)
    return element("li", element("span", f"{title}:", class_="soft"), _parts(value))


def _parts(value: Json) -> Child:
    if isinstance(value, Mapping):
        # Parts that have parts are told apart by names of the user's: of databases, of repositories.
        return element(
            "ul", (_named(name if isinstance(part, Mapping) else in_words(name), name, part) for name, part in value.items())
        )
    if isinstance(value, Sequence) and not isinstance(value, str):
        return element("ul", (element("li", _parts(item) if has_parts(item) else plain(item)) for item in value))
    return plain(value)
