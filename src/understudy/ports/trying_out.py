"""Whether what came back is of use: it is used."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from understudy.vocabulary.json import JsonObject


class ContentTrial(Protocol):
    """Of one resource, for one run. It touches neither the content nor anything that serves."""

    def try_out(self, content: Path) -> JsonObject:
        """Use it on this host, where nobody else can reach it, and take everything away again.

        Returns:
            What was counted.
        Raises:
            GiveUp: ``rdb_damaged``, ``trial_failed``: it is of no use, or holds something else than it says.
                ``program_missing``, ``trial_impossible``: it cannot be used on this host, and nothing is known by that.
            Cancelled: asked for.
        """
        ...

    def discard(self) -> None:
        """What an attempt left that was killed: processes are ended, copies removed. Nothing happens where there is none."""
        ...
