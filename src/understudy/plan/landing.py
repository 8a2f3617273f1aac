"""How a real recovery lands on this host: by which address, and with whose configuration."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from understudy.steps.check_address import ADDRESS_TIME_LIMIT
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import BackupLabel

CONFIGURATION_FILES = ("postgresql.conf", "pg_hba.conf")
"""Without the first a server has no settings, without the second it lets nobody in. ``pg_ident.conf`` may be absent."""


@dataclass(frozen=True, slots=True)
class Landing:
    named: bool = False
    """The stack file names the address of recovered servers."""
    address_to_move: str | None = None
    """The resource's own address where it leads elsewhere, and no other is named."""
    configuration: str | None = None
    """Directory of the configuration files, where the data directory has none."""


def ask_to_move(address: str, port: int) -> str:
    """What is asked of a person before anything is touched, so that nobody learns it in the middle."""
    minutes = f"{ADDRESS_TIME_LIMIT.total_seconds() / 60:.0f}"
    return (
        f"{address}, the resource's url, does not lead to port {port} of this host: once the database is open here, the run "
        f"waits {minutes} minutes for you to move that name or address (unless you first name another one as recover.url in "
        "the stack file)."
    )


def require_configuration(resource: str, label: BackupLabel, files: Collection[str]) -> None:
    """Of a recovery whose stack file names no configuration: whether the backup holds one. ``files``: what the server listed.

    Raises:
        Refusal: ``configuration_missing``.
    """
    missing = [name for name in CONFIGURATION_FILES if name not in files]
    if missing:
        raise Refusal(
            "configuration_missing",
            found=f"backup {label} holds no {' and no '.join(missing)}: the server kept them outside its data directory",
            expected="the configuration that the recovered server is to be opened with",
            hint=f"put a copy of it (/etc/postgresql/… of the old host) on this host and name its directory in the stack file: "
            f"resources.{resource}.recover.configuration",
        )
