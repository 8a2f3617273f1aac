"""From what the stack file says of the operator's commands to what runs them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta

from understudy.adapters.streams.workplace import Workplace
from understudy.app.by_name import ByName
from understudy.ports.commanding import OperatorCommand
from understudy.stack.models import Stack
from understudy.stack.operator_commands import CheckCommand, OperatorCommandSettings
from understudy.stack.references import every_reference_in
from understudy.stack.secrets import resolve
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.secret import Secret


def declared_commands(stack: Stack) -> Mapping[str, OperatorCommandSettings]:
    """By the names that steps know them by: ``web/start``."""
    return dict(_declared(stack))


def _declared(stack: Stack) -> Iterator[tuple[str, OperatorCommandSettings]]:
    for name, service in stack.services.items():
        told: dict[str, OperatorCommandSettings | None] = {"stop": service.stop, "start": service.start, "check": service.check}
        if service.drill is not None:
            told |= {f"drill-{what}": getattr(service.drill, what) for what in ("stop", "start", "check")}
        yield from ((f"{name}/{what}", command) for what, command in told.items() if command is not None)
    yield from ((f"{name}/rotate", command) for name, command in stack.security_incident.rotate.items())


def commands_of(stack: Stack, workplace: Workplace) -> Mapping[str, OperatorCommand]:
    declared = declared_commands(stack)
    return ByName(tuple(declared), lambda name: operator_command(name, declared[name], workplace, lambda: known_secrets(stack)))


def operator_command(
    name: str, settings: OperatorCommandSettings, workplace: Workplace, known: Callable[[], Iterable[Secret]]
) -> OperatorCommand:
    """Nothing is started, and no secret read yet."""
    from understudy.adapters.streams.operator_program import DeclaredOperation, OperatorProgram

    tries = (settings.try_limit, settings.every) if isinstance(settings, CheckCommand) else (settings.time_limit, timedelta(0))
    declared = DeclaredOperation(
        name=name,
        run=settings.run,
        environment=lambda: {variable: resolve(value) for variable, value in settings.environment.items()},
        directory=settings.directory,
        user=settings.user,
        time_limit=settings.time_limit,
        try_limit=tries[0],
        every=tries[1],
    )
    return OperatorProgram(declared, workplace, known)


def known_secrets(stack: Stack) -> Iterator[Secret]:
    """Every secret that the stack file refers to and that can be read here, for masking."""
    for reference in every_reference_in(stack):
        with suppress(GiveUp):
            yield resolve(reference)
