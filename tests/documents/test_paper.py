"""One content, printed as a page and as Markdown: both say all of it, and nothing that was recorded becomes markup of either."""

import html
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.documents.read_pages import ReadPage
from understudy.documents.paper import (
    Chapter,
    FillIn,
    Grid,
    Lines,
    Pairs,
    Paper,
    Points,
    Room,
    Said,
    Template,
    Tone,
    Typed,
    Verbatim,
    Verdict,
)
from understudy.documents.paper_html import html_page
from understudy.documents.paper_markdown import escaped, markdown

MADE = datetime(2026, 11, 28, 3, 4, 5, tzinfo=UTC)


def paper(*blocks, title="A paper", **more):
    chapters = (Chapter("First", blocks), Chapter("Second", (Lines("the end"),)))
    return Paper("Sample", title, (Verdict("It is well.", Tone.GOOD),), chapters, MADE, "0.1.0", **more)


EVERY_BLOCK = (
    Lines(["at ", MADE, ", in ", Verbatim("near"), ": ", Said("damaged", Tone.BAD)]),
    Pairs((("made by", "us"), ("in", Verbatim("/srv/a")))),
    Grid(("What", "How many"), (("parts", "7"), ("holes", Said("none", Tone.SOFT))), "What was counted", ("How many",)),
    Points(("one", ["two ", Verbatim("x")]), numbered=True),
    Points(("ticked",), to_tick=True),
    Typed(("understudy status", "understudy check")),
    Template(("Since [time] it is away.", "More at [time].")),
    Room(2, "Why?"),
    FillIn(("Who", "Until"), 2, "To be filled in"),
    Chapter("Inside", (Lines("deeper"),)),
)
SAID = (
    "It is well.", "at", "2026-11-28 03:04:05 UTC", "near", "damaged", "made by", "us", "/srv/a", "What was counted", "parts",
    "7", "one", "two", "ticked", "understudy status", "understudy check", "Since [time] it is away.", "Why?", "Until", "Inside",
    "deeper", "the end", "0.1.0",
)  # fmt: skip


def test_page_and_markdown_say_all_of_it_in_the_same_order():
    page = ReadPage(html_page(paper(*EVERY_BLOCK))).text
    text = markdown(paper(*EVERY_BLOCK)).replace("\\", "")
    for printed in (page, text):
        places = [printed.index(each) for each in SAID]
        assert places == sorted(places)


def test_the_list_of_contents_leads_to_every_chapter():
    page = ReadPage(html_page(paper(*EVERY_BLOCK, with_contents=True)))
    targets = {each.get("id") for each in page.named("section")}
    assert [each["href"].removeprefix("#") in targets for each in page.named("a")] == [True, True]
    assert "2. Second" in markdown(paper(with_contents=True))


def test_a_page_takes_nothing_from_elsewhere_and_runs_no_script():
    page = html_page(paper(*EVERY_BLOCK))
    assert "default-src &#x27;none&#x27;" in page
    assert not re.search(r"(?i)<script|src=|url\(|https?:", page)


ODD = "<img src=x onerror=alert(1)> | `code` *bold* [link](http://x) &amp; \\ # \u202e\nnext"


@pytest.mark.parametrize(
    "block",
    [
        Lines(ODD), Lines(Verbatim(ODD)), Lines(Said(ODD, Tone.BAD)), Pairs(((ODD, ODD),)), Grid((ODD,), ((ODD,),), ODD),
        Points((ODD,)), Typed((ODD,)), Template((ODD,)), Room(1, ODD), FillIn((ODD,), 1, ODD), Chapter(ODD, ()),
    ],
)  # fmt: skip
def test_nothing_that_was_recorded_becomes_markup_of_a_page(block):
    made = html_page(paper(block, title=ODD))
    page = ReadPage(made)
    assert not page.named("img") and "\u202e" not in made
    assert "<img src=x" in page.text


def test_a_row_of_a_table_stays_one_row_with_as_many_cells_whatever_stands_in_it():
    cells = (ODD, Verbatim(ODD), Said(ODD, Tone.GOOD))
    lines = markdown(paper(Grid(("a", "b", "c"), (cells,), "odd"))).splitlines()
    [row] = [line for line in lines if "onerror" in line]
    assert len(re.findall(r"(?<!\\)\|", row)) == 4


@given(st.text(alphabet="ab <>|`*_[]\\#+-.1)~&\n", max_size=30))
def test_escaped_text_is_read_back_as_it_was_and_starts_no_list_and_no_heading(text):
    made = escaped(text)
    assert re.sub(r"\\([\\`*_\[\]<>|~&#+.)-])", r"\1", made) == " ".join(text.split())
    assert not re.match(r"([#+-]|\d+[.)])(\s|$)", made)
    assert not re.search(r"(?<!\\)(?:\\\\)*[<>`*_|]", made)


def test_a_name_with_backticks_stays_one_span():
    text = markdown(paper(Lines(Verbatim("a`b``c"))))
    assert "```a`b``c```" in text


def test_what_is_told_twice_is_said_once_where_the_title_says_the_kind():
    made = html_page(paper(title="Sample: shop"))
    assert html.unescape(made).count("Sample") == 2, "in the tab, and above the page"
