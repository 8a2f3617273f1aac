"""Sealing with GnuPG: its program is run (it is under the GPL, and never imported), with keyrings of our own.

Belongs here: the ``gpg`` program, the temporary homes that it works in, and what its status lines mean.
Does not belong here: what is sealed, and to whom (``repository``); where the keys come from (``app``).
"""

from understudy.adapters.gnupg.gnupg_program import GnupgProgram

__all__ = ["GnupgProgram"]
