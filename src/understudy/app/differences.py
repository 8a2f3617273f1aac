"""What differs between two states of a resource: two restored copies of a database, or two snapshots of what is none."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from understudy.adapters.postgres.compared_databases import (
    ComparedTable,
    databases,
    definitions,
    prepare,
    rows_by_digest,
    rows_by_key,
    sequence_values,
    tables,
)
from understudy.adapters.postgres.local_session import LocalSession, local_session
from understudy.app.installation import Installation
from understudy.app.landing import short_socket_directory
from understudy.app.repositories import made_repository
from understudy.app.snapshots import snapshots_of
from understudy.judge.differences import Change, Difference, compared_by_count, compared_by_key
from understudy.plan.snapshot_restore import HeldSnapshot, choose_snapshot
from understudy.ports.instance import InstancePlace, StopMode
from understudy.repository.snapshots.catalog import OpenedSnapshot
from understudy.repository.snapshots.listing import ListedEntry, key_bytes
from understudy.repository.snapshots.manifest import SnapshotManifest
from understudy.steps.sandbox_settings import sandbox_hba, sandbox_settings
from understudy.vocabulary.errors import GiveUp, Refusal
from understudy.vocabulary.identifiers import ResourceName
from understudy.vocabulary.json import JsonObject
from understudy.vocabulary.recovery_target import LATEST, RecoveryTarget, TargetKind

_PORT = 5432
_EVENT_TRIGGERS_OFF_MAJOR = 17
_LOOK_SECONDS = 0.02
_START_LIMIT = timedelta(minutes=10)


@dataclass(slots=True)
class PartDifferences:
    """Of one table, of the definitions of one database, of all roles, or of a snapshot's entries."""

    part: str
    added: int = 0
    removed: int = 0
    changed: int = 0
    note: str = ""
    """What was compared otherwise than row by row, or could not be."""

    compared: bool = True

    @property
    def differs(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.note)


@dataclass(slots=True)
class Differences:
    earlier: str
    later: str
    file: Path
    parts: list[PartDifferences] = field(default_factory=list)
    """Those that differ."""
    compared: int = 0
    """How many were looked at."""


