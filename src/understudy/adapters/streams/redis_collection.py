"""The data of a Redis server as one content: the RDB file that it hands to a replica."""

from __future__ import annotations

from dataclasses import dataclass

from understudy.adapters.streams.leftovers import end_marked
from understudy.adapters.streams.one_content import OneContent
from understudy.adapters.streams.program import run_program
from understudy.adapters.streams.redis_programs import RdbFacts, RedisClient, RedisPrograms, check_rdb, keys_in
from understudy.adapters.streams.spool import Spool
from understudy.adapters.streams.workplace import Errand
from understudy.ports.collection import RDB_KEY
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.json import JsonObject

_HEAD_BYTES = 16
_SAID_WELL = "Transfer finished with success"


@dataclass(frozen=True, slots=True)
class ServerSeen:
    version: str
    role: str
    databases: dict[str, int]
    """Keys of each that has some."""

    @property
    def keys(self) -> int:
        return sum(self.databases.values())


def see_server(client: RedisClient) -> ServerSeen:
    """Raises as ``RedisClient.info``."""
    info = client.info("server", "replication", "keyspace")
    return ServerSeen(info.get("redis_version", "unknown"), info.get("role", "unknown"), keys_in(info))


class RedisCollection(OneContent):
    """Its one entry says, beside the file's own attributes, what the server said of itself right before and right after, and what
    the file holds: ``{"redis": {"version", "role", "databases", "keys_before", "keys_after", "keys", "keys_with_expiry"}}``.
    """

    def __init__(self, client: RedisClient, programs: RedisPrograms, errand: Errand) -> None:
        super().__init__(client.shown, RDB_KEY, errand.workplace)
        self._client = client
        self._programs = programs
        self._errand = errand

    def _hand_over(self, spool: Spool) -> JsonObject:
        end_marked(self._errand.mark, self._workplace.clock)  # of an attempt that was killed
        before = see_server(self._client)
        self._transfer(spool)
        rdb = self._checked(spool)
        after = see_server(self._client)
        about: JsonObject = {
            "version": after.version,
            "role": after.role,
            "databases": {**after.databases},
            "keys_before": before.keys,
            "keys_after": after.keys,
            "keys": rdb.keys,
            "keys_with_expiry": rdb.with_expiry,
        }
        return {"redis": about}

    def _transfer(self, spool: Spool) -> None:
        """redis-cli opens the spool by its handle's name: what comes behind a stream's end it can only cut off from a file."""
        program = self._client.program("--rdb", f"/proc/self/fd/{spool.handle}", time_limit=self._errand.time_limit)
        ended = run_program(program, self._workplace, pass_fds=(spool.handle,))
        if ended.status is None:
            limit = f"{self._errand.time_limit.total_seconds():g} s"
            raise GiveUp(
                "dump_timed_out",
                found=f"{self._client.shown} did not hand over its data within {limit}: {ended.words or 'it said nothing'}",
                expected=f"a transfer that ends within time_limit, {limit}",
                hint="see whether the server is at work saving (INFO persistence); where it needs so long, raise time_limit",
            )
        if ended.status != 0 or _SAID_WELL not in ended.words:
            raise self._client.why(ended)

    def _checked(self, spool: Spool) -> RdbFacts:
        file = f"/proc/self/fd/{spool.handle}"
        return check_rdb(self._programs, file, spool.read(_HEAD_BYTES, 0), self._errand, (spool.handle,))
