"""What people keep, print and hand on: pages about runs, as text.

Belongs here: pages, their drawings and their words; records and measurements in, text out. Everything that stands on a page was
handed in, and is escaped on its way there by ``markup``.
Does not belong here: reading records, measuring, the time, files (``app``); what scrolls by in a terminal (``cli``).
"""
