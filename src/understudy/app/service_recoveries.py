"""Services in a recovery: which of them it is about, and what stopping, starting and checking them needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from understudy.app.commands import declared_commands, known_secrets, operator_command
from understudy.app.installation import Installation
from understudy.app.looking_around import workplace_of_a_look
from understudy.judge.preflight import Finding, Grade, finding_of
from understudy.plan.plan import Plan
from understudy.plan.service_recovery import ActFacts, ServiceFacts, plan_service
from understudy.stack.models import Scenario
from understudy.stack.operator_commands import ActingCommand
from understudy.stack.services import Service
from understudy.vocabulary.errors import GiveUp, Refusal
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


def _act(command: ActingCommand) -> ActFacts:
    return ActFacts(command.run, command.repeatable)


def require_ready(installation: Installation, name: ResourceName) -> None:
    """
    Raises:
        Refusal: ``service_not_ready``, with everything that is missing.
    """
    missing = [error for _, error in _unready(installation, name)]
    if missing:
        raise Refusal(
            "service_not_ready",
            found="; ".join(f"{error.code}: {error.found}" for error in missing),
            expected=f"that every command of {name} can be started here",
            hint="; ".join(dict.fromkeys(error.hint for error in missing)),
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
    if service.stop is None and service.depends_on:
        yield Finding(
            subject, "stop", Grade.WARNING, f"it has no stop, and depends on {', '.join(service.depends_on)}",
            "a command that stops it, so that it writes nothing while these are replaced",
            f"add stop below services.{name}; or stop it by hand before every recovery",
        )  # fmt: skip
