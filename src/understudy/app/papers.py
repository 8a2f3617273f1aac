"""Documents as files: which form by the name's end, whole or not at all, and nothing overwritten but an earlier one of ours."""

from __future__ import annotations

from pathlib import Path

from understudy.adapters.pdf import printed
from understudy.app.proving import require_free, require_writable, unwritable
from understudy.documents.paper import Paper
from understudy.documents.paper_html import html_page
from understudy.documents.paper_markdown import markdown
from understudy.records.receipts import write_durably

FORMS = (".md", ".html", ".pdf")
"""By the end of a file's name."""


def write_paper(paper: Paper, file: Path) -> Path:
    """Into a new file, in the form that its name ends with.

    Raises:
        Refusal: ``file_unwritable``: also where something has that name; ``pdf_unavailable``.
    """
    require_free(file)
    require_writable(file)
    content = rendered(paper, file.suffix.lower())
    try:
        write_durably(file, content)
    except OSError as error:
        raise unwritable(f"{file}: {error.strerror}") from error
    return file


def rendered(paper: Paper, form: str) -> bytes:
    """``form``: one of ``FORMS``. Raises as ``printed`` does."""
    if form == ".md":
        return markdown(paper).encode()
    page = html_page(paper)
    return printed(page) if form == ".pdf" else page.encode()
