"""Major versions of PostgreSQL from which on something is there."""

from __future__ import annotations

FIRST_MAJOR = 13
"""Older ones write no backup manifest."""
FIRST_INCREMENTAL_MAJOR = 17
