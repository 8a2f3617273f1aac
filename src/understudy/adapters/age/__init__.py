"""Sealing with age, always in another process: its work per byte must not hold this interpreter's lock.

Belongs here: the ``age`` program, pyrage in a child process, and the choice between them.
Does not belong here: what is sealed, and to whom (``repository``).
"""

from understudy.adapters.age.age_program import AgeProgram
from understudy.adapters.age.choice import choose_sealer
from understudy.adapters.age.identity import new_identity, recipient_of
from understudy.adapters.age.pyrage_process import PyrageProcess

__all__ = ["AgeProgram", "PyrageProcess", "choose_sealer", "new_identity", "recipient_of"]
