"""The ways of sealing. Each is a format of its own, and opens nothing of the other."""

from __future__ import annotations

from enum import StrEnum


class Sealing(StrEnum):
    """Its value stands in the stack file, and ends the names of what was sealed."""

    AGE = "age"
    GPG = "gpg"