class _Writer:
    """One JSON object a line, for the first so many of each part; the rest is counted."""

    def __init__(self, found: Differences, keys: int) -> None:
        self._found, self._keys = found, keys
        descriptor = os.open(found.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(descriptor, "w", encoding="utf-8")

    def close(self) -> None:
        self._file.close()

    def take(self, part: str, differences: Iterable[Difference], shown: Callable[[bytes], str], note: str = "") -> None:
        told, written = PartDifferences(part, note=note), 0
        for each in differences:
            told.added += each.count if each.change is Change.ADDED else 0
            told.removed += each.count if each.change is Change.REMOVED else 0
            told.changed += each.count if each.change is Change.CHANGED else 0
            if written < self._keys:
                line: JsonObject = {"part": part, "change": each.change.value, "key": shown(each.key), "count": each.count}
                self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
                written += 1
        self._found.compared += 1
        if told.differs:
            self._found.parts.append(told)

    def not_compared(self, part: str, why: str) -> None:
        self._found.parts.append(PartDifferences(part, note=f"could not be compared: {why}", compared=False))


@contextmanager
def _written(earlier: str, later: str, file: Path, keys: int) -> Iterator[tuple[Differences, _Writer]]:
    """
    Raises:
        Refusal: ``file_unwritable``: it is there, or its directory is not.
    """
    found = Differences(earlier, later, file)
    try:
        writer = _Writer(found, keys)
    except OSError as error:
        raise Refusal(
            "file_unwritable",
            found=f"{file}: {error.strerror}",
            expected="a name that is free, in a directory that is there",
            hint="name another one: --to FILE",
        ) from None
    try:
        yield found, writer
    finally:
        writer.close()


def differences_file(installation: Installation, resource: str) -> Path:
    """Where they go that nobody gave a file for: beside the copies of evidence."""
    directory = installation.state / "evidence"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory / f"differences-{resource}-{installation.clock.now():%Y%m%d-%H%M%S}.jsonl"


# Snapshots


def compare_snapshots(
    installation: Installation, resource: str, earlier: str, later: str, repository: str | None, file: Path, keys: int
) -> Differences:
    """By what listings say of each entry: digests of contents, and attributes. No content is read. Also of quarantined ones.

    Args:
        earlier: A label, or a time: the newest that was complete then. ``later``: likewise; empty: the newest of all.

    Raises:
        Refusal: ``no_backup``, ``no_such_backup``, ``target_before_first_backup``, ``file_unwritable``.
        GiveUp: ``identity_missing``; and what reading the listings raises.
    """
    name = ResourceName(resource)
    source = installation.repository_names(name)[0] if repository is None else installation.repository_name(repository)
    made_repository(installation, source)
    snapshots = snapshots_of(installation, name, source)
    held = tuple(HeldSnapshot(source, each) for each in snapshots.found().usable)
    if not held:
        raise Refusal(
            "no_backup", found=f"{source} holds no snapshot of {name}", expected="two", hint=f"take one: understudy backup {name}"
        )
    before, after = (snapshots.opened(_chosen(name, held, each)) for each in (earlier, later))
    labels = str(before.manifest.label), str(after.manifest.label)
    with _written(*labels, file, keys) as (found, writer):
        writer.take("entries", compared_by_key(_entries(before), _entries(after)), _as_text)
    return found


def _chosen(name: ResourceName, held: tuple[HeldSnapshot, ...], wanted: str) -> SnapshotManifest:
    moment = _moment(wanted)
    if moment is None:
        return choose_snapshot(name, held, LATEST, wanted or None).snapshot
    return choose_snapshot(name, held, RecoveryTarget(TargetKind.TIME, wanted), None).snapshot


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def _entries(snapshot: OpenedSnapshot) -> Iterator[tuple[bytes, str]]:
    for listed in snapshot.listing():
        yield key_bytes(listed.entry.key), _told(listed)


def _told(listed: ListedEntry) -> str:
    entry, content = listed.entry, "" if listed.placed is None else listed.placed.sha256
    return json.dumps([entry.kind.value, entry.size_bytes, entry.link, content, dict(entry.attributes)], sort_keys=True)


def _as_text(key: bytes) -> str:
    return key.decode(errors="backslashreplace")


# Databases


def compare_databases(installation: Installation, resource: str, earlier: str, later: str, file: Path, keys: int) -> Differences:
    """Two copies that ``restore`` made. Each is started for it, closed: no network, nothing of its own configuration that reaches
    out, nothing preloaded; and stopped again.

    Raises:
        Refusal: ``copy_missing``, ``file_unwritable``.
        GiveUp: what starting and asking a server raises.
    """
    name = ResourceName(resource)
    installation.postgres(name)
    places = [_place(each) for each in (earlier, later)]
    if places[0] == places[1]:
        raise Refusal(
            "copy_missing",
            found=f"{places[0].directory}, twice",
            expected="two copies, each in a directory of its own",
            hint="restore the other one: understudy restore RESOURCE --to DIRECTORY",
        )
    with ExitStack() as stack:
        found, writer = stack.enter_context(_written(earlier, later, file, keys))
        superusers = [stack.enter_context(_running(installation, name, place)) for place in places]
        with _sessions(places, superusers, "template1") as (before, after):
            here, there = set(databases(before)), set(databases(after))
            writer.take("roles", compared_by_key(definitions(before, of_roles=True), definitions(after, of_roles=True)), _as_text)
        for database in sorted(here & there):
            with _sessions(places, superusers, database) as sessions:
                _compare_database(writer, database, sessions)
    return found


def _compare_database(writer: _Writer, database: str, sessions: Sequence[LocalSession]) -> None:
    before, after = sessions
    kinds = compared_by_key(definitions(before, of_roles=False), definitions(after, of_roles=False))
    writer.take(f"{database}: definitions", kinds, _as_text)
    writer.take(f"{database}: sequences", compared_by_key(sequence_values(before), sequence_values(after)), _as_text)
    here, there = tables(before), tables(after)
    for name in sorted(here.keys() & there.keys()):
        part = f"{database}: {name}"
        try:
            _compare_table(writer, part, sessions, here[name], there[name])
        except (GiveUp, ValueError) as error:
            found = error.found if isinstance(error, GiveUp) else f"its keys come in no order: {error}"
            writer.not_compared(part, found)


def _compare_table(
    writer: _Writer, part: str, sessions: Sequence[LocalSession], earlier: ComparedTable, later: ComparedTable
) -> None:
    before, after = sessions
    columns = [each for each in earlier.columns if each in later.columns]
    note = "" if earlier.columns == later.columns else f"only by the columns that both have: {', '.join(columns)}"
    if earlier.key and earlier.key == later.key and set(earlier.key) <= set(columns):
        ordered = compared_by_key(rows_by_key(before, earlier, columns), rows_by_key(after, later, columns))
        writer.take(part, ordered, _as_text, note)
    else:
        counted = compared_by_count(rows_by_digest(before, earlier, columns), rows_by_digest(after, later, columns))
        writer.take(part, counted, _as_text, note)


def _place(directory: str) -> InstancePlace:
    path = Path(directory).absolute()
    if not (path / "PG_VERSION").exists():
        raise Refusal(
            "copy_missing",
            found=f"{path} holds no database",
            expected="the directory of a restored copy",
            hint="restore one: understudy restore RESOURCE --to DIRECTORY",
        )
    return InstancePlace(str(path), short_socket_directory(str(path)), _PORT)


@contextmanager
def _running(installation: Installation, name: ResourceName, place: InstancePlace) -> Iterator[str]:
    """The superuser that is let in."""
    instances, clock = installation.instances[name], installation.clock
    settings = {**sandbox_settings(instances.control_data(place.directory)), "autovacuum": "off"}
    if instances.major() >= _EVENT_TRIGGERS_OFF_MAJOR:
        settings["event_triggers"] = "off"  # one of login would run with our rights
    try:
        instances.start(place, settings, sandbox_hba())
        deadline = clock.monotonic_seconds() + _START_LIMIT.total_seconds()
        while not (facts := instances.facts(place)).accepts_connections:
            if not facts.running or clock.monotonic_seconds() > deadline:
                words = " | ".join(facts.last_words[-4:])
                raise GiveUp(
                    "instance_failed",
                    found=f"the server in {place.directory} did not come up; its last words: {words}",
                    expected="a server that accepts connections",
                    hint=f"read its whole log, {place.log_file}",
                )
            clock.wait(_LOOK_SECONDS)
        yield str(instances.query(place, "SELECT current_user")[0][0])
    finally:
        instances.stop(place, StopMode.FAST)


@contextmanager
def _sessions(places: Sequence[InstancePlace], superusers: Sequence[str], database: str) -> Iterator[list[LocalSession]]:
    with ExitStack() as stack:
        sessions = [
            stack.enter_context(local_session(place, user, database)) for place, user in zip(places, superusers, strict=True)
        ]
        for session in sessions:
            prepare(session)
        yield sessions
