"""A local server's last words, put into the error tree.

The texts are those of PostgreSQL 13 to 18 under ``lc_messages=C``. What no rule knows is still reported, with the words as found.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from understudy.vocabulary.errors import GiveUp

_TAIL_BYTES = 16 * 1024
_TAIL_LINES = 30
_FATAL = re.compile(r"\b(FATAL|PANIC): ")
_EXPLANATION = re.compile(r"\b(DETAIL|HINT|CONTEXT): ")
_CONSEQUENCE = re.compile(
    r"the database system is (starting up|shutting down|in recovery mode|not (yet )?accepting connections)|terminating .* due to"
)
"""Refused clients and bystanders: never the cause."""


@dataclass(frozen=True, slots=True)
class _Rule:
    code: str
    pattern: re.Pattern[str]
    expected: str
    hint: str


def _rule(code: str, pattern: str, expected: str, hint: str) -> _Rule:
    return _Rule(code, re.compile(pattern, re.IGNORECASE), expected, hint)


_RULES = (
    _rule(
        "settings_too_small",
        r"insufficient parameter settings|is a lower setting than on the|maximum number of prepared transactions",
        "max_connections, max_worker_processes, max_wal_senders, max_prepared_transactions and max_locks_per_transaction "
        "at least as large as on the server that wrote the WAL",
        "raise the setting that is named to the value that is named, and start again",
    ),
    _rule(
        "port_in_use",
        r"could not (bind|create any TCP/IP sockets|create any Unix-domain sockets)|Address already in use"
        r"|lock file \"[^\"]*\.s\.PGSQL[^\"]*\" already exists",
        "a port and a socket directory that no other server uses",
        "see who holds the port with: ss -lptn; stop that server, or choose another port for this one",
    ),
    _rule(
        "place_busy",
        r"lock file \".*\" already exists|is another (postmaster|postgres) .* running|pre-existing shared memory block",
        "a data directory that no server uses",
        "stop the server that is named; remove postmaster.pid only when you are certain that none runs on this directory",
    ),
    _rule(
        "programs_wrong_major",
        r"database files are incompatible with server|initialized by PostgreSQL version",
        "PostgreSQL programs of the data directory's major version",
        "set recover.programs in the stack file to the programs of that major version",
    ),
    _rule(
        "control_file_corrupted",
        r"incorrect checksum in control file|could not (open|read) file \"[^\"]*pg_control\"|invalid data in control file"
        r"|could not find the database system",
        "a global/pg_control whose own checksum holds",
        "this data directory is damaged or incomplete: restore it again",
    ),
    _rule(
        "tablespace_not_in_backup",
        r"could not (create|remove) (symbolic link|directory) \"pg_tblspc/\d+[^\"]*\": Permission denied"
        r"|FATAL: directory \"[^\"]+\" does not exist",
        "only tablespaces that the backup holds: a copy makes none out of the WAL, because it would lie on the source's path",
        "take a new backup, which holds it, and start again; or choose a target before the position that is named",
    ),
    _rule(
        "tablespace_missing",
        r"pg_tblspc/\d+\S*.*(No such file|does not exist)|could not open tablespace directory",
        "the directory of each tablespace",
        "restore with a mapping for each tablespace, into directories that exist",
    ),
    _rule(
        "backup_label_missing",
        r"could not locate (required|a valid) checkpoint record|invalid (primary )?checkpoint record",
        "the checkpoint record that the base backup begins with",
        "the first WAL segment of this backup cannot be had, or backup_label was removed: restore the base backup again",
    ),
    _rule(
        "target_before_backup",
        r"requested recovery stop point is before consistent recovery point",
        "a recovery target behind the end of the base backup",
        "choose an older backup, or a later target",
    ),
    _rule(
        "target_not_reached",
        r"recovery ended before configured recovery target was reached",
        "WAL up to and beyond the recovery target",
        "choose an earlier target; a time target needs one commit behind it",
    ),
    _rule(
        "wal_ends_early",
        r"WAL ends before (end of online backup|consistent recovery point)",
        "all the WAL that was written while the base backup was taken",
        "this backup cannot be used without it: restore another backup",
    ),
    _rule(
        "timeline_unreachable",
        r"requested (starting )?timeline \d+ (is not a child|is not in this server's history|does not contain)",
        "a timeline that descends from the one of the base backup",
        "name the timeline explicitly; the .history files say which one forked from which",
    ),
    _rule(
        "wal_fetch_failed",
        r"could not restore file \".*\" from archive",
        "that restore_command delivers each segment, or says that it is not there",
        "the process that fetches WAL reported a fault or was gone: start again",
    ),
    _rule("disk_full", r"No space left on device", "free space", "free space on the file system that is named, then start again"),
    _rule(
        "memory_missing",
        r"could not (map anonymous|create) shared memory|could not resize shared memory|Cannot allocate memory",
        "enough memory, and huge pages where huge_pages = on demands them",
        "lower shared_buffers, or set huge_pages to try",
    ),
    _rule(
        "library_missing",
        r"could not (load library|access file) \"",
        "the extension's library beside these programs",
        "install the extension's package for this major version, or leave it out of shared_preload_libraries",
    ),
    _rule(
        "setting_rejected",
        r"invalid value for parameter|unrecognized configuration parameter|configuration file .* contains errors",
        "settings that this major version knows",
        "correct the setting that is named",
    ),
    _rule(
        "place_denied",
        r"Permission denied|invalid permissions|has wrong ownership|must be run by the same user",
        "directories that the server's user owns, with mode 0700, below directories that it may enter",
        "correct owner and mode of the directory that is named: chown -R, chmod 0700",
    ),
)


def log_tail(log: Path, mark: str | None = None) -> tuple[str, ...]:
    """The newest lines of a log, as far back as the last line that is ``mark``; none when it does not exist."""
    try:
        with log.open("rb") as file:
            lines = _last_lines(file)
    except FileNotFoundError:
        return ()
    if mark is not None and mark in lines:
        del lines[: len(lines) - lines[::-1].index(mark)]
    return tuple(lines[-_TAIL_LINES:])


def collected_log_tail(directory: Path, user_id: int) -> tuple[str, ...]:
    """The newest lines of the log that the server's own logging collector writes, if it does.

    What lies in its directory, and the name that stands there, are the server's user's choice, and root may be asking: so only a
    plain file is read that belongs to this user, and no pipe is waited for.
    """
    named = [line.partition(" ")[2] for line in _own_lines(directory / "current_logfiles", user_id) if line.startswith("stderr ")]
    return tuple(_own_lines(directory / named[0], user_id)[-_TAIL_LINES:]) if named else ()


def _own_lines(path: Path, user_id: int) -> list[str]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return []
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        return _last_lines(file) if stat.S_ISREG(found.st_mode) and found.st_uid == user_id else []


def _last_lines(file: BinaryIO) -> list[str]:
    size = file.seek(0, 2)
    file.seek(max(0, size - _TAIL_BYTES))
    return file.read().decode(errors="replace").splitlines()


def why_it_ended(words: Sequence[str], directory: str, log: str) -> GiveUp:
    """The error for a server that ended: specific where its last words are known, ``instance_failed`` otherwise."""
    cause = cause_of_death(words)
    for rule in _RULES:
        if rule.pattern.search(cause):
            return GiveUp(rule.code, found=f"the server in {directory} ended: {cause}", expected=rule.expected, hint=rule.hint)
    return GiveUp(
        "instance_failed",
        found=f"the server in {directory} ended: {cause or 'it left no word'}",
        expected="a running server",
        hint=f"read its log, {log}",
    )


def cause_of_death(words: Sequence[str]) -> str:
    """The last FATAL or PANIC line with what explains it; else the last line. Empty without words."""
    lines = [line for line in words if line.strip()]
    fatal = [index for index, line in enumerate(lines) if _FATAL.search(line) and not _CONSEQUENCE.search(line)]
    if not fatal:
        return lines[-1].strip() if lines else ""
    last = fatal[-1]
    explained = [lines[last]]
    for line in lines[last + 1 :]:
        if not _EXPLANATION.search(line):
            break
        explained.append(line)
    return " ".join(_without_prefix(line) for line in explained)


def _without_prefix(line: str) -> str:
    """Without time and process id; the severity stays."""
    found = re.search(r"\b(FATAL|PANIC|DETAIL|HINT|CONTEXT): .*", line)
    return " ".join((found.group(0) if found else line).split())
