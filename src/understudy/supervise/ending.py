"""How long a loop may take to end. What it is in the middle of may be done twice, so nothing is lost by not waiting longer."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from understudy.ports.clock import Clock

ENDING_SECONDS = 5.0
"""A store that does not answer, or a commit that waits for its synchronous standby, must not hold up the end of the process."""


def join_all(threads: Sequence[threading.Thread], clock: Clock) -> None:
    """Wait for all of them together for at most ``ENDING_SECONDS``; they are daemons and end with the process."""
    until = clock.monotonic_seconds() + ENDING_SECONDS
    for thread in threads:
        thread.join(max(0.0, until - clock.monotonic_seconds()))
