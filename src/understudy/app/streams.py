"""From the settings of a command to what runs it; imported adapters wait until one is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from understudy.adapters.streams.workplace import Workplace
from understudy.judge.preflight import Finding, Grade
from understudy.ports.collection import Collection
from understudy.ports.loading import Loader
from understudy.stack.secrets import resolve
from understudy.stack.streams import CommandResource
from understudy.vocabulary.identifiers import ResourceName

if TYPE_CHECKING:
    from understudy.adapters.streams.command import DeclaredCommand


def stream_of(name: ResourceName, settings: CommandResource, workplace: Workplace) -> Collection:
    """What is kept. Nothing is started yet."""
    from understudy.adapters.streams.command import CommandCollection

    return CommandCollection(declared_command(name, settings), workplace)


def loader_of(name: ResourceName, settings: CommandResource, workplace: Workplace) -> Loader:
    from understudy.adapters.streams.command import CommandLoader

    return CommandLoader(declared_command(name, settings), workplace)


def declared_command(name: ResourceName, settings: CommandResource) -> DeclaredCommand:
    from understudy.adapters.streams.command import DeclaredCommand

    return DeclaredCommand(
        resource=name,
        dump=settings.dump,
        load=settings.load,
        environment=lambda: {variable: resolve(value) for variable, value in settings.environment.items()},
        directory=settings.directory or "/",
        time_limit=settings.time_limit,
        may_be_empty=settings.may_be_empty,
        file=settings.file or f"{name}.dump",
    )


def check_stream(subject: str, name: ResourceName, settings: CommandResource) -> Finding:
    """Nothing is dumped for it: that may take hours.

    Raises:
        GiveUp: what stands in the way.
    """
    found = declared_command(name, settings).check()
    tried = f"{found} is there; it is started by a backup alone"
    if settings.load is not None:
        return Finding(subject, "source", Grade.OK, tried)
    return Finding(
        subject, "source", Grade.WARNING, f"{tried}; there is no load", "a command that takes back what dump wrote",
        "add load, or know what to do with the file that restore --to gives",
    )  # fmt: skip
