"""Whatever stands in a text, a browser reads it as that text and as nothing else."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.documents.read_pages import ReadPage
from understudy.documents.markup import Markup, element, escaped, raw_element, style_sheet

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'; --",
    "</style><b>",
    "&lt;b&gt;",
    "<!-- ",
    "]]>",
    "a\nb",
]


@given(st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs"])))
def test_a_text_is_read_back_as_it_was(text):
    page = ReadPage(element("p", text).html)
    assert [name for name, _ in page.elements] == ["p"]
    assert "".join(page.texts) == text


@given(st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs"])))
def test_an_attribute_is_read_back_as_it_was(text):
    [(_, attributes)] = ReadPage(element("p", title=text).html).elements
    assert attributes == {"title": text}


@pytest.mark.parametrize("text", HOSTILE)
def test_markup_in_a_text_or_an_attribute_makes_no_element(text):
    page = ReadPage(element("div", [text, element("b", text)], title=text).html)
    assert [name for name, _ in page.elements] == ["div", "b"]


@given(st.text())
def test_nothing_that_is_not_seen_or_turns_the_reading_direction_reaches_the_page(text):
    left = {unicodedata.category(each) for each in escaped(text) if each not in "\n\t"}
    assert not left & {"Cc", "Cf", "Cs"}
    escaped(text).encode()


def test_what_is_not_seen_is_spelled_out():
    assert escaped("exe\u202egpj.\x00") == "exe\\u202egpj.\\u0000"


def test_markup_is_not_escaped_again_and_nothing_is_left_out():
    assert element("p", "a", None, element("b", "<"), [1, [2.5]], id="x", class_=None, aria_hidden="true").html == (
        '<p id="x" aria-hidden="true">a<b>&lt;</b>12.5</p>'
    )
    assert element("meta", charset="utf-8").html == '<meta charset="utf-8">'


@pytest.mark.parametrize("name", ["b onclick", "<b", "", "b>"])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(ValueError):
        element(name)
    with pytest.raises(ValueError):
        raw_element("p", {name: "x"})


def test_a_style_sheet_that_would_end_its_element_is_refused():
    with pytest.raises(ValueError):
        style_sheet("p{}</style><script>")
    assert isinstance(style_sheet("p{}"), Markup)
