"""A restored dump, loaded whole into a server of its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from understudy.adapters.dumps.client import DUMP_PROGRAMS, PostgresClient
from understudy.adapters.dumps.loading import LoadingServer
from understudy.adapters.dumps.scratch_server import SERVER_PROGRAMS, ScratchServer
from understudy.adapters.postgres.accounts import Account
from understudy.adapters.postgres.programs import find_programs_for_dumps
from understudy.adapters.streams.workplace import Errand
from understudy.ports.dumps import DESCRIPTION, GLOBALS, Dump
from understudy.vocabulary.errors import GiveUp, TryAgain
from understudy.vocabulary.json import Json, JsonObject
from understudy.vocabulary.secret import Secret
from understudy.vocabulary.sizes import readable_size

_TEMPORARY = "understudy_trial"
_HEADROOM = 2
"""Rows take about as much in a table as in a dump; indexes come on top."""


class DumpTrial:
    """``ContentTrial``. Where it cannot be tried, the drill has failed: a dump that nobody can load is none."""

    def __init__(
        self,
        directory: Path,
        socket_directory: Path,
        errand: Errand,
        *,
        programs: str | None,
        jobs: int,
        checks: Sequence[Mapping[str, str]],
    ) -> None:
        self._directory = directory
        self._sockets = socket_directory
        self._errand = errand
        self._programs = programs
        self._jobs = jobs
        self._checks = checks

    def try_out(self, content: Path) -> JsonObject:
        dump = Dump.from_json(json.loads((content / DESCRIPTION).read_bytes()))
        programs = find_programs_for_dumps(dump.programs_major, self._programs, (*DUMP_PROGRAMS, *SERVER_PROGRAMS))
        self._require_room(sum(path.stat().st_size for path in content.rglob("*") if path.is_file()))
        with self._server().running(programs) as conninfo:
            client = PostgresClient(Secret(conninfo), self._errand, str(programs.directory))
            server = LoadingServer(client, self._errand, self._jobs, self._checks)
            try:
                told = self._load(server, dump, content)
            except TryAgain as error:  # nobody mends a server that is made anew each time
                raise GiveUp(
                    "trial_failed",
                    found=f"the server that was started to load it went away: {error.found}",
                    expected="that it loads all of it",
                    hint="see whether its host lacks memory (dmesg); then drill again",
                ) from error
        return {"server_major": programs.major, **told}

    def _load(self, server: LoadingServer, dump: Dump, content: Path) -> JsonObject:
        roles = server.take_roles(content / GLOBALS)
        checks: list[Json] = []
        for database in dump.databases:
            if database.entries or not server.has(database.name):
                told = server.load(content / database.directory, database, _TEMPORARY, whole=True, table=None)
                server.put_in_place(_TEMPORARY, database.name, content / database.directory)
                checks += cast("list[Json]", told["checks"])
        return {
            "databases": len(dump.databases),
            "tables": sum(len(database.tables) for database in dump.databases),
            "rows": sum(database.rows for database in dump.databases),
            "checks": checks,
            **roles,
        }

    def discard(self) -> None:
        self._server().discard()

    def _server(self) -> ScratchServer:
        return ScratchServer(self._directory, self._sockets, Account.choose(), self._errand)

    def _require_room(self, dumped_bytes: int) -> None:
        above = next(each for each in (self._directory, *self._directory.parents) if each.is_dir())
        free = shutil.disk_usage(above).free
        if free < dumped_bytes * _HEADROOM:
            raise GiveUp(
                "trial_impossible",
                found=f"{readable_size(free)} are free at {above}, and the dump is {readable_size(dumped_bytes)}",
                expected=f"{_HEADROOM} times as much, for a server that loads it",
                hint="make room in the state directory, or name another one: state.directory in the stack file",
            )
