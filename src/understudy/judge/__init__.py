"""What the records mean: folds over evidence and samples, without a clock and without effects.

Belongs here: measurements of runs, exposure, and everything else that the dashboard, the command line and alerts must agree on.
Does not belong here: reading records, asking servers, deciding what to do next (``plan``), and text for people (the doors).
"""
