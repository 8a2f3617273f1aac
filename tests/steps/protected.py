"""A database that is protected, and a way to run single steps of its plans."""

from __future__ import annotations

from dataclasses import dataclass

from tests.app.desk import Desk
from tests.servers.postgres import PostgresServer
from understudy.app.installation import Installation
from understudy.plan.plan import Plan
from understudy.ports.instance import InstancePlace
from understudy.ports.step import Step
from understudy.ports.world import World
from understudy.vocabulary.identifiers import RunId


class NobodyLooks:
    """Progress that nobody watches, and a run that nobody cancels."""

    def report(self, activity, done, total=None, unit="bytes") -> None:
        return

    def held_up(self, reason) -> None:
        return

    def raise_if_requested(self) -> None:
        return


@dataclass(frozen=True)
class Protected:
    server: PostgresServer
    desk: Desk

    def installation(self, *resource_lines: str, url: str | None = None) -> Installation:
        """The stack file as it is now, with these lines and this address in place of its own."""
        self.desk.write(self.server, *resource_lines, url=url or self.server.url)
        return Installation.open(self.desk.stack_file, self.desk.state)

    @property
    def place(self) -> InstancePlace:
        """Of the protected server itself, for steps that only ask a server."""
        return InstancePlace(str(self.server.data), str(self.server.socket_directory), self.server.port)


def world_of(installation: Installation, run: str = "by-hand", cancellation: object = None) -> World:
    nobody = NobodyLooks()
    return installation.world_for(RunId(run), nobody, cancellation or nobody)  # type: ignore[arg-type]


def step_of(plan: Plan, verb: str) -> Step:
    return next(planned.step for planned in plan.steps if planned.step.key.endswith(f"/{verb}"))
