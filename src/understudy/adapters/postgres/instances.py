"""``ports.Instances`` on this host: the program ``postgres`` itself, started, asked and stopped."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import psycopg

from understudy.adapters.postgres.accounts import Account
from understudy.adapters.postgres.cluster_programs import ClusterPrograms, programs_unreachable
from understudy.adapters.postgres.collations import changed_collations
from understudy.adapters.postgres.configuration import (
    STARTED_MARK,
    ServerFiles,
    command_line,
    make_empty,
    make_socket_directory,
    open_log,
    shell_command,
    socket_directories,
    write_closed_authentication,
    write_configuration,
    write_own_authentication,
)
from understudy.adapters.postgres.entrances import Entrances, ServerRefuses, in_one_line, instance_refuses_us, names_no_database
from understudy.adapters.postgres.instance_questions import IS_AMCHECK_THERE, ask_state
from understudy.adapters.postgres.isolation import is_cut_off, start_server
from understudy.adapters.postgres.last_words import collected_log_tail, log_tail, why_it_ended
from understudy.adapters.postgres.local_session import LocalSession, Rows, local_session
from understudy.adapters.postgres.lock_file import LockFile, ServerStatus
from understudy.adapters.postgres.logical_read import LogicalReader
from understudy.adapters.postgres.processes import send_signal, servers_processes, works_in
from understudy.adapters.postgres.programs import PostgresPrograms
from understudy.adapters.postgres.shared_catalogs import superusers
from understudy.adapters.postgres.socket_lock import remove_stale_socket_lock
from understudy.ports.clock import Clock
from understudy.ports.instance import CollationChanges, ControlData, InstanceFacts, InstancePlace, LogicalRead, StopMode
from understudy.ports.running import Cancellation, Progress
from understudy.vocabulary.errors import GiveUp, TryAgain, UnderstudyError

T = TypeVar("T")

_POLL_SECONDS = 0.02
_LINGER_SECONDS = 30.0
_START_SECONDS = 30.0
_EARLY_END_SECONDS = 0.3
"""How long ``start`` stays to see a server fail on its configuration, which it does at once or not at all."""
_STOP_SECONDS = 120.0
_CONNECTIONS_OF_A_READER = 4
"""Its own, that of the snapshot it reads by, that of ``pg_dump``, and one to spare."""
_STOP_SIGNALS = {StopMode.FAST: signal.SIGINT, StopMode.IMMEDIATE: signal.SIGQUIT}
_ANSWERING = (ServerStatus.READY, ServerStatus.STANDBY)

_children: list[subprocess.Popen[bytes]] = []
"""Servers that this process started and has not yet seen end; they outlive it, and are adopted by their lock file."""


class LocalInstances:
    """Servers as one unprivileged user, with one major version's programs."""

    def __init__(self, programs: PostgresPrograms, clock: Clock, *, account: Account | None = None) -> None:
        self._programs = programs
        self._clock = clock
        self._account = account or Account.choose()
        self._tools = ClusterPrograms(programs, self._account)
        self._entrances = Entrances()

    @property
    def owner(self) -> tuple[int, int]:
        return self._account.user_id, self._account.group_id

    def major(self) -> int:
        return self._programs.major

    def control_data(self, directory: str) -> ControlData:
        self._check_major(directory)
        return self._tools.control_data(directory)

    def start(self, place: InstancePlace, settings: Mapping[str, str], hba_lines: Sequence[str] | None = None) -> None:
        self._check_major(place.directory)
        if self._runs_here(place):
            return
        _check_tablespaces(place.directory)
        self._wait_until_gone(place, _LINGER_SECONDS, "instance_lingering")
        own_configuration = (Path(place.directory) / "postgresql.conf").exists()
        files = self._write_files(place, settings, hba_lines, own_configuration)
        closed = hba_lines is not None
        for directory in socket_directories(place, closed=closed):
            remove_stale_socket_lock(directory, place.port)
        arguments = command_line(
            self._programs.path("postgres"), place, settings, files, closed=closed, own_configuration=own_configuration
        )
        self._see_it_begin(place, self._launch(arguments, place, cut_off=closed and not place.listen_addresses))

    def command_to_start(self, place: InstancePlace, settings: Mapping[str, str]) -> str:
        return shell_command(self._programs.directory, place, settings, self._account)

    def facts(self, place: InstancePlace) -> InstanceFacts:
        _reap()
        words = self._words(place)
        lock = self._live_lock(place.directory)
        running = lock is not None or bool(servers_processes(place.directory))
        if lock is None or lock.status not in _ANSWERING:
            return _without_connection(running, words)
        try:
            with self._entrances.session(place) as session:
                return ask_state(session, words)
        except ServerRefuses as refused:
            return _without_connection(running, words, str(refused))
        except psycopg.OperationalError:
            return _without_connection(running, words)

    def is_cut_off(self, place: InstancePlace) -> bool | None:
        lock = self._live_lock(place.directory)
        return None if lock is None else is_cut_off(lock.pid)

    def promote(self, place: InstancePlace) -> None:
        facts = self.facts(place)
        if facts.in_recovery is False:
            return
        if facts.accepts_connections:
            self.query(place, "SELECT pg_promote(false)")
            return
        lock = self._live_lock(place.directory)
        if lock is None:
            raise self._why_it_ended(place)
        # What pg_ctl promote does (src/bin/pg_ctl/pg_ctl.c, do_promote): it works before connections are accepted, too.
        request = Path(place.directory) / "promote"
        make_empty(request, self._account)
        if not send_signal(lock.pid, place.directory, signal.SIGUSR1):
            request.unlink(missing_ok=True)
            raise self._why_it_ended(place)

    def stop(self, place: InstancePlace, mode: StopMode) -> None:
        lock = self._live_lock(place.directory)
        if lock is not None:
            send_signal(lock.pid, place.directory, _STOP_SIGNALS[mode])
        self._wait_until_gone(place, _STOP_SECONDS, "instance_stopping")

    def query(self, place: InstancePlace, sql: str, database: str | None = None) -> Rows:
        return self._in_session(place, database, lambda session: session.rows(sql))

    def ask(self, place: InstancePlace, check: str, database: str, limit: timedelta) -> Rows:
        return self._in_session(place, database, lambda session: session.answer(check, limit))

    def execute(self, place: InstancePlace, statements: Sequence[str], database: str | None = None) -> None:
        def carry_out(session: LocalSession) -> None:
            for statement in statements:
                session.rows(statement)

        self._in_session(place, database, carry_out)

    def verify_checksums(self, directory: str) -> tuple[int, int]:
        self._check_major(directory)
        return self._tools.verify_checksums(directory)

    def read_logically(
        self, place: InstancePlace, databases: Sequence[str], workers: int, progress: Progress, cancellation: Cancellation
    ) -> Mapping[str, LogicalRead]:
        superuser = self._superuser(place)
        reader = LogicalReader(
            connect=lambda name: local_session(place, superuser, name, "SQL_ASCII"),
            dump_definitions=lambda name, snapshot: self._tools.dump_definitions(place, superuser, name, snapshot),
            major=self.major(),
        )
        room = int(self.query(place, "SHOW max_connections")[0][0] or 0) // _CONNECTIONS_OF_A_READER
        with self._connecting(place):
            return reader.read(databases, max(1, min(workers, room)), progress, cancellation)

    def changed_collations(self, place: InstancePlace, database: str) -> CollationChanges:
        return changed_collations(lambda sql: self.query(place, sql, database), self.major())

    def check_structure(self, place: InstancePlace, database: str, workers: int) -> int | None:
        relations = self.query(place, IS_AMCHECK_THERE, database)
        if not relations or relations[0][0] is None:
            return None
        self._tools.check_structure(place, self._superuser(place), database, workers)
        return int(relations[0][0])

    def _write_files(
        self, place: InstancePlace, settings: Mapping[str, str], hba_lines: Sequence[str] | None, own_configuration: bool
    ) -> ServerFiles:
        """
        Raises:
            GiveUp: ``socket_directory_unusable``.
        """
        try:
            files = make_socket_directory(place, self._account)
            if not own_configuration:
                write_configuration(files, self.control_data(place.directory).required_settings, self._account)
            if hba_lines is not None:
                write_closed_authentication(files, hba_lines, self._account)
            else:
                superuser = superusers(place.directory)[0]
                write_own_authentication(files, place, settings, superuser, self.major(), self._account)
        except OSError as error:
            raise GiveUp(
                "socket_directory_unusable",
                found=f"{error.filename or place.socket_directory}: {error.strerror}",
                expected=f"that {place.socket_directory} can be made and written to by {self._account.name} and by us",
                hint="run this as root or as the server's user, or make the directory and give it to that user",
            ) from error
        return files

    def _check_major(self, directory: str) -> None:
        """
        Raises:
            GiveUp: ``programs_wrong_major``, ``not_a_data_directory``.
        """
        try:
            found = (Path(directory) / "PG_VERSION").read_text().strip()
        except OSError as error:
            raise GiveUp(
                "not_a_data_directory",
                found=f"{directory} has no readable PG_VERSION: {error.strerror}",
                expected="the data directory of a PostgreSQL server",
                hint="check the path; a restore that was cut short is completed by resuming its run",
            ) from error
        if found != str(self._programs.major):
            raise GiveUp(
                "programs_wrong_major",
                found=f"{directory} is of PostgreSQL {found}, the programs in {self._programs.directory} of {self.major()}",
                expected=f"programs of PostgreSQL {found}",
                hint=f"install PostgreSQL {found} and name its directory in the stack file (recover.programs)",
            )

    def _live_lock(self, directory: str) -> LockFile | None:
        """The lock file, if its server lives."""
        lock = LockFile.read(directory)
        return lock if lock is not None and works_in(lock.pid, directory) else None

    def _runs_here(self, place: InstancePlace) -> bool:
        """Whether the server that we would start runs already.

        Raises:
            GiveUp: ``place_busy``: another one runs on the data.
        """
        lock = self._live_lock(place.directory)
        if lock is None or lock.status is ServerStatus.STOPPING:
            return False
        same_socket = lock.socket_directory is None or lock.socket_directory == place.socket_directory
        if same_socket and lock.port in (None, place.port):
            return True
        raise GiveUp(
            "place_busy",
            found=f"a server (process {lock.pid}, port {lock.port}, socket in {lock.socket_directory}) runs in {place.directory}",
            expected=f"none, or ours with its socket in {place.socket_directory}",
            hint="stop it first, with the tool that started it; it is not Understudy's to stop here",
        )

    def _launch(self, arguments: list[str], place: InstancePlace, *, cut_off: bool) -> subprocess.Popen[bytes]:
        """
        Raises:
            GiveUp: ``log_unusable``, ``programs_unreachable``.
        """
        try:
            descriptor = open_log(place, self._account)
        except OSError as error:
            raise GiveUp(
                "log_unusable",
                found=f"{place.log_file}: {error.strerror}",
                expected=f"a log that {self._account.name} owns, or none yet, in a directory that we may write to",
                hint="move away what is there, or name another file as recover.log in the stack file; then start again",
            ) from error
        with os.fdopen(descriptor, "wb") as log:
            try:
                process = start_server(arguments, log, self._account, cut_off=cut_off)
            except OSError as error:
                raise programs_unreachable(arguments[0], self._account, error) from error
        _children.append(process)
        return process

    def _see_it_begin(self, place: InstancePlace, process: subprocess.Popen[bytes]) -> None:
        """Until its startup process is at work, so that faults of configuration are told by ``start`` itself.

        Raises:
            GiveUp: it ended again.
            TryAgain: ``instance_starting``: it has not even begun.
        """
        begun_by = self._clock.monotonic_seconds() + _START_SECONDS
        leave_at: float | None = None
        while True:
            if process.poll() is not None:
                raise self._why_it_ended(place)
            lock = LockFile.read(place.directory)
            status = lock.status if lock is not None and lock.pid == process.pid else None
            now = self._clock.monotonic_seconds()
            if status in _ANSWERING or (leave_at is not None and now >= leave_at):
                return
            if status is not None and leave_at is None:
                leave_at = now + _EARLY_END_SECONDS
            if leave_at is None and now >= begun_by:
                raise _starting(place)
            self._clock.wait(_POLL_SECONDS)

    def _wait_until_gone(self, place: InstancePlace, limit_seconds: float, code: str) -> None:
        """Until no process of the server is left: children of a postmaster that was killed live on for a moment, and write."""
        deadline = self._clock.monotonic_seconds() + limit_seconds
        while left := servers_processes(place.directory):
            _reap()
            if self._clock.monotonic_seconds() >= deadline:
                raise TryAgain(
                    code,
                    found=f"processes {', '.join(map(str, left))} still work in {place.directory}",
                    expected=f"that all have ended within {limit_seconds:.0f} s",
                    hint="it may be writing its last checkpoint; see what they do with: ps -o pid,etime,cmd -p "
                    + ",".join(map(str, left)),
                )
            self._clock.wait(_POLL_SECONDS)
        _reap()

    def _in_session(self, place: InstancePlace, database: str | None, work: Callable[[LocalSession], T]) -> T:
        with self._connecting(place), self._entrances.session(place, database) as session:
            return work(session)

    def _superuser(self, place: InstancePlace) -> str:
        with self._connecting(place):
            return self._entrances.superuser(place)

    @contextmanager
    def _connecting(self, place: InstancePlace) -> Iterator[None]:
        try:
            yield
        except ServerRefuses as refused:
            raise instance_refuses_us(place, refused) from refused
        except psycopg.OperationalError as error:
            raise self._no_connection(place, in_one_line(error)) from error

    def _no_connection(self, place: InstancePlace, message: str) -> UnderstudyError:
        _reap()
        if self._live_lock(place.directory) is None:
            return self._why_it_ended(place)
        if names_no_database(message):
            return GiveUp(
                "database_error",
                found=message,
                expected="a database of that name that allows connections",
                hint="list what is there with: select datname, datallowconn from pg_database",
            )
        return _starting(place, message)

    def _why_it_ended(self, place: InstancePlace) -> GiveUp:
        return why_it_ended(self._words(place), place.directory, place.log_file)

    def _words(self, place: InstancePlace) -> tuple[str, ...]:
        """Of the log that it was started with, then of the one that its own logging collector writes, if it does."""
        collected = collected_log_tail(Path(place.directory), self._account.user_id)
        return log_tail(Path(place.log_file), STARTED_MARK) + collected


