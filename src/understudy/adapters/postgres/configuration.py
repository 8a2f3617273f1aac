"""How a server is told where it lives and whom it lets in, without touching a file of its data directory.

All of it goes over the command line and into files beside the socket, so that the restored configuration stays as it was, and is
in force again when the server's own supervisor starts it.
"""

from __future__ import annotations

import errno
import os
import pwd
import shlex
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from understudy.adapters.postgres.accounts import Account
from understudy.ports.instance import InstancePlace
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.majors import HBA_INCLUDES_MAJOR

_SOCKET_PATH_LIMIT_BYTES = 107
"""Of ``sun_path`` on Linux, less its terminator."""
STARTED_MARK = "-- started by Understudy"
"""Stands in a log that is added to, so that a server's last words are told from its predecessor's."""
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
        Refusal: ``socket_path_too_long``, ``socket_directory_foreign``.
    """
    path = f"{place.socket_directory}/.s.PGSQL.{place.port}"
    if not fits_a_socket(place.socket_directory, place.port):
        raise Refusal(
            "socket_path_too_long",
            found=f"{path} has {len(os.fsencode(path))} bytes",
            expected=f"at most {_SOCKET_PATH_LIMIT_BYTES}, the limit of unix sockets",
            hint="choose a shorter socket directory, such as /run/understudy/<name>",
        )
    directory = Path(place.socket_directory)
    if not directory.parent.exists() and _anyone_may_write(directory.parent.parent):
        directory.parent.mkdir(mode=0o700)
        _give(directory.parent, account)
    directory.parent.mkdir(parents=True, exist_ok=True)
    if _anyone_may_write(directory.parent.parent):
        _refuse_foreign(directory.parent, account)
    if not os.path.lexists(directory):
        directory.mkdir(mode=0o700)
        _give(directory, account)
    _refuse_foreign(directory, account)
    return ServerFiles(directory)


def fits_a_socket(directory: str, port: int) -> bool:
    return len(os.fsencode(f"{directory}/.s.PGSQL.{port}")) <= _SOCKET_PATH_LIMIT_BYTES


def _anyone_may_write(directory: Path) -> bool:
    """As in /tmp, where a name belongs to whoever comes first."""
    try:
        return bool(directory.stat().st_mode & stat.S_IWOTH)
    except FileNotFoundError:
        return False


def _refuse_foreign(directory: Path, account: Account) -> None:
    """Whoever owns the directory decides what the server reads there, and who meets its socket."""
    found = directory.lstat()
    ours = {os.geteuid(), account.user_id}
    if stat.S_ISDIR(found.st_mode) and found.st_uid in ours:
        return
    what = "a symbolic link" if stat.S_ISLNK(found.st_mode) else f"of the user with id {found.st_uid}"
    raise Refusal(
        "socket_directory_foreign",
        found=f"{directory} is {what}",
        expected=f"a directory of {account.name}, which others may not enter",
        hint=f"see who made it: ls -ld {directory}; remove it if nobody needs it, and start again",
    )


def open_log(place: InstancePlace, account: Account) -> int:
    """A descriptor to write the server's log with. What a named log holds already stays, whoever wrote it.

    The server's user may be able to rename things where the log lies, so that no link is followed there.

    Raises:
        OSError: it is no plain file of ours, or cannot be written.
    """
    path = Path(place.log_file)
    if not place.log:
        if path.exists():
            path.replace(path.with_name(f"{path.name}.previous"))
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1 or found.st_uid not in {os.geteuid(), account.user_id}:
        os.close(descriptor)
        raise OSError(errno.EPERM, "not a plain file of the server's user", str(path))
    if os.geteuid() == 0:
        os.fchown(descriptor, account.user_id, account.group_id)
    os.write(descriptor, f"{STARTED_MARK}\n".encode())
    return descriptor


def command_line(
    program: str, place: InstancePlace, settings: Mapping[str, str], files: ServerFiles, *, closed: bool, own_configuration: bool
) -> list[str]:
    """The argument list. What is named here wins over every configuration file, ``postgresql.auto.conf`` included."""
    fixed = {
        "data_directory": place.directory,  # Debian's postgresql.conf names one, and would win over -D
        "port": str(place.port),
        "listen_addresses": place.listen_addresses,
        "unix_socket_directories": ", ".join(map(_list_item, socket_directories(place, closed=closed))),
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


def socket_directories(place: InstancePlace, *, closed: bool) -> tuple[str, ...]:
    """Where the server puts its socket. Ours first: it is the one that the lock file names."""
    for_clients = () if closed or not place.client_socket_directory else (place.client_socket_directory,)
    return (place.socket_directory, *for_clients)


def _list_item(directory: str) -> str:
    return '"' + directory.replace('"', '""') + '"' if {",", '"'} & set(directory) else directory


def shell_command(programs: Path, place: InstancePlace, settings: Mapping[str, str], account: Account) -> str:
    """``pg_ctl start`` with the options of the open server, as its user; what we put beside the socket is not part of it."""
    options = {
        "data_directory": place.directory,
        "port": str(place.port),
        "listen_addresses": place.listen_addresses,
        "unix_socket_directories": _list_item(place.client_socket_directory or place.socket_directory),
        "external_pid_file": "",
    } | dict(settings)
    text = " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in options.items())
    command = [str(programs / "pg_ctl"), "start", "-D", place.directory, "-l", place.log_file, "-o", text]
    return shlex.join([*(("runuser", "-u", account.name, "--") if os.geteuid() == 0 else ()), *command])


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
    os.close(_made_anew(file, account))


def _made_anew(file: Path, account: Account) -> int:
    """The directory is the server's user's, who may plant a link there; as root we would write where it leads."""
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    if os.geteuid() == 0:
        os.fchown(descriptor, account.user_id, account.group_id)
    return descriptor


def _included(own: str, major: int) -> list[str]:
    path = Path(own)
    if not path.exists():
        return [f"# {own} does not exist"]
    if major >= HBA_INCLUDES_MAJOR:
        return [f'include "{own}"']
    return [f"# copied from {own}", *path.read_text(errors="surrogateescape").splitlines()]


def _write(path: Path, lines: Sequence[str], account: Account) -> None:
    unfinished = path.with_name(path.name + ".new")
    with os.fdopen(_made_anew(unfinished, account), "w", errors="surrogateescape") as file:
        file.write("\n".join(lines) + "\n")
    unfinished.replace(path)


def _give(path: Path, account: Account) -> None:
    if os.geteuid() == 0:
        os.chown(path, account.user_id, account.group_id)
