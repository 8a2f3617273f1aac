"""The outside world behind the ports, one folder each, strangers to one another.

Belongs here: what speaks to servers, stores, programs and the operating system, and turns their faults into the error tree.
Does not belong here: decisions (``plan``, ``judge``), and anything that knows a plan, a step or the stack file.
"""
