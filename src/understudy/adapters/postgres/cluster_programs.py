"""PostgreSQL's own programs, run over a data directory or against a server of this host, as the servers' user."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
from dataclasses import dataclass

from understudy.adapters.postgres.accounts import Account
from understudy.adapters.postgres.control_data import parse_control_data
from understudy.adapters.postgres.programs import PostgresPrograms
from understudy.ports.instance import ControlData, InstancePlace
from understudy.vocabulary.errors import GiveUp, UnderstudyError

_READ_BYTES = 1 << 20
_PASSED_ON = ("PATH", "LANG", "LC_CTYPE", "TZ", "TMPDIR")
_BLOCKS_LOOKED_AT = re.compile(r"^Blocks scanned: +(\d+)", re.MULTILINE)
_BLOCKS_BAD = re.compile(r"^Bad checksums: +(\d+)", re.MULTILINE)
_CORRUPTION_FOUND = 2
_RESTRICT_KEY = "understudy"


def plain_environment() -> dict[str, str]:
    """What servers and their programs inherit of our environment: no ``PG…`` variable, none of the secrets that live there."""
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | {"LC_MESSAGES": "C"}


@dataclass(frozen=True, slots=True)
class ClusterPrograms:
    programs: PostgresPrograms
    account: Account

    def control_data(self, directory: str) -> ControlData:
        done = self._run("pg_controldata", "-D", directory)
        if done.returncode == 0:
            return parse_control_data(done.stderr + done.stdout)  # warnings go to the one or the other
        raise GiveUp(
            "control_file_corrupted",
            found=f"pg_controldata cannot read {directory}: {_words(done.stderr)}",
            expected="the data directory of a PostgreSQL server",
            hint="check the path and that the server's user may enter it; if the file is damaged, restore again",
        )

    def verify_checksums(self, directory: str) -> tuple[int, int]:
        """Pages looked at, pages bad."""
        done = self._run("pg_checksums", "--check", "-D", directory)
        looked_at, bad = _BLOCKS_LOOKED_AT.search(done.stdout), _BLOCKS_BAD.search(done.stdout)
        if looked_at and bad:
            return int(looked_at.group(1)), int(bad.group(1))
        words = _words(done.stderr)
        if "not enabled" in words:
            raise GiveUp(
                "checksums_disabled",
                found=f"{directory}: {words}",
                expected="a cluster with data checksums",
                hint="pages of this cluster cannot be checked; enable checksums on the source with pg_checksums --enable",
            )
        raise GiveUp(
            "pages_unreadable",
            found=f"pg_checksums on {directory}: {words}",
            expected="a cluster that was shut down, and that can be read to its end",
            hint="stop the server first; if a file cannot be read, restore again",
        )

    def dump_definitions(self, place: InstancePlace, superuser: str, database: str, snapshot: str) -> str:
        """``pg_dump`` of everything but the rows, as plain text that is digested and thrown away: its SHA-256."""
        command = [self.programs.path("pg_dump"), "--no-password", "--schema-only", f"--snapshot={snapshot}", "--format=plain"]
        if "--restrict-key" in self._run("pg_dump", "--help").stdout:
            command.append(f"--restrict-key={_RESTRICT_KEY}")  # random otherwise, and no two dumps would be equal
        command += [*self._connection(place, superuser), f"--dbname={_literal(database)}"]
        digest = hashlib.sha256()
        with tempfile.TemporaryFile() as words:
            with self._popen(command, words.fileno()) as process:
                assert process.stdout is not None  # noqa: S101  (it is a pipe)
                while chunk := process.stdout.read(_READ_BYTES):
                    digest.update(chunk)
            words.seek(0)
            text = _words(words.read().decode(errors="replace"))
        if process.returncode != 0:
            raise GiveUp(
                "logical_read_failed",
                found=f"pg_dump of {database}: {text}",
                expected="that every definition can be read",
                hint="the restored data are damaged where it says: recover from an older backup, and check the source",
            )
        return digest.hexdigest()

    def check_structure(self, place: InstancePlace, superuser: str, database: str, workers: int) -> None:
        """``pg_amcheck``; the database has the extension."""
        done = self._run(
            "pg_amcheck", "--no-password", *self._connection(place, superuser), f"--maintenance-db={_literal(database)}",
            f"--database={_pattern(database)}", f"--jobs={workers}",
        )  # fmt: skip
        if done.returncode == 0:
            return
        found = _words(done.stdout if done.returncode == _CORRUPTION_FOUND else done.stderr)
        raise GiveUp(
            "structure_damaged" if done.returncode == _CORRUPTION_FOUND else "structure_unchecked",
            found=f"pg_amcheck of {database}: {found}",
            expected="tables and indexes that agree with themselves",
            hint="reindex when only an index is named; when a table is, recover from an older backup",
        )

    def _connection(self, place: InstancePlace, superuser: str) -> list[str]:
        return [f"--host={place.socket_directory}", f"--port={place.port}", f"--username={superuser}"]

    def _run(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run to its end; its answer in English."""
        program = self.programs.path(name)
        try:
            return subprocess.run(
                [program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False,
                cwd="/", env=plain_environment() | {"LC_ALL": "C"}, **self.account.identity,
            )  # fmt: skip
        except OSError as error:
            raise programs_unreachable(program, self.account, error) from error

    def _popen(self, command: list[str], stderr: int) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr,
                cwd="/", env=plain_environment() | {"LC_ALL": "C"}, **self.account.identity,
            )  # fmt: skip
        except OSError as error:
            raise programs_unreachable(command[0], self.account, error) from error


def programs_unreachable(program: str, account: Account, error: OSError) -> UnderstudyError:
    return GiveUp(
        "programs_unreachable",
        found=f"the user {account.name} cannot run {program}: {error.strerror}",
        expected="programs that it may read and execute, in directories that it may enter",
        hint=f"try it with: sudo -u {account.name} {program} --version",
    )


def _words(text: str) -> str:
    """What a program said, on one line, its end if it is long."""
    return " ".join(text.split())[-1000:] or "it said nothing"


def _literal(database: str) -> str:
    """A database's name where programs also take connection strings: one with a ``=`` would be read as such."""
    quoted = database.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{quoted}'"


def _pattern(database: str) -> str:
    """A database's name where programs take psql's patterns."""
    return '"' + database.replace('"', '""') + '"'
