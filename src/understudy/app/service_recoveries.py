"""Services in a recovery: which of them it is about, and what stopping, starting and checking them needs."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack

from understudy.app.commands import declared_commands, known_secrets, operator_command
from understudy.app.installation import Installation
from understudy.app.looking_around import workplace_of_a_look
from understudy.judge.preflight import Finding, Grade, finding_of
from understudy.plan.plan import Plan
from understudy.plan.service_recovery import (
    ActFacts,
    DrillFacts,
    ServiceFacts,
    place_of_copy,
    plan_service,
    plan_service_drill,
)
from understudy.stack.models import Scenario
from understudy.stack.operator_commands import ActingCommand
from understudy.stack.resources import PostgresResource
from understudy.stack.services import Service, ServiceDrill
from understudy.stack.snapshots import FilesResource
from understudy.stack.streams import RedisResource
from understudy.vocabulary.errors import GiveUp, Refusal, UnderstudyError
from understudy.vocabulary.identifiers import PlanId, ResourceName


def services_of_a_failure(installation: Installation, named: Sequence[str]) -> tuple[ResourceName, ...]:
    """Those that were named, or all; and what depends on them.

    Raises:
        Refusal: ``no_such_service``.
    """
    known = installation.service_names()
    for name in named:
        if name not in known:
            raise Refusal(
                "no_such_service",
                found=f"no service is called {name!r}",
                expected=f"one of {', '.join(known)}" if known else "a service, and the stack file names none",
                hint="services are named below services in the stack file",
            )
    if not known:
        raise Refusal(
            "no_such_service",
            found="the stack file names no service",
            expected="what can fail and be started again: services, with the commands that start and check them",
            hint="add services to the stack file",
        )
    wanted = set(named or known)
    return tuple(name for name in known if name in wanted or name in services_above(installation, tuple(wanted)))


def services_above(installation: Installation, names: Sequence[str]) -> tuple[ResourceName, ...]:
    """The services that depend on any of these, however far away, in the order of the stack file."""
    above = list(names)
    for each in above:
        above += [
            name for name, service in installation.stack.services.items() if each in service.depends_on and name not in above
        ]
    return tuple(name for name in installation.service_names() if name in above[len(names) :])


def brought_up_in_a_drill(installation: Installation, names: Sequence[ResourceName]) -> tuple[ResourceName, ...]:
    """What is drilled, and copies of all that the services among it depend on: on nothing else do they stand there."""
    below = list(names)
    for each in below:
        service = installation.stack.services.get(each)
        needed = map(ResourceName, service.depends_on if service is not None else ())
        below += [name for name in needed if name not in below]
    everything = (*installation.resource_names(), *installation.service_names())
    return tuple(name for name in everything if name in below)


def stopped_meanwhile(installation: Installation, scenario: Scenario, names: Sequence[ResourceName]) -> tuple[ResourceName, ...]:
    """What was asked for, and the services that must not write into it meanwhile. In ``complete_failure`` who names some wants
    these alone.
    """
    if scenario is Scenario.COMPLETE_FAILURE:
        return tuple(names)
    return (*names, *(name for name in services_above(installation, names) if name not in names))


def plan_service_part(installation: Installation, name: ResourceName, plan_id: PlanId) -> Plan:
    """
    Raises:
        Refusal: ``service_not_ready``: a command of it could not be started here.
    """
    service = installation.stack.services[name]
    require_ready(installation, name)
    facts = ServiceFacts(_act(service.start), None if service.stop is None else _act(service.stop))
    return plan_service(name, facts, plan_id, installation.digest)


def plan_service_drills(
    installation: Installation, names: Sequence[ResourceName], plans: Mapping[ResourceName, Plan], plan_id: PlanId
) -> tuple[dict[ResourceName, Plan], dict[ResourceName, UnderstudyError]]:
    """Each service's plan, or why it cannot be drilled.

    Args:
        plans: Of the resources that the drill brings up.
    """
    ports = dict(zip(names, _free_ports(len(names)), strict=True))
    drills = installation.state / "drills"
    if names:
        drills.mkdir(parents=True, exist_ok=True, mode=0o711)
    planned: dict[ResourceName, Plan] = {}
    refused: dict[ResourceName, UnderstudyError] = {}
    for name in names:
        service = installation.stack.services[name]
        try:
            drill = require_drillable(installation, name)
        except GiveUp as error:
            refused[name] = error
            continue
        needed = tuple(map(ResourceName, service.depends_on))
        copies = {each: place_of_copy(plans[each]) for each in needed if each in plans}
        facts = DrillFacts(
            stops=drill.stop is not None,
            sandbox=str(drills / f"{plan_id}-{name}"),
            port=ports[name],
            ports={each: ports[each] for each in needed if each in ports},
            copies={each: place for each, place in copies.items() if place is not None},
            production=places_of_production(installation),
        )
        planned[name] = plan_service_drill(name, facts, plan_id, installation.digest)
    return planned, refused


def require_drillable(installation: Installation, name: ResourceName) -> ServiceDrill:
    """
    Raises:
        Refusal: ``drill_undeclared``, ``service_not_ready``.
    """
    drill = installation.stack.services[name].drill
    if drill is None:
        raise _undeclared(name)
    require_ready(installation, name, drilled=True)
    return drill


def _undeclared(name: ResourceName) -> Refusal:
    return Refusal(
        "drill_undeclared",
        found=f"the stack file does not say how {name} is started in a drill",
        expected=f"services.{name}.drill, with a start and a check that use the sandbox and the copies which the drill hands "
        "them",
        hint="add it: its real commands would touch what serves, and are never used in a drill; or drill resources alone, with "
        "--resource NAME for each of them",
    )


def _free_ports(count: int) -> list[int]:
    """Of the loopback address; all held until each is known, so that none comes twice."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def places_of_production(installation: Installation) -> tuple[str, ...]:
    """Directories of this host that serve or protect, which no drill must touch."""
    stack = installation.stack
    found = [each.url.removeprefix("file://") for each in stack.repositories.values() if each.url.startswith("file://")]
    for name in installation.resource_names():
        resource = installation.resource(name)
        if isinstance(resource, PostgresResource):
            found.append(str(installation.spool_directory(name)))
            if resource.recover is not None:
                found += [resource.recover.directory, *resource.recover.tablespaces.values()]
        elif isinstance(resource, FilesResource):
            found.append(resource.path)
        elif isinstance(resource, RedisResource) and resource.recover is not None:
            found.append(resource.recover.directory)
    return tuple(dict.fromkeys(found))


