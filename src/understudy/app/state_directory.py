"""Where a control plane keeps what it remembers, unless somebody says otherwise."""

from __future__ import annotations

import os
from pathlib import Path

from understudy.stack.models import Stack


def default_state_directory(stack: Stack) -> Path:
    """Where the stack file says, else below the customary place."""
    return Path(stack.state.directory) if stack.state.directory else customary_state_parent() / stack.stack


def customary_state_parent() -> Path:
    """The system's place for root, else the user's own (XDG Base Directory Specification)."""
    if os.geteuid() == 0:
        return Path("/var/lib/understudy")
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "understudy"
