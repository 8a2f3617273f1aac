"""The composition root: a stack file becomes a world, a wish becomes a plan, a plan becomes a run.

Belongs here: one function per use case, that gathers facts, asks ``plan`` for a decision and hands it to the ``runner``; and the
one place that knows which adapter stands behind which port.
Does not belong here: deciding (``plan``), doing (``steps``), saying how it went (``judge``), text (the doors).
"""
