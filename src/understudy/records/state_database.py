"""The state database: SQLite in WAL mode, so that ``status`` reads while a run writes."""

from __future__ import annotations

import secrets
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from understudy.records.private_files import make_private_database
from understudy.vocabulary.errors import GiveUp

BUSY_TIMEOUT_MILLISECONDS = 30_000

# Each entry lifts the schema by one version and is never changed once released: databases in the field ran it as it was.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE controller (
            id TEXT PRIMARY KEY)""",
        """CREATE TABLE runs (
            run TEXT PRIMARY KEY,
            plan_id TEXT NOT NULL,
            plan TEXT NOT NULL,
            procedure TEXT NOT NULL,
            mode TEXT NOT NULL,
            subject TEXT NOT NULL,
            stack_digest TEXT NOT NULL,
            state TEXT NOT NULL,
            executor TEXT,
            submitted TEXT NOT NULL,
            started TEXT,
            ended TEXT,
            cancel_requested_by TEXT,
            cancel_requested TEXT,
            error TEXT)""",
        "CREATE INDEX runs_by_state ON runs (state)",
        """CREATE TABLE steps (
            run TEXT NOT NULL REFERENCES runs (run),
            step TEXT NOT NULL,
            ordinal INTEGER NOT NULL,
            state TEXT NOT NULL,
            attempts INTEGER NOT NULL DEFAULT 0,
            started TEXT,
            ended TEXT,
            again_at TEXT,
            evidence TEXT,
            error TEXT,
            approval_question TEXT,
            approved_by TEXT,
            approved TEXT,
            PRIMARY KEY (run, step))""",
        """CREATE TABLE progress (
            run TEXT NOT NULL,
            step TEXT NOT NULL,
            activity TEXT NOT NULL,
            done INTEGER NOT NULL,
            total INTEGER,
            unit TEXT NOT NULL,
            at TEXT NOT NULL,
            PRIMARY KEY (run, step))""",
        """CREATE TABLE holds (
            run TEXT NOT NULL REFERENCES runs (run),
            subject TEXT NOT NULL,
            exclusive INTEGER NOT NULL,
            PRIMARY KEY (subject, run))""",
        """CREATE TABLE chain (
            sequence INTEGER PRIMARY KEY,
            run TEXT NOT NULL,
            step TEXT NOT NULL,
            record TEXT NOT NULL,
            record_sha256 TEXT NOT NULL,
            previous TEXT NOT NULL,
            digest TEXT NOT NULL,
            UNIQUE (run, step))""",
        """CREATE TABLE chain_head (
            only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
            head TEXT NOT NULL)""",
    ),
    (
        """CREATE TABLE observations (
            subject TEXT NOT NULL,
            kind TEXT NOT NULL,
            value TEXT NOT NULL,
            at TEXT NOT NULL,
            PRIMARY KEY (subject, kind))""",
    ),
    (
        """CREATE TABLE requests (
            request TEXT PRIMARY KEY,
            asked TEXT NOT NULL,
            submitted TEXT NOT NULL,
            ended TEXT,
            error TEXT)""",
        "ALTER TABLE runs ADD COLUMN request TEXT REFERENCES requests (request)",
        "ALTER TABLE runs ADD COLUMN follows TEXT REFERENCES runs (run)",
        "CREATE INDEX runs_by_request ON runs (request)",
        "CREATE UNIQUE INDEX runs_by_predecessor ON runs (follows)",
    ),
    ("ALTER TABLE steps ADD COLUMN held_up_since TEXT",),
    (
        """CREATE TABLE readings (
            repository TEXT NOT NULL,
            resource TEXT NOT NULL,
            unit TEXT NOT NULL,
            size_bytes INTEGER NOT NULL,
            read TEXT,
            run TEXT,
            fault TEXT,
            damaged_since TEXT,
            PRIMARY KEY (repository, resource, unit)) WITHOUT ROWID""",
        "CREATE INDEX damaged_readings ON readings (repository, resource) WHERE fault IS NOT NULL",
    ),
)


class StateDatabase:
    """One connection, guarded by a lock, so that the threads of a run share it. Everything written is durable when it returns."""

    def __init__(self, path: Path) -> None:
        """Open ``path``, make it if need be, and lift its schema to this version's.

        Raises:
            GiveUp: ``state_newer``: a newer Understudy wrote it; ``state_damaged``, ``state_unwritable``.
        """
        self.path = path
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            make_private_database(path)
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._prepare()
        except (sqlite3.Error, OSError) as error:
            fault = state_fault(error, path)
            if fault is None:
                raise
            raise fault from error

    def _prepare(self) -> None:
        self._connection.row_factory = sqlite3.Row
        self._connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MILLISECONDS}")
        if self._connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._migrate()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that holds the write lock from its start, so that what it read is still true when it writes."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent view; does not wait for writers, nor they for it."""
        with self._lock:
            self._connection.execute("BEGIN")
            try:
                yield self._connection
            finally:
                self._roll_back()

    def _roll_back(self) -> None:
        """SQLite does so by itself when the disk is full or fails, and would then call it an error."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def _migrate(self) -> None:
        if self._version() == len(MIGRATIONS):
            return
        with self.writing() as connection:
            version = self._version()
            if version > len(MIGRATIONS):
                raise GiveUp(
                    "state_newer",
                    found=f"{self.path} has schema version {version}",
                    expected=f"at most {len(MIGRATIONS)}",
                    hint="a newer Understudy wrote it: upgrade this one",
                )
            for statements in MIGRATIONS[version:]:
                for statement in statements:
                    connection.execute(statement)
            if version == 0:
                connection.execute("INSERT INTO controller (id) VALUES (?)", (secrets.token_hex(8),))
            connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    def _version(self) -> int:
        return int(self._connection.execute("PRAGMA user_version").fetchone()[0])


@contextmanager
def readable_copy(state: Path) -> Iterator[Path]:
    """A directory with a copy of the state database, for where SQLite may not write beside what it reads."""
    with tempfile.TemporaryDirectory(prefix="understudy-state-") as directory:
        for name in ("state.db-wal", "state.db"):
            with suppress(FileNotFoundError):
                shutil.copyfile(state / name, Path(directory) / name)
        yield Path(directory)


_CHECKED_BYTES = 32 * 1024 * 1024


def damage_of(path: Path) -> GiveUp | None:
    """Whether the database is damaged anywhere; None also where it cannot be looked at, which opening it tells better.

    Of a large one, whose every page would be read each second by who watches, only one table is checked: damage elsewhere is told
    by whoever reads it.
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            whole = path.stat().st_size <= _CHECKED_BYTES
            asked = "PRAGMA quick_check(1)" if whole else "PRAGMA quick_check(observations)"
            found = str(connection.execute(asked).fetchone()[0])
    except sqlite3.Error as error:
        fault = state_fault(error, path)
        return fault if fault is not None and fault.code == "state_damaged" else None
    return None if found == "ok" else state_damaged(f"{path}: {found}")


