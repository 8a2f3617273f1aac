"""The command line: parse, call ``app``, print. No decisions.

Belongs here: options, help with examples, text and JSON made of values, progress on a terminal, exit codes.
Does not belong here: anything that another door would have to do again.
"""