def _check_tablespaces(directory: str) -> None:
    """PostgreSQL starts without a tablespace's directory, says so in its log only, and fails whoever reads a table there.

    Raises:
        GiveUp: ``tablespace_missing``.
    """
    links = Path(directory) / "pg_tblspc"
    for link in sorted(links.iterdir()) if links.is_dir() else ():
        if not link.is_dir():
            raise GiveUp(
                "tablespace_missing",
                found=f"{link} leads to {link.readlink() if link.is_symlink() else 'a file'}, and there is no directory",
                expected="the directory of each tablespace",
                hint="mount or restore it there; in a restore, name a directory for each tablespace",
            )


def _reap() -> None:
    """Take note of servers of ours that have ended, so that they do not stay as zombies."""
    _children[:] = [process for process in _children if process.poll() is None]


def _starting(place: InstancePlace, message: str = "it does not accept connections yet") -> TryAgain:
    return TryAgain(
        "instance_starting",
        found=f"the server in {place.directory} runs: {message}",
        expected="that it accepts connections",
        hint=f"it is starting or replaying; follow {place.log_file}",
    )


def _without_connection(running: bool, words: tuple[str, ...], refusal: str = "") -> InstanceFacts:
    return InstanceFacts(
        running=running,
        accepts_connections=False,
        in_recovery=None,
        replayed=None,
        last_replayed_commit=None,
        replay_paused=None,
        timeline=None,
        last_words=words,
        refusal=refusal,
    )
