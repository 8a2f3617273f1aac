"""Directories of this host that plans work in, with the markers that say whose they are.

Belongs here: claiming, setting aside and removing directories, safely against races and crashes.
Does not belong here: what is put into them, and which directory a plan should use.
"""

from understudy.adapters.places.local import LocalPlaces

__all__ = ["LocalPlaces"]
