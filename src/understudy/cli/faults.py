"""What the host does to a command, in the form of every other error. Imported once something went wrong."""

from __future__ import annotations

import os
import sys

from understudy.records.state_database import state_fault
from understudy.vocabulary.errors import GiveUp


def foreseen(error: Exception) -> GiveUp | None:
    """A refusal of the operating system or of the state database; None for a defect."""
    if not isinstance(error, OSError):
        return state_fault(error)
    place = f"{error.filename}: " if error.filename else "standard output: " if _output_is_stuck() else ""
    return GiveUp(
        "host_refused",
        found=f"{place}{error.strerror or error}",
        expected="files and directories that the user running this may use, on disks with room",
        hint=f"look at {error.filename or 'where the output goes'} (ls -ld, df -h, findmnt), then try again",
    )


def _output_is_stuck() -> bool:
    """If so, what could not be printed is given up, or the interpreter would try again when it ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False
