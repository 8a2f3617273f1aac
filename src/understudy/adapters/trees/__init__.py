"""Directories with what lies in them, as a collection that is kept and as a target that one is restored into.

Belongs here: reading and writing names, contents and attributes below an opened directory, never through a symbolic link.
Does not belong here: how snapshots are stored (``repository``), and which directory is protected (``stack``).
"""

from understudy.adapters.trees.directory_collection import DirectoryCollection
from understudy.adapters.trees.directory_target import DirectoryTarget

__all__ = ["DirectoryCollection", "DirectoryTarget"]
