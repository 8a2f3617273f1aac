"""The ``WalReceiver`` port over ``pg_receivewal``.

It is left to reconnect by itself (no ``--no-loop``), so that it goes on through a restart of the server also while no controller
lives. The slot is reserved before the start, because ``--create-slot`` reserves nothing; the start position is compared with the
server's history before the start, because the server's own refusal comes in its own language.

Against servers before 15 an empty spool begins at the server's current position, not at the slot's: take a full backup then.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from psycopg import pq
from psycopg.conninfo import make_conninfo

from understudy.adapters.postgres.connection import NETWORK_DEFAULTS, ConnectionString, connection_parameters, current
from understudy.adapters.postgres.failures import connection_failure, standby_behind
from understudy.adapters.postgres.processes import is_alive
from understudy.adapters.postgres.programs import CLIENT_PROGRAMS, find_programs
from understudy.adapters.postgres.receiver_log import ReceiverLog
from understudy.adapters.postgres.receiver_process import ReceiverProcess
from understudy.adapters.postgres.spool import StreamStart, WalSpool
from understudy.ports.clock import Clock
from understudy.ports.database import Database, ServerFacts, SlotHolder
from understudy.ports.wal_receiver import ReceiverFacts, SpoolFacts
from understudy.vocabulary.errors import GiveUp, Refusal, TryAgain, UnderstudyError
from understudy.vocabulary.pieces import Pieces
from understudy.vocabulary.synchronous_names import SynchronousNames
from understudy.vocabulary.wal import SET_BACK_HINT, Lsn, Timeline, WalSegment, parse_history_file

_LOOK_EVERY_SECONDS = 0.05
_LOOKS_AT_SLOT = 100
_LOOKS_AT_START = 300
_LEAST_SEGMENTS = 4
_STREAMING = frozenset({"catchup", "streaming"})
_NEVER_ON_A_COMMAND_LINE = frozenset(option.keyword.decode() for option in pq.Conninfo.get_defaults() if option.dispchar == b"*")


@dataclass(frozen=True, slots=True)
class ReceiverOptions:
    slot: str
    spool_directory: Path
    limit_bytes: int
    """Of complete and partial segments. Above it the receiver is stopped, and the server's slot limit decides."""
    application_name: str
    """What ``synchronous_standby_names`` may name."""
    synchronous: bool = False
    """Flush and confirm each write at once. The server waits for it only when its ``synchronous_standby_names`` says so."""
    programs_directory: str | None = None


@dataclass(frozen=True, slots=True)
class _Divergence:
    start: StreamStart
    found: str
    common_end: Lsn | None
    """Up to here spool and server hold the same; None when that isn't known."""
    fork: Lsn | None
    """Where the server's own history says that it left the spool's timeline."""


