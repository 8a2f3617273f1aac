"""The phases of a recovery: each kind of step names the one that it belongs to, and a run is measured by them."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """In the order of recovery."""

    DETECT = "detect"
    """From the disruption to the first step."""
    FENCE = "fence"
    SHIP = "ship"
    """What this host received last of the WAL, into the repository."""
    PROVISION = "provision"
    RESTORE = "restore"
    REPLAY = "replay"
    PROMOTE = "promote"
    VERIFY = "verify"
    CUT_OVER = "cut_over"
    DEPLOY = "deploy"
    """What serves is started, on what came back."""
    WAITING = "waiting"
    """Between steps: for an approval, for the next try, for a controller that was killed."""
    PROTECT = "protect"
    """Slot, stream and base backup of the recovered server: after it serves again, so outside the recovery time."""
    CLEAN_UP = "clean_up"
