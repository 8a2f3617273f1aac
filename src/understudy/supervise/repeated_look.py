"""A thread that looks again and again whether something is to be done."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod

from understudy.supervise.ending import ENDING_SECONDS


class RepeatedLook(ABC):
    """Looks at once, when it is started, and then every so often, until it is stopped."""

    def __init__(self, name: str, every_seconds: float) -> None:
        """``name``: the thread's."""
        self._every_seconds = every_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._look_again_and_again, name=name, daemon=True)

    @abstractmethod
    def look(self) -> None:
        """See to whatever is due now. What it raises ends the thread."""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Waits for a look that is under way, but not for ever."""
        self._stopping.set()
        self._thread.join(ENDING_SECONDS)

    def _look_again_and_again(self) -> None:
        while not self._stopping.is_set():
            self.look()
            self._stopping.wait(self._every_seconds)
