"""Real servers, real stores, every kind of target, through the use cases that the command line calls.

Belongs here: what was destroyed, restored and compared with its source; and copies that were damaged, and must be refused.
Does not belong here: single adapters (``tests/adapters``), processes that are killed midway (``tests/crash``).
"""
