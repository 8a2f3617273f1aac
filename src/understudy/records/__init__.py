"""What Understudy remembers: runs, steps, holds, approvals, receipts and the chain of evidence.

Belongs here: the only user of the state database ``<state>/state.db``, the receipts' files, the controller's lock, and the
pure check of an evidence chain. Everything that people see of a run is read from here.
Does not belong here: carrying a plan out (``runner``), saying how well a run went (``judge``), text for people (the doors).

This package imports the standard library only, so that ``status`` is quick; checking signatures loads what it needs when asked.
"""
