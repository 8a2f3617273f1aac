"""What was last seen of a server, kept for the day when it can't be asked any more."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from understudy.ports.database import ServerFacts
from understudy.records.private_files import make_private_directory
from understudy.records.state_database import state_denied, writing_beside
from understudy.vocabulary.identifiers import ResourceName, SystemIdentifier


@dataclass(frozen=True, slots=True)
class SeenServer:
    system_identifier: SystemIdentifier
    version_number: int
    segment_bytes: int

    @property
    def major(self) -> int:
        return self.version_number // 10000


def read_seen(state: Path, resource: ResourceName) -> SeenServer | None:
    """None: nothing was seen yet.

    Raises:
        GiveUp: ``state_denied``.
    """
    try:
        fields = json.loads(_path(state, resource).read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise state_denied(error) from None
    return SeenServer(**fields)


def remember_seen(state: Path, resource: ResourceName, facts: ServerFacts) -> None:
    """Written aside and renamed; nothing happens when it is known already.

    Raises:
        GiveUp: ``state_unwritable``, ``state_denied``.
    """
    keep_seen(state, resource, SeenServer(facts.system_identifier, facts.version_number, facts.segment_bytes))


def keep_seen(state: Path, resource: ResourceName, seen: SeenServer) -> None:
    """As ``remember_seen``, of what is known from elsewhere."""
    path = _path(state, resource)
    with writing_beside(path):
        make_private_directory(path.parent)
        if read_seen(state, resource) == seen:
            return
        aside = path.with_suffix(f".{os.getpid()}")
        aside.write_text(json.dumps(asdict(seen)))
        aside.replace(path)


def _path(state: Path, resource: ResourceName) -> Path:
    return state / "seen" / f"{resource}.json"
