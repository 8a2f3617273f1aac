"""Pages as PDF, through WeasyPrint (the extra ``report``) and Debian's Pango.

Belongs here: what it takes to print a finished page of HTML.
Does not belong here: what stands on a page (``documents``), where its file goes (``app``). WeasyPrint is imported when the first
page is printed: who prints none needs neither it nor Pango.
"""

from understudy.adapters.pdf.printing import printed

__all__ = ["printed"]
