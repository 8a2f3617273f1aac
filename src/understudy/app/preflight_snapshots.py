"""Looking at what is no database before it is kept."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from datetime import timedelta
from typing import TypeVar

from understudy.app.collections import collection_of
from understudy.app.installation import Installation
from understudy.app.scheduling import scheduled_backups
from understudy.app.streams import check_stream
from understudy.judge.preflight import Finding, finding_of
from understudy.judge.preflight_snapshots import SourceFacts, judge_schedule, judge_source, judge_state_within
from understudy.plan.schedule import next_due
from understudy.ports.collection import Collection, Entry, EntryKind, is_top
from understudy.stack.snapshots import BucketResource, FilesResource
from understudy.vocabulary.errors import UnderstudyError
from understudy.vocabulary.identifiers import ResourceName

T = TypeVar("T")

_LOOKED_AT_ENTRIES = 20_000
_TRIED_CONTENTS = 100
_DUES_LOOKED_AT = 60
"""Enough for weekdays and nights that a schedule leaves out."""
_CHANGED_MEANWHILE = ("entry_changed", "entry_gone")


def check_snapshot_resource(installation: Installation, name: ResourceName) -> Iterator[Finding]:
    subject = f"resource {name}"
    settings = installation.in_snapshots(name)
    try:
        if isinstance(settings, FilesResource | BucketResource):
            found = tuple(judge_source(subject, _look(collection_of(settings))))
        else:
            found = (check_stream(subject, name, settings, installation.clock),)
    except UnderstudyError as error:
        yield finding_of(error, subject, "source")
    else:
        yield from found
    if isinstance(settings, FilesResource) and installation.state.is_relative_to(settings.path) and not settings.exclude:
        yield judge_state_within(subject, settings.path, str(installation.state))
    yield judge_schedule(subject, installation.stack.tier_of(name).rpo, _longest_gap(installation, name))


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
