"""One module for each row of the report: ``NAME``, ``TITLE`` and ``measure(ground, options)``.

Belongs here: what is compared with what, and how each figure is obtained.
Does not belong here: how a peer is set up or driven (beside this package, a module each).
"""
