"""Where on this host a server is brought up: its sockets, its log, its configuration, and whether its address leads here."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

from understudy.adapters.postgres.accounts import Account
from understudy.adapters.postgres.configuration import fits_a_socket
from understudy.adapters.postgres.connection import address_of, connection_parameters
from understudy.adapters.postgres.presence import leads_here
from understudy.plan.landing import CONFIGURATION_FILES, Landing
from understudy.ports.instance import InstancePlace
from understudy.stack.resources import PostgresResource, RecoverSettings
from understudy.stack.secrets import resolve_text
from understudy.vocabulary.errors import GiveUp, Refusal
from understudy.vocabulary.identifiers import ResourceName

_LOOK_TIMEOUT_SECONDS = 30
_CUSTOMARY_SOCKETS = "/var/run/postgresql"
"""Debian's and PGDG's clients look there; made anew at each boot."""
_FALLBACK_SOCKETS = "/tmp"  # noqa: S108 - PostgreSQL's own default; who gets in there, the server's configuration says


def short_socket_directory(place: str) -> str:
    """Short, because a socket's path may have 107 bytes; the same for the same place, so that it is found again."""
    name = hashlib.sha256(place.encode()).hexdigest()[:8]
    if os.geteuid() == 0:
        return f"/run/understudy/{name}"
    if "XDG_RUNTIME_DIR" in os.environ:
        return f"{os.environ['XDG_RUNTIME_DIR']}/understudy/{name}"
    return f"/tmp/understudy-{os.geteuid()}/{name}"  # noqa: S108 - made 0700, and refused when it is somebody else's


def recovery_place(name: ResourceName, recover: RecoverSettings, owner: tuple[int, int]) -> InstancePlace:
    """Of a server that goes on to serve: what is ours lies beside its data, so that no reboot or log-out removes it.

    ``owner``: the user and the group that it runs as.

    Raises:
        Refusal: ``socket_directory_unusable``, ``log_unusable``.
    """
    place = InstancePlace(
        recover.directory,
        own_directory(recover),
        recover.port,
        recover.listen_addresses,
        client_socket_directory=recover.socket_directory or _customary_sockets(*owner),
        log=recover.log or f"{recover.directory}.log",
    )
    _require_sockets(place, name, *owner)
    _require_log(place, name)
    return place


def own_directory(recover: RecoverSettings) -> str:
    """Where our own socket and rules of access of a server that goes on to serve lie; its own rules are included from there."""
    beside = f"{recover.directory}.run"
    return beside if fits_a_socket(beside, recover.port) else short_socket_directory(recover.directory)


def _customary_sockets(user_id: int, group_id: int) -> str:
    return _CUSTOMARY_SOCKETS if _may_write(Path(_CUSTOMARY_SOCKETS), user_id, group_id) else _FALLBACK_SOCKETS


def _may_write(directory: Path, user_id: int, group_id: int) -> bool:
    if os.geteuid() != 0:
        return directory.is_dir() and os.access(directory, os.W_OK | os.X_OK)
    try:
        found = directory.stat()
    except OSError:
        return False
    wanted = stat.S_IWOTH
    if found.st_uid == user_id:
        wanted = stat.S_IWUSR
    elif found.st_gid == group_id:
        wanted = stat.S_IWGRP
    return stat.S_ISDIR(found.st_mode) and bool(found.st_mode & wanted)


def _require_sockets(place: InstancePlace, name: ResourceName, user_id: int, group_id: int) -> None:
    directory = place.client_socket_directory
    if _may_write(Path(directory), user_id, group_id) and fits_a_socket(directory, place.port):
        return
    raise Refusal(
        "socket_directory_unusable",
        found=f"{directory} is no directory that the user with id {user_id} may write to, or too long for a socket",
        expected="a directory where the recovered server can put its socket",
        hint=f"install -d -o {user_id} -g {group_id} {directory}; or another one as resources.{name}.recover.socket_directory",
    )


def _require_log(place: InstancePlace, name: ResourceName) -> None:
    log = Path(place.log)
    if log.parent.is_dir() and not log.is_symlink() and (log.is_file() or not log.exists()):
        return
    raise Refusal(
        "log_unusable",
        found=f"{log} is no plain file in a directory that is there",
        expected="a place for the recovered server's log",
        hint=f"make {log.parent}, move away what is there, or name another file as resources.{name}.recover.log",
    )


def landing_of(name: ResourceName, resource: PostgresResource) -> Landing:
    """
    Raises:
        Refusal: ``configuration_missing``: the directory that the stack file names lacks a file, or its server can't read it.
    """
    recover = resource.recover
    if recover is None:
        return Landing()
    account = Account.choose(recover.user)
    if recover.configuration is not None and (missing := list(unreadable_configuration(recover.configuration, account))):
        raise Refusal(
            "configuration_missing",
            found=f"{' and '.join(missing)} in {recover.configuration} cannot be read by {account.name}",
            expected=f"resources.{name}.recover.configuration with {' and '.join(CONFIGURATION_FILES)}",
            hint="put a copy of the server's own files there (SHOW config_file; SHOW hba_file), owned by that user",
        )
    return Landing(named=recover.url is not None, address_to_move=address_to_move(resource), configuration=recover.configuration)


def unreadable_configuration(directory: str, account: Account) -> Iterator[str]:
    """Tried as that account, because directories above may be closed to it."""
    for name in CONFIGURATION_FILES:
        path = Path(directory) / name
        readable = subprocess.run(
            ["test", "-r", str(path)], check=False, cwd="/", timeout=_LOOK_TIMEOUT_SECONDS, **account.identity
        )
        if readable.returncode != 0:
            yield name


def address_to_move(resource: PostgresResource) -> str | None:
    """The address of ``url`` where it does not lead to where a recovery would land, and no other address is named."""
    recover = resource.recover
    if recover is None or recover.url is not None:
        return None
    try:
        parameters = connection_parameters(resolve_text(resource.url))
    except GiveUp:
        return None  # told where the address is used
    return None if leads_here(parameters, recover.port) else address_of(parameters)
