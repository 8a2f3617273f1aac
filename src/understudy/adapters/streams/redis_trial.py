"""A restored RDB file, loaded by a Redis server of its own: on a socket that nobody else reaches, and never saved."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from understudy.adapters.streams.leftovers import MARK_VARIABLE, end_working_in
from understudy.adapters.streams.program import Program, RunAs
from understudy.adapters.streams.redis_address import RedisAddress
from understudy.adapters.streams.redis_programs import RdbFacts, RedisClient, RedisPrograms, check_rdb, keys_in
from understudy.adapters.streams.workplace import Errand
from understudy.vocabulary.errors import GiveUp, TryAgain
from understudy.vocabulary.json import JsonObject

_FILE, _SOCKET, _LOG = "dump.rdb", "redis.sock", "log"
_CUSTOMARY_USERS = ("redis", "nobody")
_LOOK_EVERY_SECONDS = 0.05
_HEAD_BYTES = 16
_LOG_BYTES = 16 * 1024
_DATABASES = 16384
"""More than anybody has: a server refuses a file with a database behind its last one."""


class RedisTrial:
    def __init__(self, programs: RedisPrograms, errand: Errand) -> None:
        self._programs = programs
        self._errand = errand
        self._workplace = errand.workplace
        self._directory = errand.workplace.scratch / f"{errand.resource}-trial"

    def try_out(self, content: Path) -> JsonObject:
        server = self._programs.path("redis-server")
        with content.open("rb") as file:
            beginning = file.read(_HEAD_BYTES)
        rdb = check_rdb(self._programs, str(content), beginning, self._errand)
        with self._alone() as user:
            try:
                self._copy(content, user)
                return self._load(server, rdb, user)
            finally:
                end_working_in(self._directory, self._workplace.clock)

    @contextmanager
    def _alone(self) -> Iterator[RunAs]:
        """In an empty directory that the server's user owns."""
        user = _unprivileged()
        self.discard()  # of an attempt that was killed
        self._directory.mkdir(mode=0o700, parents=True)
        if user:
            os.chown(self._directory, user["user"], user["group"])
        try:
            yield user
        finally:
            self.discard()

    def discard(self) -> None:
        end_working_in(self._directory, self._workplace.clock)
        shutil.rmtree(self._directory, ignore_errors=True)

    def _copy(self, content: Path, user: RunAs) -> None:
        """The server may be another user than the one who may read what was restored."""
        copy = self._directory / _FILE
        try:
            shutil.copyfile(content, copy)
            if user:
                os.chown(copy, user["user"], user["group"])
        except OSError as error:
            raise _impossible(f"{copy}: {error.strerror}", "room in the state directory for a second copy of the file") from error

    def _load(self, server: str, rdb: RdbFacts, user: RunAs) -> JsonObject:
        process = self._start(server, user)
        try:
            info = self._answer(process)
            databases = keys_in(info)
            found = sum(databases.values())
            self._require_all(rdb, info, found)
            return {
                "server_version": info.get("redis_version", "unknown"),
                "keys": rdb.keys,
                "keys_with_expiry": rdb.with_expiry,
                "keys_loaded": int(info.get("rdb_last_load_keys_loaded", found)),
                "databases": len(databases),
            }
        finally:
            process.terminate()
            end_working_in(self._directory, self._workplace.clock)
            process.wait()

    def _start(self, server: str, user: RunAs) -> subprocess.Popen[bytes]:
        """It works in its directory, by names without a path: a socket's path may have 107 bytes, and the directories above may
        be closed to its user. Where ``setpriv`` is there, it ends with us even if we are killed.
        """
        guard = shutil.which("setpriv")
        command = [
            *([guard, "--pdeathsig", "KILL", "--"] if guard else []),
            server, "--port", "0", "--unixsocket", _SOCKET, "--unixsocketperm", "700", "--save", "", "--appendonly", "no",
            "--dir", ".", "--dbfilename", _FILE, "--databases", str(_DATABASES), "--daemonize", "no", "--logfile", "",
        ]  # fmt: skip
        plain = Program(arguments=tuple(command), time_limit=self._errand.time_limit, mark=self._errand.mark)
        with (self._directory / _LOG).open("wb") as log:
            try:
                return subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._directory,
                    env={**plain.full_environment(), MARK_VARIABLE: self._errand.mark}, start_new_session=True, **user,
                )  # fmt: skip
            except OSError as error:
                raise _impossible(
                    f"{server} cannot be started: {error.strerror}", "a redis-server that can be started"
                ) from error

    def _answer(self, process: subprocess.Popen[bytes]) -> dict[str, str]:
        """What it says of itself once it has loaded everything."""
        clock = self._workplace.clock
        address = RedisAddress(("-s", _SOCKET), "the server that was started to try it")
        client = RedisClient(self._programs, address, self._errand, str(self._directory))
        deadline = clock.monotonic_seconds() + self._errand.time_limit.total_seconds()
        while process.poll() is None:
            self._workplace.cancellation.raise_if_requested()
            if clock.monotonic_seconds() >= deadline:
                limit = f"{self._errand.time_limit.total_seconds():g} s"
                raise _impossible(f"the server had not loaded it after {limit}", "a trial within time_limit")
            if (self._directory / _SOCKET).exists():
                try:
                    info = client.info("server", "persistence", "keyspace")
                except TryAgain:
                    info = {"loading": "1"}
                if info.get("loading") == "0":
                    return info
            clock.wait(_LOOK_EVERY_SECONDS)
        raise self._why_it_ended()

    def _why_it_ended(self) -> GiveUp:
        with (self._directory / _LOG).open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _LOG_BYTES))
            words = [line.decode(errors="replace").strip() for line in log if line.strip()]
        told = " / ".join(each for each in words if " # " in each) or (words[-1] if words else "it said nothing")
        if "Internal error in RDB" in told or "Short read" in told or "Wrong signature" in told or "CRC" in told:
            return GiveUp(
                "trial_failed",
                found=f"a server that was started on it did not load it: {told}",
                expected="that all of it is loaded",
                hint="choose another backup with --backup: understudy backups",
            )
        return _impossible(f"the server that was started on it ended: {told}", "one that loads it on this host")

    def _require_all(self, rdb: RdbFacts, info: dict[str, str], found: int) -> None:
        """What has expired since is not loaded; servers before 7.0 do not say how much that was."""
        if "rdb_last_load_keys_loaded" in info:
            loaded = int(info["rdb_last_load_keys_loaded"]) + int(info.get("rdb_last_load_keys_expired", 0))
            all_there = loaded == rdb.keys
        else:
            loaded = found
            all_there = rdb.keys - rdb.with_expiry <= found <= rdb.keys
        if not all_there:
            raise GiveUp(
                "trial_failed",
                found=f"a server that was started on it holds {loaded} keys, and the file {rdb.keys}",
                expected="every key of the file",
                hint="choose another backup with --backup: understudy backups",
            )


def _impossible(found: str, expected: str) -> GiveUp:
    return GiveUp(
        "trial_impossible",
        found=found,
        expected=expected,
        hint="what was restored is as it was stored, and its checksum is right; start a server on it yourself to be certain",
    )


def _unprivileged() -> RunAs:
    """Whom the server runs as: never root. Empty: us."""
    if os.geteuid() != 0:
        return {}
    for name in _CUSTOMARY_USERS:
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": ()}
    raise _impossible("this process is root, and there is neither a user redis nor nobody", "an unprivileged user for the server")
