"""What is no database, as it is stored: parts with contents, listings that name them, and signed manifests.

The decision is ``docs/decisions/0023-what-is-no-database-is-kept-in-snapshots.md``, the format ``docs/repository-format.md``.

Belongs here: writing a collection as a snapshot, reading it back, checking it, and which of its parts nobody needs any more.
Does not belong here: how a directory or a bucket is read and written (``adapters``), and which snapshots stay (``plan``).
"""
