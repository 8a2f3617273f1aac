"""Major versions of PostgreSQL from which on something is there."""

from __future__ import annotations

FIRST_MAJOR = 13
"""Older ones write no backup manifest."""
HBA_INCLUDES_MAJOR = 16
"""Rules of access can include those of another file; before, they can only be copied."""
FIRST_INCREMENTAL_MAJOR = 17
