"""``ports.OperatedServer`` of a Redis server."""

from __future__ import annotations

import os
import pwd
import re
from dataclasses import dataclass
from pathlib import Path

from understudy.adapters.streams.program import Program, run_program
from understudy.adapters.streams.redis_programs import RedisClient, keys_in
from understudy.adapters.streams.workplace import Errand
from understudy.vocabulary.errors import GiveUp, TryAgain
from understudy.vocabulary.json import JsonObject

_NOBODY_THERE = re.compile(r"Connection refused|No such file or directory")
"""As redis-cli says it. Who does not answer in time may be at work on something long, and write its data once that is done."""


@dataclass(frozen=True, slots=True)
class OperatedRedis:
    client: RedisClient
    stop_command: tuple[str, ...] | None
    start_command: tuple[str, ...]
    user: str | None
    errand: Errand

    @property
    def shown(self) -> str:
        return self.client.shown

    def answers(self) -> bool:
        try:
            self.client.info("server")
        except TryAgain as error:
            return not _NOBODY_THERE.search(error.found)
        except GiveUp as error:
            if error.code == "source_denied":
                return True
            raise
        return True

    def stop(self) -> None:
        if self.stop_command is None:
            raise GiveUp(
                "stop_undeclared",
                found=f"{self.shown} answers, and the stack file does not say how it is ended",
                expected="nothing there; or recover.stop, the command that ends it",
                hint="end it yourself, or add the command; then start the recovery again",
            )
        self._carry_out("stop", self.stop_command)

    def hand_over(self, content: Path) -> None:
        if os.geteuid() != 0 or self.user is None:
            return
        try:
            owner = pwd.getpwnam(self.user)
        except KeyError:
            raise GiveUp(
                "server_user_missing",
                found=f"no operating-system user is called {self.user}",
                expected="the user that the Redis server runs as",
                hint="correct recover.user of this resource, or create the user",
            ) from None
        try:
            for path in (content, content.parent):
                os.chown(path, owner.pw_uid, owner.pw_gid, follow_symlinks=False)
        except OSError as error:
            raise GiveUp(
                "target_unwritable",
                found=f"{content} cannot be given to {self.user}: {error.strerror}",
                expected="a file that the Redis server may read",
                hint=f"give {content.parent} and the file in it to {self.user} yourself, and start the server",
            ) from error

    def start(self) -> None:
        self._carry_out("start", self.start_command)

    def holds(self) -> JsonObject:
        info = self.client.info("server", "persistence", "keyspace")
        if info.get("loading") != "0":
            raise TryAgain(
                "server_loading",
                found=f"{self.shown} is loading its data",
                expected="that it has loaded everything",
                hint="follow it in its log",
            )
        databases = keys_in(info)
        return {
            "server_version": info.get("redis_version", "unknown"),
            "keys": sum(databases.values()),
            "databases": len(databases),
        }

    def _carry_out(self, what: str, command: tuple[str, ...]) -> None:
        """What a start command leaves running is nobody's to end: it wears a mark that none of this run's looks for."""
        program = Program(arguments=command, time_limit=self.errand.time_limit, mark=f"{self.errand.mark}/server")
        ended = run_program(program, self.errand.workplace)
        if ended.status != 0:
            raise GiveUp(
                f"{what}_failed",
                found=f"{program.name} {ended.told}",
                expected=f"that recover.{what} of this resource ends with 0 once the server was told to {what}",
                hint="carry it out by hand, as the user that understudy runs as, and look at the server's log",
            )
