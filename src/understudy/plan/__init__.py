"""Pure decisions: facts in, a ``Plan`` or a ``Refusal`` out.

Belongs here: what to do, in which order, under which names and at which places. No I/O, no clock (now is a fact), no randomness
(an id is a fact), so that every decision can be replayed from its inputs and tested against an oracle.
Does not belong here: doing any of it (``steps``), or saying how well it went (``judge``).
"""
