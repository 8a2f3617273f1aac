"""A paper as a page: HTML in one piece, without scripts and without anything from elsewhere."""

from __future__ import annotations

from datetime import datetime

from understudy.documents.layout import blanks, code, facts, paragraph, table, when
from understudy.documents.markup import Child, Markup, element, style_sheet
from understudy.documents.paper import (
    Block,
    Chapter,
    FillIn,
    Grid,
    Lines,
    Pairs,
    Paper,
    Piece,
    Points,
    Room,
    Said,
    Template,
    Text,
    Tone,
    Typed,
    Verbatim,
    Verdict,
    pieces,
)
from understudy.documents.style import css

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_LEVELS = ("h2", "h3", "h4")
_BOX = "☐ "


def generator(kind: str) -> str:
    """By which a later page of the same kind knows an earlier one."""
    return f"understudy {kind.lower()} v1"


def html_page(paper: Paper) -> str:
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="generator", content=generator(paper.kind)),
        element("meta", name="run", content=paper.subject) if paper.subject else None,
        element("title", paper.title),
        style_sheet(css()),
    )
    content = element(
        "main",
        element("header", *_heading(paper), [block(each) for each in paper.about]),
        _contents(paper) if paper.with_contents else None,
        [_chapter(each, number) for number, each in enumerate(paper.chapters, start=1)],
    )
    page = element("html", head, element("body", content, _footer(paper)), lang="en")
    return f"<!DOCTYPE html>\n{page.html}\n"


def _heading(paper: Paper) -> tuple[Child, Child]:
    kind = None if paper.title.startswith(paper.kind) else paragraph(paper.kind, class_="kind")
    return kind, element("h1", paper.title)


def block(each: Block, level: int = 1) -> Markup:
    match each:
        case Lines(text, tone):
            return paragraph(inline(text), class_=tone)
        case Verdict(text, tone):
            return paragraph(text, class_=f"verdict {tone}")
        case Pairs(pairs):
            return facts([(name, inline(value)) for name, value in pairs])
        case Grid():
            rows = [[inline(cell) for cell in row] for row in each.rows]
            return table(each.headings, rows, caption=each.caption, numbers=each.numbers)
        case Points():
            return _points(each)
        case Typed(lines):
            return element("pre", element("code", "\n".join(lines)), class_="typed")
        case Template(lines):
            return element("blockquote", (paragraph(line) for line in lines), class_="template")
        case Room(lines, about):
            return element("div", paragraph(about) if about else None, blanks(lines), class_="room")
        case FillIn(headings, rows, caption):
            return _to_fill(headings, rows, caption)
        case Chapter(title, inside):
            heading = element(_LEVELS[min(level, len(_LEVELS) - 1)], title)
            return element("div", heading, [block(part, level + 1) for part in inside])


def _to_fill(headings: tuple[str, ...], rows: int, caption: str) -> Markup:
    head = element("tr", (element("th", each, scope="col") for each in headings))
    row = element("tr", (element("td", class_="blank-cell") for _ in headings))
    made = element("table", element("caption", caption), element("thead", head), element("tbody", [row] * rows))
    return element("div", made, class_="wide")


def _points(points: Points) -> Markup:
    items = [element("li", _BOX if points.to_tick else None, inline(item)) for item in points.items]
    return element("ol" if points.numbered else "ul", items, class_="to-tick" if points.to_tick else None)


def inline(text: Text) -> Child:
    return [_piece(each) for each in pieces(text)]


def _piece(piece: Piece) -> Child:
    match piece:
        case Verbatim(text):
            return code(text)
        case Said(text, tone):
            return element("span" if tone is Tone.SOFT else "b", text, class_=tone)
        case datetime():
            return when(piece)
        case _:
            return piece


def _chapter(chapter: Chapter, number: int) -> Markup:
    inside = [block(each) for each in chapter.blocks]
    return element("section", element("h2", chapter.title), inside, id=f"chapter-{number}")


def _contents(paper: Paper) -> Markup:
    lines = [
        element("li", element("a", each.title, href=f"#chapter-{number}"))
        for number, each in enumerate(paper.chapters, start=1)
    ]  # fmt: skip
    return element("nav", element("h2", "Contents"), element("ol", lines), class_="contents", aria_label="Contents")


def _footer(paper: Paper) -> Markup:
    return element("footer", paragraph("Made ", when(paper.made), f" by Understudy {paper.made_by_version}."))
