"""A server of this host that lives as long as a trial: made by initdb, reached over a socket of its own, and never saved."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from understudy.adapters.postgres.accounts import Account
from understudy.adapters.postgres.processes import send_signal, servers_processes
from understudy.adapters.postgres.programs import PostgresPrograms
from understudy.adapters.streams.leftovers import end_marked, end_working_in
from understudy.adapters.streams.program import Program, RunAs, run_program
from understudy.adapters.streams.workplace import Errand
from understudy.vocabulary.errors import GiveUp

SERVER_PROGRAMS = ("initdb", "postgres")
_SUPERUSER, _PORT = "postgres", 5432
_LOOK_EVERY_SECONDS = 0.05
_START_SECONDS, _STOP_SECONDS = 60.0, 20.0
_WORDS_BYTES = 2000
_SETTINGS = {
    "listen_addresses": "", "port": str(_PORT), "fsync": "off", "full_page_writes": "off", "synchronous_commit": "off",
    "wal_level": "minimal", "max_wal_senders": "0", "max_wal_size": "2GB", "archive_mode": "off", "autovacuum": "off",
    "max_logical_replication_workers": "0", "shared_preload_libraries": "", "lc_messages": "C",
    "dynamic_shared_memory_type": "mmap",
}  # fmt: skip
"""It keeps nothing for anybody: what it loses with the machine is loaded anew."""


class ScratchServer:
    """In ``directory``: its data and its log. The server's user must be able to reach it."""

    def __init__(self, directory: Path, socket_directory: Path, account: Account, errand: Errand) -> None:
        self._directory = directory
        self._data = directory / "data"
        self._sockets = socket_directory
        self._account = account
        self._errand = errand
        self._clock = errand.workplace.clock

    @contextmanager
    def running(self, programs: PostgresPrograms) -> Iterator[str]:
        """A connection string of its superuser, while it runs. Whatever an attempt before left is removed first.

        Raises:
            GiveUp: ``trial_impossible``, ``programs_missing``.
        """
        self.discard()
        try:
            for each in (self._directory, self._sockets):
                each.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
                each.mkdir(mode=0o700)
                if os.geteuid() == 0:
                    os.chown(each, self._account.user_id, self._account.group_id)
        except OSError as error:
            self.discard()
            raise _impossible(f"{error.filename}: {error.strerror}", "a directory for a server of its own") from error
        try:
            self._initialise(programs)
            process = self._start(programs)
            try:
                self._await(process)
                who = f"user={_SUPERUSER} dbname={_SUPERUSER} sslmode=disable passfile=/dev/null"
                yield f"host={self._sockets} port={_PORT} {who}"
            finally:
                self._stop()
                process.wait()
        finally:
            self.discard()

    def discard(self) -> None:
        """What is left of one is ended and removed. Nothing happens where there is none."""
        end_marked(self._errand.mark, self._clock)  # who speaks with it
        self._stop()
        shutil.rmtree(self._directory, ignore_errors=True)
        shutil.rmtree(self._sockets, ignore_errors=True)

    def _initialise(self, programs: PostgresPrograms) -> None:
        made = Program(
            arguments=(
                programs.path("initdb"), f"--pgdata={self._data}", f"--username={_SUPERUSER}", "--auth=trust", "--encoding=UTF8",
                "--locale=C", "--no-sync", "--no-instructions",
            ),
            time_limit=self._errand.time_limit,
            mark=self._errand.mark,
            run_as=self._run_as(),
        )  # fmt: skip
        ended = run_program(made, self._errand.workplace)
        if ended.status != 0:
            raise _impossible(f"initdb {ended.told}", "a server of its own on this host")

    def _start(self, programs: PostgresPrograms) -> subprocess.Popen[bytes]:
        command = [programs.path("postgres"), "-D", str(self._data), "-k", str(self._sockets)]
        for name, value in _SETTINGS.items():
            command += ["-c", f"{name}={value}"]
        mark = f"{self._errand.mark}/server"  # not that of who speaks with it, which is ended where one of them is
        plain = Program(arguments=tuple(command), time_limit=self._errand.time_limit, mark=mark)
        try:
            with (self._directory / "log").open("wb") as log:
                return subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", env=plain.full_environment(),
                    start_new_session=True, **self._run_as(),
                )  # fmt: skip
        except OSError as error:
            raise _impossible(f"{command[0]} cannot be started: {error.strerror}", "a server of its own on this host") from error

    def _await(self, process: subprocess.Popen[bytes]) -> None:
        deadline = self._clock.monotonic_seconds() + _START_SECONDS
        while process.poll() is None and self._clock.monotonic_seconds() < deadline:
            self._errand.workplace.cancellation.raise_if_requested()
            if self._is_ready():
                return
            self._clock.wait(_LOOK_EVERY_SECONDS)
        words = " ".join((self._directory / "log").read_text(errors="replace")[-_WORDS_BYTES:].split())
        raise _impossible(f"the server did not come up: {words or 'it said nothing'}", "a server of its own on this host")

    def _is_ready(self) -> bool:
        """By the last line of its lock file (``AddToDataDirLockFile``), as pg_ctl has it."""
        with suppress(OSError):
            lines = (self._data / "postmaster.pid").read_text().splitlines()
            return len(lines) > 7 and lines[7].strip() == "ready"
        return False

    def _stop(self) -> None:
        """Its fast shutdown, so that its shared memory goes with it; after a while without asking."""
        with suppress(OSError, ValueError, IndexError):
            pid = int((self._data / "postmaster.pid").read_text().splitlines()[0])
            send_signal(pid, str(self._data), signal.SIGINT)
        deadline = self._clock.monotonic_seconds() + _STOP_SECONDS
        while servers_processes(str(self._data)) and self._clock.monotonic_seconds() < deadline:
            self._clock.wait(_LOOK_EVERY_SECONDS)
        end_working_in(self._data, self._clock)

    def _run_as(self) -> RunAs:
        if os.geteuid() != 0:
            return RunAs()
        return RunAs(user=self._account.user_id, group=self._account.group_id, extra_groups=())


def _impossible(found: str, expected: str) -> GiveUp:
    return GiveUp(
        "trial_impossible",
        found=found,
        expected=expected,
        hint="what was restored is as it was stored; load it into a server yourself to be certain: understudy restore … --load",
    )