class PostgresWalReceiver:
    """One ``pg_receivewal``, by its spool. Safe to use from several threads."""

    def __init__(
        self, conninfo: ConnectionString, database: Callable[[], Database], clock: Clock, options: ReceiverOptions
    ) -> None:
        """``database`` is called when the server is needed: the spool is read also where nothing leads to the server any more."""
        self._conninfo = conninfo
        self._reach_database = database
        self._clock = clock
        self._options = options
        self._spool = WalSpool(options.spool_directory)
        self._process = ReceiverProcess(options.spool_directory / "lock", clock)
        self._log = ReceiverLog(options.spool_directory / "receiver.log")
        self._passfile = options.spool_directory / "passfile"
        self._lock = threading.Lock()

    @property
    def _database(self) -> Database:
        return self._reach_database()

    def ensure_running(self, begin_with: WalSegment | None = None) -> ReceiverFacts:
        """
        Raises:
            GiveUp: as the port says, and ``receiver_diverged``: the spool holds WAL that the server's history does not have.
        """
        with self._lock:
            running = self._process.find() is not None
            self._refuse_when_full(running)
            if running:
                self._log.keep_small()
                if not self._log.disconnected():
                    return self.facts()
            server = self._database.facts()  # while it cannot be asked, a receiver that runs goes on trying by itself
            self._process.stop()
            self._spool.prepare(server.system_identifier, server.segment_bytes)
            self._refuse_when_disk_full()
            self._refuse_remote_apply(server)
            self._start(server, begin_with)
            return self.facts()

    def stop(self) -> None:
        with self._lock:
            self._process.stop()

    def facts(self) -> ReceiverFacts:
        found = self._process.find()
        words = self._log.last_words()
        return ReceiverFacts(found is not None, found.pid if found else None, found.started if found else None, words)

    def spool(self) -> SpoolFacts:
        return self._spool.facts(self._options.limit_bytes)

    def read_segment(self, segment: WalSegment) -> Pieces:
        return self._spool.read_segment(segment)

    def read_tail(self, segment: WalSegment, offset: int) -> Pieces:
        return self._spool.read_tail(segment, offset)

    def read_history(self, timeline: Timeline) -> bytes:
        return self._spool.read_history(timeline)

    def forget(self, segments: Sequence[WalSegment]) -> None:
        self._spool.forget(segments)

    def quarantine(self, segments: Sequence[WalSegment], reason: str) -> str:
        """Stops the receiver first; ``ensure_running`` goes on from what is left."""
        with self._lock:
            self._process.stop()
            return self._spool.quarantine(segments, reason, self._clock.now())

    def quarantine_diverged(self, reason: str) -> str:
        """Stops the receiver first.

        Raises:
            GiveUp: ``receiver_diverged``: the server does not descend from the spool's timeline, or was set back on it.
        """
        with self._lock:
            self._process.stop()
            divergence = self._divergence()
            if divergence is None:
                return self._spool.quarantine((), reason, self._clock.now())
            if divergence.fork is None:
                raise self._diverged(divergence)
            doomed = self._spool.behind(divergence.start.timeline, divergence.fork)
            return self._spool.quarantine(doomed, reason, self._clock.now())

    def _refuse_when_full(self, running: bool) -> None:
        facts = self.spool()
        room_for_one_more = 0 if running else self._spool.segment_bytes
        if facts.size_bytes + room_for_one_more <= facts.limit_bytes or not facts.segments:
            return
        self._process.stop()
        raise GiveUp(
            "spool_full",
            found=f"{self._spool.wal} holds {facts.size_bytes} bytes in {len(facts.segments)} complete segments",
            expected=f"at most {facts.limit_bytes} bytes, and room for one more segment before the stream goes on",
            hint="WAL is not uploaded as fast as it is written: is a repository unreachable? The stream is stopped, the server "
            "keeps WAL for the slot up to max_slot_wal_keep_size, and synchronous commits wait; it goes on when there is room",
        )

    def _refuse_when_disk_full(self) -> None:
        """Each segment is padded to its full size before a byte is received; without room it would fail for ever."""
        free, wanted = self._spool.free_bytes(), 2 * self._spool.segment_bytes
        if free < wanted:
            raise GiveUp(
                "spool_full",
                found=f"{free} bytes are free on the file system of {self._spool.wal}",
                expected=f"at least {wanted} bytes, two WAL segments",
                hint="make room there; until then the server keeps WAL for the slot up to max_slot_wal_keep_size, "
                "and synchronous commits wait",
            )

    def _refuse_remote_apply(self, server: ServerFacts) -> None:
        """A receiver applies nothing, so under ``remote_apply`` the server's commits would wait for it for ever."""
        names = server.settings.get("synchronous_standby_names", "")
        named = SynchronousNames.parse(names).names(self._options.application_name)
        if named and server.settings.get("synchronous_commit") == "remote_apply":
            raise Refusal(
                "remote_apply_never_ends",
                found=f"synchronous_commit = remote_apply, and synchronous_standby_names = {names!r} names this receiver",
                expected="synchronous_commit = on, which waits until the receiver has flushed",
                hint="ALTER SYSTEM SET synchronous_commit = on; SELECT pg_reload_conf();",
            )

    def _start(self, server: ServerFacts, begin_with: WalSegment | None) -> None:
        options = self._options
        programs = find_programs(server.major, options.programs_directory, CLIENT_PROGRAMS)
        self._refuse_useless_limit(server.segment_bytes)
        with self._process.locked() as lock_descriptor:
            self._spool.mend_unpadded()
            self._align_with_history()
            command = [programs.path("pg_receivewal"), "-D", str(self._spool.wal), "--slot", options.slot, "--verbose"]
            command += ["--no-password", "--status-interval=1", "-d", self._conninfo_without_secrets()]
            command += ["--synchronous"] if options.synchronous else []
            environment = self._environment()
            # Behind all that may refuse: a slot without a receiver fills the server's disk with WAL, and nobody knows of it.
            slot = self._database.reserve_slot(options.slot)
            if begin_with is not None and self._spool.stream_start() is None:
                self._spool.begin_segment(begin_with)
            start = self._spool.stream_start()
            self._wait_for_slot()
            self._log.begin()
            pid = self._process.launch(command, environment, self._log.path, lock_descriptor)
        try:
            self._wait_for_stream(pid)
        except GiveUp as error:
            raise self._wal_removed(error, start, slot.restart_lsn) or error from None

    def _refuse_useless_limit(self, segment_bytes: int) -> None:
        least = _LEAST_SEGMENTS * segment_bytes
        if self._options.limit_bytes < least:
            raise Refusal(
                "spool_limit_too_small",
                found=f"{self._options.limit_bytes} bytes as the spool's limit, with WAL segments of {segment_bytes} bytes",
                expected=f"at least {least} bytes",
                hint="raise the limit: the newest complete segment always stays, and beside it a partial one is written",
            )

    def _align_with_history(self) -> None:
        """Refuse a spool that is ahead of what survived; help over a fork that lies exactly where the spool ends.

        There the server answers with the next timeline at once, which ``pg_receivewal`` (15 to 18) takes for a failure and asks
        again for ever. An empty partial segment of the next timeline makes it begin on that one.
        """
        divergence = self._divergence()
        if divergence is not None:
            raise self._diverged(divergence)
        start = self._spool.stream_start()
        if start is None:
            return
        timeline, _ = self._database.wal_flushed()
        if start.timeline == timeline:
            return
        forks = parse_history_file(self._database.timeline_history(timeline).decode())
        if any(each.parent == start.timeline and each.at == start.lsn for each in forks):
            successor = next((each.parent for each in forks if each.at > start.lsn), timeline)
            self._spool.begin_segment(WalSegment.holding(successor, start.lsn, self._spool.segment_bytes))

    def _divergence(self) -> _Divergence | None:
        start = self._spool.stream_start()
        if start is None:
            return None
        timeline, flushed = self._database.wal_flushed()
        if start.timeline > timeline:
            return _Divergence(start, f"the server is on timeline {timeline}", None, None)
        if start.timeline == timeline:
            if start.lsn > flushed:
                if self._database.query("select pg_is_in_recovery()") == [("t",)]:
                    raise standby_behind(self._database.address, flushed, self._options.spool_directory, start.lsn)
                return _Divergence(start, f"the server has written up to {flushed} only", flushed, None)
            return None
        forks = parse_history_file(self._database.timeline_history(timeline).decode())
        fork = next((each for each in forks if each.parent == start.timeline), None)
        if fork is None:
            found = f"the server, on timeline {timeline}, does not descend from that timeline"
            return _Divergence(start, found, None, None)
        if start.lsn > fork.at:
            return _Divergence(start, f"the server left that timeline at {fork.at}", fork.at, fork.at)
        return None

    def _diverged(self, divergence: _Divergence) -> GiveUp:
        start = divergence.start
        doomed = ", ".join(segment.name for segment in self._spool.behind(start.timeline, divergence.common_end))
        if divergence.fork is not None:
            hint = f"the receiver was ahead of what survived: quarantine {doomed} in {self._spool.wal}, then start it again"
        else:
            hint = (
                f"the server was set back (a snapshot, an older copy), or another one answers at this address; what it no longer "
                f"has is in the spool ({doomed or 'nothing complete'}): leave it there. {SET_BACK_HINT}"
            )
        return GiveUp(
            "receiver_diverged",
            found=f"the spool reaches {start.lsn} on timeline {start.timeline}, but {divergence.found}",
            expected="WAL that is part of the server's history",
            hint=hint,
        )

    def _wait_for_slot(self) -> None:
        """A receiver that ended a moment ago may still be connected, as the server sees it."""
        holder: SlotHolder | None = None
        for _ in range(_LOOKS_AT_SLOT):
            slot = self._database.slot(self._options.slot)
            if slot is None or not slot.active:
                return
            holder = slot.holder
            self._clock.wait(_LOOK_EVERY_SECONDS)
        raise TryAgain(
            "slot_in_use",
            found=f"{holder or 'somebody'} streams through the slot {self._options.slot} of {self._database.address}"
            + (f" (process {holder.pid} of the server)" if holder else ""),
            expected="a slot that is this receiver's own",
            hint="end what streams there: the understudy serve of another controller, then its WAL receiver; it goes on "
            "by itself then. Or give this resource a slot of its own: wal.slot in the stack file",
        )

    def _wait_for_stream(self, pid: int) -> None:
        for _ in range(_LOOKS_AT_START):
            if not is_alive(pid) or self._log.disconnected():
                self._process.stop()
                raise self._failure()
            rows = self._database.standbys()
            if any(row.application_name == self._options.application_name and row.state in _STREAMING for row in rows):
                return
            self._clock.wait(_LOOK_EVERY_SECONDS)
        raise TryAgain(
            "receiver_starting",
            found="; ".join(self._log.last_words()) or f"pg_receivewal (process {pid}) has said nothing yet",
            expected="a stream that has begun",
            hint=f"wait: it is tried again. If it stays so, see {self._options.spool_directory}/receiver.log",
        )

    def _failure(self) -> UnderstudyError:
        cause = self._log.cause_of_failure()
        if "connection to server" in cause:
            return connection_failure(cause, self._database.address)
        return GiveUp(
            "receiver_failed",
            found=cause or "pg_receivewal ended without a word",
            expected="a stream that goes on",
            hint="if WAL that it asks for was removed, there is a gap: drop the slot, quarantine the spool's segments, "
            "start the stream again and take a full backup",
        )

    def _wal_removed(self, error: GiveUp, start: StreamStart | None, kept_from: Lsn | None) -> GiveUp | None:
        """What the server says of it is in the server's language; that it keeps nothing so old is not.

        A receiver that asks for WAL from before its slot sets the slot back to there with its first message, before the server
        refuses. From then on the slot stands where the spool ends, and only the server's directory tells that the WAL is gone.
        """
        if error.code != "receiver_failed" or start is None or kept_from is None:
            return None
        try:
            if start.lsn >= kept_from and not self._is_gone(start):
                return None
        except GiveUp as unseen:
            hint = f"{error.hint}. Whether it was removed can be seen here after {unseen.hint}"
            return GiveUp(error.code, found=error.found, expected=error.expected, hint=hint)
        kept = f"from {kept_from} on only" if start.lsn < kept_from else "no longer"
        return GiveUp(
            "wal_removed",
            found=f"the spool ends at {start.lsn}, the server keeps WAL for slot {self._options.slot} {kept}, "
            f"and answers: {error.found}",
            expected="WAL that goes on where the spool ends",
            hint="the slot was dropped or made anew, and WAL in between is lost for good: a full backup begins anew behind it "
            "(understudy backup RESOURCE --full)",
        )

    def _is_gone(self, start: StreamStart) -> bool:
        """Whether the server has written on behind the spool's end, and no longer has the segment that comes next.

        Source: PostgreSQL manual, ``pg_ls_waldir``: members of ``pg_monitor`` may call it.
        """
        timeline, flushed = self._database.wal_flushed()
        if timeline != start.timeline or flushed <= start.lsn:
            return False
        following = WalSegment.holding(start.timeline, start.lsn, self._spool.segment_bytes).name
        return not self._database.query(f"SELECT FROM pg_ls_waldir() WHERE name = '{following}'")

    @property
    def _parameters(self) -> dict[str, str]:
        return connection_parameters(current(self._conninfo))

    def _conninfo_without_secrets(self) -> str:
        named = NETWORK_DEFAULTS | self._parameters | {"application_name": self._options.application_name}
        left_out = {"password", "dbname", "fallback_application_name", "replication"}
        unsupported = sorted((_NEVER_ON_A_COMMAND_LINE & named.keys()) - left_out)
        if unsupported:
            raise GiveUp(
                "connection_string_unsupported",
                found=f"the connection string holds {', '.join(unsupported)}",
                expected="password as its only secret, because pg_receivewal takes others on its command line only",
                hint="use a client key without a passphrase, readable by the receiver's user only",
            )
        return make_conninfo("", **{name: value for name, value in named.items() if name not in left_out})

    def _environment(self) -> dict[str, str]:
        """libpq's own variables, as they count for our connections too; English messages; the password in a private file."""
        inherited = {name: value for name, value in os.environ.items() if name.startswith("PG")}
        environment = inherited | {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
        if "password" in self._parameters:
            environment["PGPASSFILE"] = str(self._write_passfile())
            environment.pop("PGPASSWORD", None)
        return environment

    def _write_passfile(self) -> Path:
        escaped = self._parameters["password"].replace("\\", "\\\\").replace(":", "\\:")
        descriptor = os.open(self._passfile, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"*:*:*:*:{escaped}\n")
        self._passfile.chmod(0o600)
        return self._passfile
