"""A server that the operator's commands end and start, and whose data a recovery puts in place."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from understudy.vocabulary.json import JsonObject


class OperatedServer(Protocol):
    """Of one resource, for one run."""

    @property
    def shown(self) -> str:
        """Its address, to people, without credentials."""
        ...

    def answers(self) -> bool:
        """Whether anything answers at its address; also what does not let us in, or is loading its data.

        Raises:
            GiveUp: ``program_missing``, ``url_malformed``, ``secret_missing``: it cannot be asked.
        """
        ...

    def stop(self) -> None:
        """Carry out the command that ends it. Twice is the same as once, where the command says so: it is not asked otherwise.

        Raises:
            GiveUp: ``stop_undeclared``, ``stop_failed``, ``program_missing``, ``program_unusable``.
        """
        ...

    def hand_over(self, content: Path) -> None:
        """Give the file, and the directory it lies in, to the server's own user.

        Raises:
            GiveUp: ``server_user_missing``, ``target_unwritable``.
        """
        ...

    def start(self) -> None:
        """Carry out the command that starts it; it may go on as long as the server runs, or end before.

        Raises:
            GiveUp: ``start_failed``, ``program_missing``, ``program_unusable``.
        """
        ...

    def holds(self) -> JsonObject:
        """What is counted in it, once it has loaded everything: ``{"server_version", "keys", …}``.

        Raises:
            TryAgain: ``source_unreachable``, ``server_loading``.
            GiveUp: ``source_denied``.
        """
        ...
