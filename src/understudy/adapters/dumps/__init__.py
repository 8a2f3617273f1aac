"""Logical dumps: pg_dump and its siblings against a server, what they write as a collection, and loading that.

Belongs here: starting these programs, the directory that they write to until it is stored, what is counted beside them.
Does not belong here: base backups and WAL (``adapters.postgres``), and how snapshots are stored (``repository``).
"""
