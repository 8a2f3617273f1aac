"""A host of a test's own on this machine: a network namespace, joined to ours by one cable that can be pulled out.

A killed process leaves a living kernel, which still delivers what was in its sockets. A host that is cut off does not, and that
is the difference that an asynchronous stream shows. Needs root and iproute2.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress

from tests.servers.flavours import server_owner

_NEEDED = ("ip", "nsenter", "setpriv")


class IsolatedHost:
    """Addresses are link-local (RFC 3927), and never leave this machine: without the cable they lead nowhere."""

    def __init__(self) -> None:
        self.name = f"ust-{secrets.token_hex(3)}"
        number = secrets.randbelow(250 * 64)
        third, fourth = 1 + number // 64, number % 64 * 4
        self.address = f"169.254.{third}.{fourth + 2}"
        self._outside_address = f"169.254.{third}.{fourth + 1}"
        self._cable, self._inside = f"{self.name}-o", f"{self.name}-i"
        self._nowhere = ("unreachable", f"169.254.{third}.{fourth}/30", "metric", "4000")

    @staticmethod
    def why_not() -> str:
        """Why this machine can't have one; empty when it can."""
        if os.geteuid() != 0:
            return "this user is not root"
        missing = [program for program in _NEEDED if shutil.which(program) is None]
        return f"{', '.join(missing)} is not installed" if missing else ""

    def command(self, command: Sequence[str]) -> list[str]:
        """``command`` on that host as the servers' user; the process that is started becomes it."""
        account = server_owner()
        assert account is not None, "only root can enter another network namespace"
        user = [f"--reuid={account[1]}", f"--regid={account[2]}", "--clear-groups"]
        return ["nsenter", f"--net=/run/netns/{self.name}", "setpriv", *user, *command]

    def cut_off(self) -> None:
        """From now on not a single packet passes, in neither direction."""
        _ip("-n", self.name, "link", "set", self._inside, "down")

    def __enter__(self) -> IsolatedHost:
        _ip("netns", "add", self.name)
        try:
            _ip("route", "add", *self._nowhere)
            _ip("link", "add", self._cable, "type", "veth", "peer", "name", self._inside, "netns", self.name)
            _ip("address", "add", f"{self._outside_address}/30", "dev", self._cable)
            _ip("link", "set", self._cable, "up")
            _ip("-n", self.name, "address", "add", f"{self.address}/30", "dev", self._inside)
            _ip("-n", self.name, "link", "set", self._inside, "up")
            _ip("-n", self.name, "link", "set", "lo", "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for undo in (("link", "delete", self._cable), ("route", "delete", *self._nowhere)):
            with suppress(RuntimeError):  # it may not be there yet
                _ip(*undo)
        _ip("netns", "delete", self.name)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
