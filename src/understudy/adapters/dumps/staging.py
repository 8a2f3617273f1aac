"""The directory that programs write a dump into, until it is stored."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from understudy.adapters.streams.leftovers import end_marked
from understudy.adapters.streams.workplace import Errand
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.sizes import readable_size


class DumpStaging:
    """``Staging``. In the run's own directory, 0700: what is dumped lies there in the clear."""

    def __init__(self, errand: Errand) -> None:
        self._errand = errand
        self.directory = errand.workplace.scratch / f"{errand.resource}-dump"

    def begin(self) -> None:
        """Empty, and nobody of an attempt that was killed writes into it any more."""
        self.discard()
        try:
            self.directory.mkdir(mode=0o700, parents=True)
        except OSError as error:
            raise self.unusable(error) from error

    def require_room(self, needed_bytes: int) -> None:
        """
        Raises:
            GiveUp: ``staging_too_small``.
        """
        try:
            free = shutil.disk_usage(self.directory).free
        except OSError as error:
            raise self.unusable(error) from error
        if free < needed_bytes:
            raise GiveUp(
                "staging_too_small",
                found=f"{readable_size(free)} are free at {self.directory.parent}, and the tables take "
                f"{readable_size(needed_bytes)}",
                expected="room for a dump of all databases, once, until it is stored",
                hint="make room, or name another state directory: state.directory in the stack file",
            )

    def discard(self) -> None:
        end_marked(self._errand.mark, self._errand.workplace.clock)
        if os.path.lexists(self.directory):
            shutil.rmtree(self.directory, ignore_errors=True)

    def path(self, key: str) -> Path:
        return self.directory / key

    def unusable(self, error: OSError) -> GiveUp:
        return GiveUp(
            "scratch_unusable",
            found=f"{self.directory}: {error.strerror}",
            expected="a directory that can be written, with room for a dump of all databases until it is stored",
            hint="make room in the state directory, or name another one with state.directory in the stack file; then start again",
        )
