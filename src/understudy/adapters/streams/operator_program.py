"""A command of the operator's, as a process: ``ports.OperatorCommand``."""

from __future__ import annotations

import os
import pwd
import re
import shlex
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote

from understudy.adapters.streams.kept_output import Keeper
from understudy.adapters.streams.leftovers import end_marked, marked
from understudy.adapters.streams.program import Program, RunAs, program_missing, program_unusable, run_program
from understudy.adapters.streams.workplace import Workplace
from understudy.ports.commanding import CommandEnd, Surroundings
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.secret import Secret

_SHORTEST_LINE = 6
"""A line of less is no secret of its own, and would mask what is none."""
_PASSWORDS = re.compile(r"://[^\s:/?#@]*:([^\s@]+)@|password\s*=\s*(?:'([^']+)'|([^\s'&]+))")
"""Of a URL, and of a libpq connection string."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredOperation:
    """As the stack file has it."""

    name: str
    """Of the command in the stack file: ``web/start``."""
    run: tuple[str, ...]
    environment: Callable[[], Mapping[str, Secret]]
    """Read when it is started. Raises GiveUp as ``resolve`` does."""
    directory: str | None
    user: str | None
    time_limit: timedelta
    try_limit: timedelta
    every: timedelta


class OperatorProgram:
    def __init__(self, declared: DeclaredOperation, workplace: Workplace, known: Callable[[], Iterable[Secret]]) -> None:
        """``known``: every secret of the stack that can be read here, to be masked wherever it is said."""
        self._declared = declared
        self._workplace = workplace
        self._known = known
        self._mark = workplace.mark(declared.name)

    @property
    def shown(self) -> str:
        return shlex.join(self._declared.run)

    @property
    def account(self) -> tuple[int, int] | None:
        run_as, _ = _account(self._declared.user, self._declared.name)
        return (run_as["user"], run_as["group"]) if run_as else None

    @property
    def time_limit(self) -> timedelta:
        return self._declared.time_limit

    @property
    def try_limit(self) -> timedelta:
        return self._declared.try_limit

    @property
    def every(self) -> timedelta:
        return self._declared.every

    def require_ready(self) -> str:
        self._declared.environment()
        _account(self._declared.user, self._declared.name)
        directory = self._declared.directory
        if directory is not None and not Path(directory).is_dir():
            raise GiveUp(
                "directory_missing",
                found=f"{directory}, where {self._declared.name} is to be started, is no directory",
                expected="a directory of this host",
                hint="make it, or correct directory in the stack file",
            )
        return self._program_file()

    def left_over(self) -> tuple[int, ...]:
        return marked(self._mark)

    def end_left_over(self) -> None:
        end_marked(self._mark, self._workplace.clock)

    def carry_out(self, surroundings: Surroundings, limit: timedelta) -> CommandEnd:
        self._program_file()
        environment = self._declared.environment()
        run_as, of_account = _account(self._declared.user, self._declared.name)
        program = Program(
            arguments=self._declared.run,
            environment=environment,
            variables={**of_account, **surroundings.variables},
            directory=self._declared.directory or surroundings.directory or "/",
            time_limit=limit,
            mark=self._mark,
            run_as=run_as,
        )
        keeper = Keeper(_values((*environment.values(), *self._known())))
        clock = self._workplace.clock
        began = clock.monotonic_seconds()
        ended = run_program(program, self._workplace, hears=keeper.take)
        took = timedelta(seconds=clock.monotonic_seconds() - began)
        return CommandEnd(ended.status, took, keeper.kept())

    def _program_file(self) -> str:
        """A relative path is meant from the directory that the stack file names."""
        name = self._declared.run[0]
        path = str(Path(self._declared.directory or "/") / name) if "/" in name else name
        found = shutil.which(path)
        if found is None:
            raise program_unusable(path, "it is not executable") if "/" in path and Path(path).exists() else program_missing(path)
        return found


def _account(user: str | None, name: str) -> tuple[RunAs, dict[str, str]]:
    """Who it runs as, and what tells it so.

    Raises:
        GiveUp: ``command_user_missing``, ``command_user_not_us``.
    """
    if user is None:
        return {}, {}
    try:
        found = pwd.getpwnam(user)
    except KeyError:
        raise GiveUp(
            "command_user_missing",
            found=f"no operating-system user is called {user}",
            expected=f"the user that {name} runs as",
            hint=f"create it with: useradd --system {user}; or correct user in the stack file",
        ) from None
    if os.geteuid() not in (0, found.pw_uid):
        raise GiveUp(
            "command_user_not_us",
            found=f"{name} is to run as {user}, and understudy runs as another user, who is not root",
            expected="root, or that user",
            hint=f"run understudy as root or as {user}; or leave user out, and have the command change it (sudo -u {user})",
        )
    told = {"HOME": found.pw_dir, "USER": user, "LOGNAME": user, "SHELL": found.pw_shell or "/bin/sh"}
    if os.geteuid() != 0:
        return {}, told
    groups = tuple(os.getgrouplist(user, found.pw_gid))
    return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": groups}, told


def _values(secrets: Iterable[Secret]) -> Iterator[bytes]:
    """Of a secret that holds another one, such as a URL with a password, or a file with several keys, each of them, too: a
    command may say that one alone.
    """
    for secret in secrets:
        value = secret.reveal().strip()
        yield value.encode()
        lines = [each.strip() for each in value.splitlines()]
        held = [each for each in lines if len(each) >= _SHORTEST_LINE and not each.startswith("#")]
        for found in _PASSWORDS.finditer(value):
            password = next(each for each in found.groups() if each is not None)
            held += [password, unquote(password)]
        yield from (each.encode() for each in held)
