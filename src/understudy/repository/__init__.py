"""The format of what is stored: layout, sealing, signatures, manifests, the WAL archive and the catalog.

The specification is ``docs/repository-format.md``; this room is its only implementation.

Belongs here: keys, documents with their strict JSON forms, streams that compress and seal, and what checks all of it.
Does not belong here: how a store or a sealing program is reached (``adapters``), when and what to back up, keep or restore
(``plan``), and the state database (``records``).
"""
