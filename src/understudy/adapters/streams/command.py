"""A command that dumps to its standard output, and one that loads from its standard input."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from understudy.adapters.streams.leftovers import end_marked, marked
from understudy.adapters.streams.one_content import OneContent
from understudy.adapters.streams.program import Program, ProgramEnd, program_missing, program_unusable, run_program
from understudy.adapters.streams.spool import Spool
from understudy.adapters.streams.workplace import Workplace
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.json import JsonObject
from understudy.vocabulary.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredCommand:
    """As the stack file has it."""

    resource: str
    dump: tuple[str, ...]
    load: tuple[str, ...] | None
    environment: Callable[[], Mapping[str, Secret]]
    """Read when a command is started. Raises GiveUp as ``resolve`` does."""
    directory: str
    time_limit: timedelta
    may_be_empty: bool
    file: str

    def program(self, arguments: tuple[str, ...], mark: str) -> Program:
        return Program(
            arguments=arguments,
            environment=self.environment(),
            directory=self.directory,
            time_limit=self.time_limit,
            mark=mark,
        )

    def check(self) -> str:
        """Whether both commands could be started, without starting them. Returns where the one that dumps was found.

        Raises:
            GiveUp: ``program_missing``, ``directory_missing``, ``secret_missing``, ``secret_unreadable``.
        """
        self.environment()
        if not Path(self.directory).is_dir():
            raise GiveUp(
                "directory_missing",
                found=f"{self.directory} is no directory",
                expected="the one that the commands are started in",
                hint="make it, or correct directory in the stack file",
            )
        found = [self._found(arguments[0]) for arguments in (self.dump, self.load) if arguments]
        return found[0]

    def _found(self, name: str) -> str:
        path = str(Path(self.directory) / name) if "/" in name else name
        found = shutil.which(path)
        if found is None:
            raise program_unusable(path, "it is not executable") if "/" in path and Path(path).exists() else program_missing(path)
        return found


class CommandCollection(OneContent):
    def __init__(self, declared: DeclaredCommand, workplace: Workplace) -> None:
        super().__init__(f"command://{declared.dump[0].lstrip('/')}", declared.file, workplace)
        self._declared = declared

    def _hand_over(self, spool: Spool) -> JsonObject:
        mark = self._workplace.mark(self._declared.resource)
        end_marked(mark, self._workplace.clock)  # of an attempt that was killed
        program = self._declared.program(self._declared.dump, mark)
        written = 0

        def take(piece: bytes) -> None:
            nonlocal written
            spool.write(piece)
            written += len(piece)
            self._workplace.progress.report("dump", written)

        ended = run_program(program, self._workplace, gives=take)
        self._require_whole(ended, program, written)
        return {}

    def _require_whole(self, ended: ProgramEnd, program: Program, written: int) -> None:
        if ended.status is None:
            raise _timed_out("dump", program, ended)
        if ended.status != 0:
            raise GiveUp(
                "dump_failed",
                found=f"{program.name} {ended.told}",
                expected="that it ends with 0; nothing of what it wrote is kept",
                hint="start it by hand as the user that understudy runs as, with its output sent to /dev/null",
            )
        if written == 0 and not self._declared.may_be_empty:
            words = f"; it said: {ended.words}" if ended.words else ""
            raise GiveUp(
                "dump_empty",
                found=f"{program.name} ended with 0 and wrote nothing{words}",
                expected="something that is worth keeping on its standard output",
                hint=f"see whether it writes to a file instead; if there may be nothing: may_be_empty: true below resources."
                f"{self._declared.resource}",
            )


class CommandLoader:
    """``Loader`` by the command of the stack file. It reads a file, and no pipe: were this process killed, a pipe would end
    in the middle, and many a command would take that for the end.
    """

    def __init__(self, declared: DeclaredCommand, workplace: Workplace) -> None:
        self._declared = declared
        self._workplace = workplace
        self._mark = workplace.mark(declared.resource)

    def left_over(self) -> tuple[int, ...]:
        return marked(self._mark)

    def end_left_over(self) -> None:
        end_marked(self._mark, self._workplace.clock)

    def load(self, content: Path) -> None:
        if self._declared.load is None:
            raise GiveUp(
                "load_undeclared",
                found=f"no load below resources.{self._declared.resource} in the stack file",
                expected="the command that takes back what dump wrote",
                hint=f"add it, or restore the file alone: understudy restore {self._declared.resource} --to DIRECTORY",
            )
        program = self._declared.program(self._declared.load, self._mark)
        try:
            handle = os.open(content, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise GiveUp(
                "content_unreadable",
                found=f"{content}: {error.strerror}",
                expected="what was restored there",
                hint="somebody removed it; nothing was loaded: start again",
            ) from error
        try:
            ended = run_program(program, self._workplace, takes=handle)
        finally:
            os.close(handle)
        if ended.status is None:
            raise _timed_out("load", program, ended)
        if ended.status != 0:
            raise GiveUp(
                "load_failed",
                found=f"{program.name} {ended.told}",
                expected="that it ends with 0; what it did until then is done",
                hint=f"look at what it loads into, then again: understudy restore {self._declared.resource} --load",
            )


def _timed_out(what: str, program: Program, ended: ProgramEnd) -> GiveUp:
    limit = f"{program.time_limit.total_seconds():g} s"
    said = f"; it said: {ended.words}" if ended.words else ""
    return GiveUp(
        f"{what}_timed_out",
        found=f"{program.name} was at work for more than {limit}, and was ended with all that it had started{said}",
        expected=f"that it ends within time_limit, {limit}",
        hint="see what it waits for; where it needs so long, raise time_limit in the stack file",
    )
