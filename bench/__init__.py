"""Understudy side by side with its peers and with the raw limits of the machine; it prints ratios. ``python -m bench --help``.

Belongs here: measuring real commands on real servers, each row in a module of ``rows``; statistics and the report.
Does not belong here: anything that the product needs, and any shortcut into it: Understudy is measured through its own
command line.
"""