def rotations(installation: Installation) -> tuple[tuple[str, ActFacts], ...]:
    """What replaces what an intruder may know.

    Raises:
        Refusal: ``service_not_ready``: a command of it could not be started here.
    """
    declared = installation.stack.security_incident.rotate
    for name in declared:
        require_ready(installation, ResourceName(name))
    return tuple((name, _act(command)) for name, command in declared.items())


def _act(command: ActingCommand) -> ActFacts:
    return ActFacts(command.run, command.repeatable)


def require_ready(installation: Installation, name: ResourceName, *, drilled: bool = False) -> None:
    """
    Raises:
        Refusal: ``service_not_ready``, with everything that is missing.
    """
    missing = [error for command, error in _unready(installation, name) if ("/drill-" in command) is drilled]
    if missing:
        alone = "drill resources alone" if drilled else "bring resources back first"
        raise Refusal(
            "service_not_ready",
            found="; ".join(f"{error.code}: {error.found}" for error in missing),
            expected=f"that every command of {name}{' in a drill' if drilled else ''} can be started here",
            hint=f"{'; '.join(dict.fromkeys(error.hint for error in missing))}; or {alone}, with --resource NAME for each of "
            "them",
        )


def _unready(installation: Installation, name: str) -> Iterator[tuple[str, GiveUp]]:
    workplace = workplace_of_a_look(installation.clock)
    for command, settings in declared_commands(installation.stack).items():
        if command.partition("/")[0] == name:
            try:
                operator_command(command, settings, workplace, lambda: known_secrets(installation.stack)).require_ready()
            except GiveUp as error:
                yield command, error


def check_service(installation: Installation, name: ResourceName) -> Iterator[Finding]:
    """Nothing is started for it."""
    subject = f"service {name}"
    unready = dict(_unready(installation, name))
    for command, error in unready.items():
        yield finding_of(error, subject, command.partition("/")[2])
    service: Service = installation.stack.services[name]
    if not unready:
        yield Finding(subject, "commands", Grade.OK, "its commands are there; they are started by a recovery alone")
    if service.drill is None:
        yield Finding(
            subject, "drill", Grade.WARNING, "it has no drill", "a start and a check that a drill can use",
            f"add drill below services.{name}; without it, no drill that it belongs to is begun",
        )  # fmt: skip
    if service.stop is None and service.depends_on:
        yield Finding(
            subject, "stop", Grade.WARNING, f"it has no stop, and depends on {', '.join(service.depends_on)}",
            "a command that stops it, so that it writes nothing while these are replaced",
            f"add stop below services.{name}; or stop it by hand before every recovery",
        )  # fmt: skip
