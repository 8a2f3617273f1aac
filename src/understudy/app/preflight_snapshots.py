"""Looking at what is no database before it is kept."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from understudy.app.collections import collection_of
from understudy.app.dumps import check_dump
from understudy.app.installation import Installation
from understudy.app.looking_around import workplace_of_a_look
from understudy.app.replaceable import require_operable, require_replaceable
from understudy.app.scheduling import scheduled_backups
from understudy.app.streams import check_stream
from understudy.judge.preflight import Finding, Grade, finding_of
from understudy.judge.preflight_snapshots import SourceFacts, judge_schedule, judge_source, judge_state_within
from understudy.plan.schedule import next_due
from understudy.ports.collection import Collection, Entry, EntryKind, is_top
from understudy.stack.dumps import PostgresDumpResource
from understudy.stack.snapshots import BucketResource, FilesResource
from understudy.stack.streams import RedisResource
from understudy.vocabulary.errors import Refusal, UnderstudyError
from understudy.vocabulary.identifiers import ResourceName

T = TypeVar("T")

_LOOKED_AT_ENTRIES = 20_000
_TRIED_CONTENTS = 100
_DUES_LOOKED_AT = 60
"""Enough for weekdays and nights that a schedule leaves out."""
_ONLY_A_RECOVERY_MINDS = ("place_is_needed", "target_is_mount_point")
_CHANGED_MEANWHILE = ("entry_changed", "entry_gone")


def check_snapshot_resource(installation: Installation, name: ResourceName) -> Iterator[Finding]:
    subject = f"resource {name}"
    settings = installation.in_snapshots(name)
    try:
        if isinstance(settings, FilesResource | BucketResource):
            found = tuple(judge_source(subject, _look(collection_of(settings))))
        elif isinstance(settings, PostgresDumpResource):
            found = check_dump(subject, name, settings, workplace_of_a_look(installation.clock))
        else:
            found = (check_stream(subject, name, settings, installation.clock),)
    except UnderstudyError as error:
        yield finding_of(error, subject, "source")
    else:
        yield from found
    if isinstance(settings, FilesResource) and installation.state.is_relative_to(settings.path) and not settings.exclude:
        yield judge_state_within(subject, settings.path, str(installation.state))
    yield from _of_its_place(installation, name, subject)
    yield judge_schedule(subject, installation.stack.tier_of(name).rpo, _longest_gap(installation, name))


def _of_its_place(installation: Installation, name: ResourceName, subject: str) -> Iterator[Finding]:
    """Whether a real recovery could put it where it was: better known before."""
    settings = installation.in_snapshots(name)
    try:
        if isinstance(settings, FilesResource):
            require_replaceable(installation, name, settings.path)
        elif isinstance(settings, RedisResource) and settings.recover is not None:
            require_operable(name, settings.recover)
            require_replaceable(installation, name, settings.recover.directory)
    except Refusal as refusal:
        found = finding_of(refusal, subject, "recovery")
        yield replace(found, grade=Grade.WARNING) if refusal.code in _ONLY_A_RECOVERY_MINDS else found


def _look(collection: Collection) -> SourceFacts:
    """Some of it, and the beginnings of some contents: a directory that may be listed need not be one that may be read."""
    entries = size_bytes = tried = 0
    with closing(_closable(collection.entries())) as found:
        for entry in found:
            if entries == _LOOKED_AT_ENTRIES:
                return SourceFacts(collection.url, entries, size_bytes, False, tried, collection.passed_over())
            entries += 0 if is_top(entry) else 1
            size_bytes += entry.size_bytes
            if entry.kind is EntryKind.FILE and tried < _TRIED_CONTENTS:
                tried += _opens(collection, entry)
    return SourceFacts(collection.url, entries, size_bytes, True, tried, collection.passed_over())


def _opens(collection: Collection, entry: Entry) -> bool:
    try:
        with closing(_closable(collection.read(entry))) as pieces:
            next(pieces, b"")
    except UnderstudyError as error:
        if error.code not in _CHANGED_MEANWHILE:
            raise
        return False
    return True


def _closable(items: Iterator[T]) -> Generator[T]:
    """What holds something open lets go of it as soon as enough was seen."""
    yield from items


def _longest_gap(installation: Installation, name: ResourceName) -> timedelta | None:
    gaps = []
    for entry in scheduled_backups(installation, name):
        due = next_due(entry, installation.clock.now()).at
        for _ in range(_DUES_LOOKED_AT):
            following = next_due(entry, due).at
            gaps.append(following - due)
            due = following
    return max(gaps, default=None)
