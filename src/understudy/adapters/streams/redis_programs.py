"""Redis's own programs on this host, and what they say."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from datetime import timedelta

from understudy.adapters.streams.program import Program, ProgramEnd, program_missing, run_program
from understudy.adapters.streams.redis_address import RedisAddress
from understudy.adapters.streams.workplace import Errand
from understudy.vocabulary.errors import GiveUp, TryAgain, UnderstudyError

_ANSWER_LIMIT = timedelta(seconds=30)
_RETRY_AFTER = timedelta(seconds=15)
_LARGEST_ANSWER_BYTES = 4 * 1024 * 1024
_KEYS_READ = re.compile(rb"^\[info\] (\d+) keys read", re.M)
_EXPIRES = re.compile(rb"^\[info\] (\d+) expires", re.M)
_RDB_VERSION = re.compile(rb"^(?:REDIS|VALKEY)\d{3,4}")
_PASSING = re.compile(
    r"Could not connect|[Cc]onnection|LOADING|MASTERDOWN|BUSY|closed|I/O error|timed out|Resource temporarily|No such file|"
    r"Can't SYNC|MISCONF|without a word|EOF"
)
"""What passes by itself: a server that is away, still loading, or at work with something else."""
_INSTALL = {
    "redis-cli": "apt-get install redis-tools",
    "redis-check-rdb": "apt-get install redis-tools",
    "redis-server": "apt-get install redis-server (systemctl disable --now redis-server, if none is to run here)",
}


@dataclass(frozen=True, slots=True)
class RedisPrograms:
    directory: str | None
    """Where they are; None: where the PATH has them."""

    def path(self, name: str) -> str:
        """
        Raises:
            GiveUp: ``program_missing``.
        """
        found = shutil.which(name, path=self.directory)
        if found is None:
            where = f"{self.directory}/{name}" if self.directory else name
            raise program_missing(where, f"install it: {_INSTALL[name]}; or name its directory with programs in the stack file")
        return found


@dataclass(frozen=True, slots=True)
class RdbFacts:
    """What an RDB file holds, as redis-check-rdb counts it; its checksum is right."""

    keys: int
    with_expiry: int


class RedisClient:
    """A server, asked with redis-cli."""

    def __init__(self, programs: RedisPrograms, address: RedisAddress, errand: Errand, directory: str = "/") -> None:
        self._programs = programs
        self._address = address
        self._errand = errand
        self._directory = directory

    @property
    def shown(self) -> str:
        return self._address.shown

    def program(self, *words: str, time_limit: timedelta = _ANSWER_LIMIT) -> Program:
        return Program(
            arguments=(self._programs.path("redis-cli"), *self._address.arguments, *words),
            environment=self._address.environment,
            directory=self._directory,
            time_limit=time_limit,
            mark=self._errand.mark,
        )

    def info(self, *sections: str) -> dict[str, str]:
        """
        Raises:
            TryAgain: ``source_unreachable``: it does not answer, or is still loading.
            GiveUp: ``source_denied``, ``source_unreadable``, ``program_missing``.
        """
        found: dict[str, str] = {}
        for section in sections:
            for line in self.ask("INFO", section).splitlines():
                name, colon, value = line.strip().partition(":")
                if colon:
                    found[name] = value
        return found

    def ask(self, *words: str) -> str:
        """The answer as text; raises as ``info``."""
        answer = bytearray()

        def take(piece: bytes) -> None:
            answer.extend(piece[: _LARGEST_ANSWER_BYTES - len(answer)])

        ended = run_program(self.program(*words), self._errand.workplace, gives=take)
        text = answer.decode(errors="replace").strip()
        if ended.status != 0 or is_an_error(ended.words) or is_an_error(text):
            raise self.why(ended, text)
        return text

    def why(self, ended: ProgramEnd, answer: str = "") -> UnderstudyError:
        """What an end means, by what it said."""
        said = f"{ended.words} {answer}".strip() or ended.told
        if re.search(r"NOAUTH|WRONGPASS|AUTH failed|invalid password", said):
            return GiveUp(
                "source_denied",
                found=f"{self.shown} does not let us in: {said}",
                expected="a user's name and password that it knows",
                hint="correct the password that url or password of this resource refers to; try it by hand: "
                f"REDISCLI_AUTH=… redis-cli {' '.join(self._address.arguments)} ping",
            )
        if "NOPERM" in said:
            return GiveUp(
                "source_denied",
                found=f"{self.shown}: {said}",
                expected="a user who may do PING, INFO, SYNC, PSYNC and REPLCONF",
                hint="grant them: ACL SETUSER NAME +ping +info +sync +psync +replconf, then ACL SAVE or CONFIG REWRITE",
            )
        if re.search(r"certificate|SSL_|tlsv1|wrong version number", said):
            return GiveUp(
                "source_denied",
                found=f"{self.shown}: {said}",
                expected="TLS on both sides or on none, and a certificate that was signed by one of ca, for this name",
                hint="compare url (rediss:// is TLS), ca, certificate and key of this resource with the server's tls-* settings",
            )
        if ended.status is not None and not _PASSING.search(said):
            return GiveUp(
                "source_unreadable",
                found=f"{self.shown}: {said}",
                expected="a Redis server that hands its data to replicas",
                hint="try it by hand, as the user that understudy runs as: "
                f"redis-cli {' '.join(self._address.arguments)} --rdb /dev/null",
            )
        reason = "it did not answer in time" if ended.status is None else said
        return TryAgain(
            "source_unreachable",
            found=f"{self.shown}: {reason}",
            expected="a Redis server that answers",
            hint="see whether it runs and is loaded, and whether url leads there (by rediss:// where it speaks TLS): "
            f"redis-cli {' '.join(self._address.arguments)} ping",
            after=_RETRY_AFTER,
        )


def is_an_error(text: str) -> bool:
    return re.match(r"\(error\)|-?(NOAUTH|NOPERM|LOADING|ERR|WRONGPASS|MASTERDOWN|DENIED)\b|AUTH failed", text) is not None


def keys_in(info: dict[str, str]) -> dict[str, int]:
    """By database, such as ``db0``; empty ones are not told."""
    counts = ((name, re.match(r"keys=(\d+)", value)) for name, value in info.items() if re.fullmatch(r"db\d+", name))
    return {name: int(found.group(1)) for name, found in counts if found is not None}


def check_rdb(programs: RedisPrograms, path: str, beginning: bytes, errand: Errand, pass_fds: tuple[int, ...] = ()) -> RdbFacts:
    """Every byte of it is read, and its checksum compared.

    Raises:
        GiveUp: ``rdb_damaged``; ``program_missing``.
    """
    if not _RDB_VERSION.match(beginning):
        raise _is_damaged(f"it begins with {beginning[:9]!r}")
    told = bytearray()

    def take(piece: bytes) -> None:
        told.extend(piece)
        del told[:-_LARGEST_ANSWER_BYTES]

    program = Program(arguments=(programs.path("redis-check-rdb"), path), time_limit=errand.time_limit, mark=errand.mark)
    ended = run_program(program, errand.workplace, gives=take, pass_fds=pass_fds)
    keys, with_expiry = _KEYS_READ.search(told), _EXPIRES.search(told)
    if ended.status != 0 or keys is None or with_expiry is None:
        lines = [line.decode(errors="replace") for line in told.splitlines() if b"ERROR" in line or b"Can't" in line]
        raise _is_damaged(" / ".join(lines[-2:]) or ended.told)
    return RdbFacts(int(keys.group(1)), int(with_expiry.group(1)))


def _is_damaged(why: str) -> GiveUp:
    return GiveUp(
        "rdb_damaged",
        found=f"redis-check-rdb does not take the RDB file: {why}",
        expected="a whole RDB file, whose checksum is right, of a version that the Redis programs of this host know",
        hint="where it cannot handle the format's version, install the programs of the server's version and name them with "
        "programs; else take or choose another backup",
    )
