"""A repository in a directory (``file://``): any disk that is mounted here.

Belongs here: the file system behind ``ObjectStore``.
Does not belong here: what the objects mean (``repository``).
"""

from understudy.adapters.files.file_store import FileStore

__all__ = ["FileStore"]
