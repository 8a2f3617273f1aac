"""One page of HTML into one PDF. Nothing is fetched: the page is whole, and what it would ask for is refused."""

from __future__ import annotations

import contextlib
import io
import logging

from understudy.vocabulary.errors import Refusal

_SYSTEM_PACKAGES = "libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"


def printed(page: str) -> bytes:
    """The PDF, tagged for who hears it read.

    Raises:
        Refusal: ``pdf_unavailable``: WeasyPrint, or the system's library that it stands on, is not here.
    """
    logging.getLogger("weasyprint").setLevel(logging.CRITICAL)  # it warns of rules that are for screens
    try:
        # It prints on standard output where a library is missing; that it fails is told by us.
        with contextlib.redirect_stdout(io.StringIO()):
            from weasyprint import HTML
            from weasyprint.urls import URLFetcher
    except ModuleNotFoundError as error:
        raise _unavailable(f"{error.name} is not installed", "pip install 'understudy[report]'") from error
    except OSError as error:
        raise _unavailable(str(error).partition(".  Additionally")[0], f"apt-get install {_SYSTEM_PACKAGES}") from error
    refusing = URLFetcher(allowed_protocols=())
    made: bytes = HTML(string=page, url_fetcher=refusing).write_pdf(pdf_tags=True)
    return made


def _unavailable(found: str, how: str) -> Refusal:
    return Refusal(
        "pdf_unavailable",
        found=found,
        expected="WeasyPrint and Pango, which print a page",
        hint=f"{how}; or take the page as .html and print it from a browser: it is laid out for A4",
    )