_DAMAGED = ("SQLITE_NOTADB", "SQLITE_CORRUPT")
_UNWRITABLE = ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_FULL", "SQLITE_IOERR", "SQLITE_BUSY")
STATE_UNWRITABLE = "state_unwritable"


def state_fault(error: BaseException, path: Path | str = "the state database") -> GiveUp | None:
    """What befell the state database, in words that can be acted on; None for a defect."""
    name = str(getattr(error, "sqlite_errorname", ""))
    if name.startswith(_DAMAGED):
        return state_damaged(f"{path}: {error}")
    if name.startswith(_UNWRITABLE) or isinstance(error, OSError):
        return state_unwritable(f"{path}: {error}")
    return None


@contextmanager
def as_state_faults() -> Iterator[None]:
    """For who goes on although the state directory is full or fails: what SQLite says of that, in the error tree."""
    try:
        yield
    except sqlite3.Error as error:
        fault = state_fault(error)
        if fault is None:
            raise
        raise fault from error


@contextmanager
def writing_beside(file: Path) -> Iterator[None]:
    """For a file of the state directory that is written inside.

    Raises:
        GiveUp: ``state_unwritable``.
    """
    try:
        yield
    except OSError as error:
        raise state_unwritable(f"{file}: {error.strerror}") from error


def state_unwritable(found: str) -> GiveUp:
    return GiveUp(
        STATE_UNWRITABLE,
        found=found,
        expected="a state directory that can be made and written to, with free space",
        hint="mend it (see: df -h, findmnt, ls -ld), or name another with --state; understudy status tells what it can",
    )


def state_denied(error: PermissionError) -> GiveUp:
    return GiveUp(
        "state_denied",
        found=f"{error.filename}: {error.strerror}",
        expected="a state directory of the user that runs this",
        hint="run understudy as the user that owns the state directory, or as root",
    )


def state_damaged(found: str) -> GiveUp:
    return GiveUp(
        "state_damaged",
        found=found,
        expected="the state database as Understudy wrote it",
        hint="restores need none of it: give --state another, empty directory. To go on here, end understudy serve, put back "
        "state.db from a copy of this host, or move state.db, state.db-wal and state.db-shm away: records then begin anew, the "
        "repositories keep backups and copies of the evidence, and understudy backup RESOURCE --take-over writes to them again",
    )
