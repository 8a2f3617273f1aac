"""Carries plans out durably: killed anywhere, a run goes on where it was.

Belongs here: the engine (this is its only importer), which step runs when, what becomes of a step's error, approvals,
cancelling, resuming.
Does not belong here: deciding what to do (``plan``), what a step does (``steps``), building a ``World`` (``app``). What
people read of a run is in ``records``; the engine's own database is nobody's business.
"""
