"""A page as PDF, printed for real; and what is said where nothing can print it."""

import re
import sys
import zlib

import pytest
from weasyprint import HTML

from tests.documents.sample_runs import reported
from understudy.adapters.pdf import printed
from understudy.documents.run_page import run_page
from understudy.vocabulary.errors import Refusal

A4_POINTS = (595, 842)


def objects(pdf):
    """What the file holds, its packed streams opened."""
    for packed in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.S):
        try:
            yield zlib.decompress(packed)
        except zlib.error:
            yield packed
    yield pdf


def sizes_of(pdf):
    boxes = re.findall(rb"/MediaBox ?\[([^\]]+)\]", b"\n".join(objects(pdf)))
    return {tuple(round(float(each)) for each in box.split()[2:]) for box in boxes}


def test_a_page_is_printed_on_a4_with_its_title_and_for_who_hears_it_read():
    pdf = printed(run_page(reported()))
    assert pdf.startswith(b"%PDF-")
    held = b"\n".join(objects(pdf))
    assert sizes_of(pdf) == {A4_POINTS}
    assert b"/StructTreeRoot" in held, "headings, tables and drawings are told as such"
    assert b"/URI" not in held and b"/JavaScript" not in held


@pytest.mark.parametrize("how", ["<link rel=stylesheet href='{}'>", "<style>@import '{}'</style>"])
def test_what_a_page_would_fetch_is_refused(tmp_path, how):
    elsewhere = tmp_path / "elsewhere.css"
    elsewhere.write_text("@page{size:A5}")
    page = f"<style>@page{{size:A4}}</style>{how.format(elsewhere.as_uri())}<p>a</p>"
    assert sizes_of(printed(page)) == {A4_POINTS}
    assert sizes_of(HTML(string=page).write_pdf()) != {A4_POINTS}, "who fetches it prints another size"


def test_where_weasyprint_is_not_installed_the_refusal_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    with pytest.raises(Refusal) as refused:
        printed("<p>a</p>")
    assert refused.value.code == "pdf_unavailable"
    assert "pip install 'understudy[report]'" in refused.value.hint and "browser" in refused.value.hint
