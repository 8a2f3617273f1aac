"""From the settings of a command, or of a Redis server, to what runs it.

The adapters are imported when one is made, as those of ``app.collections``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from understudy.adapters.streams.workplace import Errand, Workplace
from understudy.app.looking_around import workplace_of_a_look
from understudy.judge.preflight import Finding, Grade
from understudy.ports.clock import Clock
from understudy.ports.collection import Collection
from understudy.ports.loading import Loader
from understudy.ports.operating import OperatedServer
from understudy.ports.trying_out import ContentTrial
from understudy.stack.secrets import resolve, resolve_text
from understudy.stack.streams import CommandResource, RedisResource
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import ResourceName

if TYPE_CHECKING:
    from understudy.adapters.streams.command import DeclaredCommand
    from understudy.adapters.streams.redis_programs import RedisClient


def stream_of(name: ResourceName, settings: CommandResource | RedisResource, workplace: Workplace) -> Collection:
    """What is kept. Nothing is started yet.

    Raises:
        GiveUp: ``secret_missing``, ``secret_unreadable``, ``url_malformed``: of a Redis server.
    """
    if isinstance(settings, RedisResource):
        from understudy.adapters.streams.redis_collection import RedisCollection
        from understudy.adapters.streams.redis_programs import RedisPrograms

        errand = Errand(workplace, name, settings.time_limit)
        return RedisCollection(_client_of(settings, errand), RedisPrograms(settings.programs), errand)
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


def trial_of(name: ResourceName, settings: RedisResource, workplace: Workplace) -> ContentTrial:
    """Needs no secret: it is tried apart from the server."""
    from understudy.adapters.streams.redis_programs import RedisPrograms
    from understudy.adapters.streams.redis_trial import RedisTrial

    return RedisTrial(RedisPrograms(settings.programs), Errand(workplace, name, settings.time_limit))


def operated_server(name: ResourceName, settings: RedisResource, workplace: Workplace) -> OperatedServer:
    """
    Raises:
        KeyError: the stack file does not say how it is recovered.
    """
    from understudy.adapters.streams.redis_server import OperatedRedis

    if settings.recover is None:
        raise KeyError(name)
    errand = Errand(workplace, name, settings.time_limit)
    return OperatedRedis(
        client=_client_of(settings, errand),
        stop_command=settings.recover.stop,
        start_command=settings.recover.start,
        user=settings.recover.user,
        errand=errand,
    )


def _client_of(settings: RedisResource, errand: Errand) -> RedisClient:
    from understudy.adapters.streams.redis_address import RedisAddress, TlsFiles
    from understudy.adapters.streams.redis_programs import RedisClient, RedisPrograms

    password = None if settings.password is None else resolve(settings.password)
    tls_files = TlsFiles(settings.ca, settings.certificate, settings.key)
    return RedisClient(
        RedisPrograms(settings.programs), RedisAddress.parse(resolve_text(settings.url), password, tls_files), errand
    )


def check_stream(subject: str, name: ResourceName, settings: CommandResource | RedisResource, clock: Clock) -> Finding:
    """Nothing is dumped for it: that may take hours.

    Raises:
        GiveUp, TryAgain: what stands in the way.
    """
    if isinstance(settings, CommandResource):
        return _check_command(subject, declared_command(name, settings))
    return _check_redis(subject, name, settings, clock)


def _check_command(subject: str, declared: DeclaredCommand) -> Finding:
    tried = f"{declared.check()} is there; it is started by a backup alone"
    if declared.load is not None:
        return Finding(subject, "source", Grade.OK, tried)
    return Finding(
        subject, "source", Grade.WARNING, f"{tried}; there is no load", "a command that takes back what dump wrote",
        "add load, or know what to do with the file that restore --to gives",
    )  # fmt: skip


def _check_redis(subject: str, name: ResourceName, settings: RedisResource, clock: Clock) -> Finding:
    from understudy.adapters.streams.redis_collection import see_server
    from understudy.adapters.streams.redis_programs import RedisPrograms

    workplace = workplace_of_a_look(clock)
    programs = RedisPrograms(settings.programs)
    client = _client_of(settings, Errand(workplace, name, settings.time_limit))
    seen = see_server(client)
    programs.path("redis-check-rdb")
    found = f"{client.shown}: Redis {seen.version}, {seen.role}, {seen.keys} keys"
    try:
        programs.path("redis-server")
    except GiveUp as error:
        return Finding(
            subject, "source", Grade.WARNING, f"{found}; {error.found}", "redis-server here, which tries what was restored",
            error.hint,
        )  # fmt: skip
    return Finding(subject, "source", Grade.OK, found)
