"""Temporary homes for ``gpg``: a keyring, and where secret keys are in it the agent that holds them. Nobody else's are used.

A home outlives nothing: it is removed when its owner lets go of it or ends; by a process that keeps it, when its owner was
killed; and, when that one was killed too, by the next that makes a home.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

from understudy.vocabulary.errors import GiveUp

_PREFIX = "understudy-gnupg-"
_PLACES = ("/dev/shm", "/tmp")  # noqa: S108  (the first is memory; both names are short, as those of sockets must be)
_KEEPER = """trap '' HUP INT TERM
read -r line
gpgconf --homedir "$1" --kill gpg-agent
rm -rf "$1"
"""
"""Reads until its owner's end of the pipe is closed. Signals to the whole group are not for it."""
_AGENT_CONF = "auto-expand-secmem\ndisable-scdaemon\n"
"""Several messages are opened at once, each in memory that is locked; no smart card is looked for."""
_WITHOUT_PASSPHRASE = re.compile(rb"\(protection\s+none|10:protection4:none")


class Home:
    """A directory for ``--homedir`` of mode 0700, and the process that removes it."""

    def __init__(self, program: str) -> None:
        self._program = program
        _sweep()
        self.directory, lock = _new_directory()
        (self.directory / "gpg-agent.conf").write_text(_AGENT_CONF)
        # Its session is its own, so that it outlives an interrupt at the keyboard.
        keeper = subprocess.Popen(
            ["/bin/sh", "-c", _KEEPER, "understudy-gnupg-keeper", str(self.directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
        )
        self.close = weakref.finalize(self, _let_go, keeper, lock)

    @property
    def is_there(self) -> bool:
        return self.close.alive and self.directory.is_dir()

    def command(self, *arguments: str) -> list[str]:
        """``gpg`` in this home, whatever the options of whoever runs it are; status lines go to where errors go."""
        return [
            self._program, "--homedir", str(self.directory), "--no-options", "--batch", "--no-tty", "--quiet", "--no-greeting",
            "--disable-dirmngr", "--trust-model", "always", "--status-fd", "2", "--pinentry-mode", "error", *arguments,
        ]  # fmt: skip

    def run(self, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """For what is small."""
        return subprocess.run(self.command(*arguments), input=given, capture_output=True, check=False, env=english_environment())

    def listed(self, *arguments: str) -> Iterator[Sequence[str]]:
        """The records of a listing of keys, by their fields. Source: doc/DETAILS of GnuPG."""
        shown = self.run("--with-colons", "--fixed-list-mode", *arguments).stdout.decode(errors="replace")
        for line in shown.splitlines():
            yield line.split(":")

    def holds_protected_keys(self) -> bool:
        """Whether a passphrase would have to be entered. What was just imported is in the form of OpenPGP, which has its own
        word for a key without one."""
        kept = [each.read_bytes() for each in (self.directory / "private-keys-v1.d").glob("*.key")]
        return any(b"protected-private-key" in each and not _WITHOUT_PASSPHRASE.search(each) for each in kept)


def english_environment() -> Mapping[str, str]:
    """Its messages are read, not only shown."""
    return {**os.environ, "LC_ALL": "C", "LANGUAGE": ""}


def _new_directory() -> tuple[Path, int]:
    """With a lock on it that lasts as long as this process."""
    for place in (*_PLACES, tempfile.gettempdir()):
        while os.access(place, os.W_OK | os.X_OK):
            try:
                directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
            except OSError:
                break
            lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
            fcntl.flock(lock, fcntl.LOCK_EX)
            if directory.is_dir():  # else a sweep came between the two
                return directory, lock
            os.close(lock)
    raise GiveUp(
        "sealer_failed",
        found=f"no directory for a keyring can be made in {' or '.join(_PLACES)}",
        expected="a place in memory or on a disk that this user may write to",
        hint="is /tmp full, or not writable? df -h /tmp /dev/shm; ls -ld /tmp",
    )


def _let_go(keeper: subprocess.Popen[bytes], lock: int) -> None:
    cast(IO[bytes], keeper.stdin).close()
    keeper.wait()
    os.close(lock)


def _sweep() -> None:
    """What killed processes left whose keepers were killed, too."""
    for place in _PLACES:
        for directory in Path(place).glob(f"{_PREFIX}*"):
            with suppress(OSError):
                lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
                try:
                    if os.fstat(lock).st_uid == os.geteuid():
                        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        shutil.rmtree(directory)  # the agent of a home that is gone ends by itself
                finally:
                    os.close(lock)
