"""How a server is told where it lives and whom it lets in, without touching a file of its data directory.

All of it goes over the command line and into files beside the socket, so that the restored configuration stays as it was, and is
in force again when the server's own supervisor starts it.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from understudy.adapters.postgres.accounts import Account
from understudy.ports.instance import InstancePlace
from understudy.vocabulary.errors import Refusal

LOG_NAME = "server.log"
_SOCKET_PATH_LIMIT_BYTES = 107
"""Of ``sun_path`` on Linux, less its terminator."""
_INCLUDE_SINCE_MAJOR = 16
_MAP = "understudy"

_CLOSED_LOGGING = {
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_line_prefix": "%m [%p] ",
    "lc_messages": "C",
}
"""So that the last words of a server that only we use can be read."""


@dataclass(frozen=True, slots=True)
class ServerFiles:
    """The files that belong to one start of a server, all in its socket directory."""

    directory: Path

    @property
    def log(self) -> Path:
        return self.directory / LOG_NAME

    @property
    def hba(self) -> Path:
        return self.directory / "pg_hba.conf"

    @property
    def ident(self) -> Path:
        return self.directory / "pg_ident.conf"

    @property
    def process_id(self) -> Path:
        return self.directory / "server.pid"

    @property
    def configuration(self) -> Path:
        return self.directory / "postgresql.conf"


def make_socket_directory(place: InstancePlace, account: Account) -> ServerFiles:
    """The socket's directory, mode 0700 and owned by the server's user where we made it; one that exists is left as it is.

    Raises:
        Refusal: ``socket_path_too_long``.
    """
    path = f"{place.socket_directory}/.s.PGSQL.{place.port}"
    if len(os.fsencode(path)) > _SOCKET_PATH_LIMIT_BYTES:
        raise Refusal(
            "socket_path_too_long",
            found=f"{path} has {len(os.fsencode(path))} bytes",
            expected=f"at most {_SOCKET_PATH_LIMIT_BYTES}, the limit of unix sockets",
            hint="choose a shorter socket directory, such as /run/understudy/<name>",
        )
    directory = Path(place.socket_directory)
    if not directory.exists():
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(mode=0o700)
        _give(directory, account)
    return ServerFiles(directory)


def command_line(
    program: str, place: InstancePlace, settings: Mapping[str, str], files: ServerFiles, *, closed: bool, own_configuration: bool
) -> list[str]:
    """The argument list. What is named here wins over every configuration file, ``postgresql.auto.conf`` included."""
    fixed = {
        "data_directory": place.directory,  # Debian's postgresql.conf names one, and would win over -D
        "port": str(place.port),
        "listen_addresses": place.listen_addresses,
        "unix_socket_directories": place.socket_directory,
        "hba_file": str(files.hba),
        "ident_file": str(files.ident),
        "external_pid_file": str(files.process_id),  # never the one of the server that the configuration came from
    }
    if not own_configuration and "config_file" not in settings:
        fixed["config_file"] = str(files.configuration)
    named = (_CLOSED_LOGGING if closed else {}) | dict(settings) | fixed
    arguments = [program, "-D", place.directory]
    for name, value in named.items():
        arguments += ["-c", f"{name}={value}"]
    return arguments


def write_configuration(files: ServerFiles, required_settings: Mapping[str, str], account: Account) -> None:
    """A minimal ``postgresql.conf`` for a data directory that has none (Debian keeps it elsewhere, and it was not backed up)."""
    lines = [
        "# Written by Understudy, because the data directory holds no postgresql.conf.",
        "# The five settings below are those that the WAL demands; everything else is PostgreSQL's default.",
        *(f"{name} = {value}" for name, value in required_settings.items()),
    ]
    _write(files.configuration, lines, account)


def write_closed_authentication(files: ServerFiles, hba_lines: Sequence[str], account: Account) -> None:
    """Only the given lines count."""
    _write(files.hba, hba_lines, account)
    _write(files.ident, ["# no maps"], account)


def write_own_authentication(
    files: ServerFiles, place: InstancePlace, settings: Mapping[str, str], superuser: str, major: int, account: Account
) -> None:
    """The data directory's own rules, after one line that lets this process in over the socket.

    ``peer`` with a map: the kernel vouches for who we are, so nobody else gets in by it. From 16 on the own files are included,
    so that edits and reloads count; before, they are copied.
    """
    own_hba = settings.get("hba_file", f"{place.directory}/pg_hba.conf")
    own_ident = settings.get("ident_file", f"{place.directory}/pg_ident.conf")
    ours = sorted({account.name, pwd.getpwuid(0).pw_name}) if os.geteuid() == 0 else [account.name]
    quoted = '"' + superuser.replace('"', '""') + '"'
    _write(files.hba, [f"local all {quoted} peer map={_MAP}", *_included(own_hba, major)], account)
    maps = [f"{_MAP} {user} {quoted}" for user in ours]
    _write(files.ident, [*maps, *_included(own_ident, major)], account)


def make_empty(file: Path, account: Account) -> None:
    """A file of the server's user, made anew: whatever had that name goes, and no link is followed."""
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.fchown(descriptor, account.user_id, account.group_id)
    finally:
        os.close(descriptor)


def _included(own: str, major: int) -> list[str]:
    path = Path(own)
    if not path.exists():
        return [f"# {own} does not exist"]
    if major >= _INCLUDE_SINCE_MAJOR:
        return [f'include "{own}"']
    return [f"# copied from {own}", *path.read_text(errors="surrogateescape").splitlines()]


def _write(path: Path, lines: Sequence[str], account: Account) -> None:
    unfinished = path.with_name(path.name + ".new")
    unfinished.write_text("\n".join(lines) + "\n", errors="surrogateescape")
    unfinished.chmod(0o600)
    _give(unfinished, account)
    unfinished.replace(path)


def _give(path: Path, account: Account) -> None:
    if os.geteuid() == 0:
        os.chown(path, account.user_id, account.group_id)
