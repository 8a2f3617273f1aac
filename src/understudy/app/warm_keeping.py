"""What serve does for a warm copy: it is seeded when it is due, followed, and what is seen of it is written down."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta

from understudy.app.installation import Installation
from understudy.app.repositories import made_repository
from understudy.app.warm_copies import WARM_COPY, closed_place, plan_next_seeding
from understudy.app.warm_following import Followed, WarmFollower, is_passing
from understudy.plan.recovery import warm_copy_hold
from understudy.plan.warm_copy import seeding_due
from understudy.ports.instance import StopMode
from understudy.ports.warm_copies import WarmCopy, WarmCopyFault
from understudy.records.run import RunState, StepState
from understudy.records.state_database import as_state_faults
from understudy.runner.runner import Runner
from understudy.runner.signals import RunnerStopped
from understudy.steps.write_backup_manifest import backup_completed_key
from understudy.supervise.repeated_look import RepeatedLook
from understudy.vocabulary.errors import GiveUp, TryAgain, UnderstudyError
from understudy.vocabulary.identifiers import BackupLabel, RepositoryName, ResourceName, RunId
from understudy.vocabulary.json import JsonObject
from understudy.vocabulary.wal import Timeline

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 2.0
_LATER = timedelta(minutes=15)
"""Until another seeding is tried after one that failed; a new backup is tried at once."""
_BUSY_SECONDS = 15.0
_LIST_BACKUPS_SECONDS = 60.0


def start_warm_copies(installation: Installation, runner: Runner, undo: ExitStack) -> None:
    for name in installation.database_names():
        if installation.postgres(name).warm_copy is not None:
            keeping = WarmKeeping(installation, runner, name)
            keeping.start()
            undo.callback(keeping.stop)
        else:
            _stop_undeclared(installation, name)


def _stop_undeclared(installation: Installation, name: ResourceName) -> None:
    """The stack file no longer keeps it. Its directory stays until a person removes it."""
    try:
        copy = installation.warm_copies.read(name)
        if copy is None or copy.taken_by is not None:
            return
        with installation.warm_copies.held(name):
            installation.instances[name].stop(closed_place(copy), StopMode.IMMEDIATE)
        _log.warning("%s: the stack file keeps no warm copy any more: %s is stopped, and not removed", name, copy.directory)
    except (UnderstudyError, OSError) as error:
        _log.warning("%s: a warm copy that is no longer declared could not be stopped: %s", name, error)


class WarmKeeping(RepeatedLook):
    """Of one database. A fault of the copy ends following it, and another one is seeded; any other fault is waited out."""

    def __init__(self, installation: Installation, runner: Runner, name: ResourceName) -> None:
        super().__init__(f"warm-{name}", _LOOK_SECONDS)
        self._installation = installation
        self._runner = runner
        self._name = name
        self._follower: WarmFollower | None = None
        self._timeline: Timeline | None = None
        self._seeding: RunId | None = None
        self._seeded_for: tuple[BackupLabel, str] | None = None
        """The newest backup and the reason, when it was tried last."""
        self._not_before_seconds = 0.0
        self._listed: tuple[float, BackupLabel | None] = (-_LIST_BACKUPS_SECONDS, None)
        self._told: dict[str, JsonObject] = {}
        self._said = ""

    def stop(self) -> None:
        super().stop()
        self._let_go()

    def look(self) -> None:
        try:
            with as_state_faults():
                with self._installation.warm_copies.held(self._name):
                    copy = self._installation.warm_copies.read(self._name)
                    copy = self._follow(copy)
                self._seed_if_due(copy)
            self._said = ""
        except RunnerStopped:
            return
        except (UnderstudyError, OSError) as error:
            if str(error) != self._said:
                _log.warning("%s: its warm copy cannot be looked after now: %s", self._name, error)
            self._said = str(error)

    # Following

    def _follow(self, copy: WarmCopy | None) -> WarmCopy | None:
        """The copy, as it is noted afterwards."""
        if copy is None or copy.taken_by is not None or copy.fault is not None:
            self._let_go()
            return copy
        try:
            follower = self._follower_of(copy)
            followed = follower.look()
        except UnderstudyError as error:
            if is_passing(error):
                self._see(WARM_COPY, {"directory": copy.directory, "fault": f"{error.code}: {error.found}", "hint": error.hint})
                return copy
            return self._fallen_out(copy, error)
        self._timeline = followed.newest_timeline
        self._see(WARM_COPY, _as_json(copy, followed))
        return copy

    def _follower_of(self, copy: WarmCopy) -> WarmFollower:
        if self._follower is not None and self._follower.copy.run == copy.run:
            return self._follower
        self._let_go()
        installation, name = self._installation, self._name
        repository = installation.repository(RepositoryName(copy.repository))
        archive = repository.wal(name, copy.system_identifier, copy.segment_bytes)
        every = installation.postgres(name).wal.ship_every
        place = closed_place(copy)
        self._follower = WarmFollower(copy, place, installation.instances[name], archive, installation.clock, every)
        return self._follower

    def _let_go(self) -> None:
        if self._follower is not None:
            self._follower.close()
            self._follower = None
        self._timeline = None

    def _fallen_out(self, copy: WarmCopy, error: UnderstudyError) -> WarmCopy:
        _log.error("%s: the warm copy in %s is no longer followed: %s", self._name, copy.directory, error)
        self._let_go()
        fallen = replace(copy, fault=WarmCopyFault(error.code, error.found, self._installation.clock.now()))
        self._installation.warm_copies.write(self._name, fallen)
        try:
            self._installation.instances[self._name].stop(closed_place(copy), StopMode.IMMEDIATE)
        except UnderstudyError as stopping:
            _log.warning("%s: the server of that copy could not be stopped: %s", self._name, stopping)
        return fallen

    # Seeding

    def _seed_if_due(self, copy: WarmCopy | None) -> None:
        now = self._installation.clock.monotonic_seconds()
        if self._seeding is not None:
            self._see_to_seeding(self._seeding, now)
            return
        newest = self._newest_backup(now)
        reason = seeding_due(copy, newest, self._timeline)
        if reason is None or newest is None:
            return
        tried = self._seeded_for == (newest, reason)
        if (now < self._not_before_seconds and (tried or self._seeded_for is None)) or self._is_held():
            return
        try:
            run = self._runner.submit(plan_next_seeding(self._installation, self._name))
        except GiveUp as error:
            busy = error.code == "busy"
            self._not_before_seconds = now + (_BUSY_SECONDS if busy else _LATER.total_seconds())
            self._seeded_for = None if busy else (newest, reason)
            if not busy:
                self._say_refused(f"{error.code}: {error.found}", error.hint)
            return
        except TryAgain as passing:
            self._not_before_seconds, self._seeded_for = now + _BUSY_SECONDS, None
            self._say_refused(f"{passing.code}: {passing.found}", passing.hint)
            return
        self._seeding, self._seeded_for = run, (newest, reason)
        _log.info("%s: run %s seeds a warm copy: %s", self._name, run, reason)

    def _is_held(self) -> bool:
        """By a seeding of somebody else, or by a recovery that goes on from the copy."""
        subject = warm_copy_hold(self._name).subject
        return any(claim.subject == subject for _, claim in self._installation.records.holds())

    def _see_to_seeding(self, run: RunId, now: float) -> None:
        state = self._installation.records.run(run).state
        if not state.is_final:
            return
        self._seeding = None
        if state is RunState.SUCCEEDED:
            self._say_refused("", "")
        else:
            self._not_before_seconds = now + _LATER.total_seconds()
            self._say_refused(self._why(run, state), f"understudy show {run}")
        # Also after a success: a copy of an older backup, because the newest is damaged, would be due again at once.
        self._not_before_seconds = max(self._not_before_seconds, now + _LATER.total_seconds())

    def _why(self, run: RunId, state: RunState) -> str:
        errors = (step.error for step in self._installation.records.steps(run) if step.state is StepState.FAILED)
        error = next((each for each in errors if each is not None), None)
        return f"run {run} has {state}" + (f": {error.code}: {error.found}" if error is not None else "")

    def _say_refused(self, fault: str, hint: str) -> None:
        if fault:
            _log.warning("%s: no warm copy could be seeded: %s", self._name, fault)
        self._see(f"{WARM_COPY}_seeding", {"fault": fault, "hint": hint})

    def _newest_backup(self, now: float) -> BackupLabel | None:
        """By the records, which cost nothing to ask; on a host that was adopted, by the first repository."""
        step = self._installation.records.newest_success(backup_completed_key(self._name))
        if step is not None and step.evidence is not None:
            return BackupLabel(str(step.evidence.proof["label"]))
        listed_at, newest = self._listed
        if now - listed_at >= _LIST_BACKUPS_SECONDS:
            repository = made_repository(self._installation, self._installation.repository_names(self._name)[0])
            usable = repository.backups(self._name).usable
            newest = max(usable, key=lambda each: each.stop_time).label if usable else None
            self._listed = now, newest
        return newest

    def _see(self, kind: str, value: JsonObject) -> None:
        """Only what changed, because each is a write to disk."""
        if self._told.get(kind) != value and self._installation.records.observe_if_possible(self._name, kind, value):
            self._told[kind] = value


def _as_json(copy: WarmCopy, followed: Followed) -> JsonObject:
    lag, trouble = followed.lag, followed.trouble
    fault = f"{trouble.code}: {trouble.found}" if trouble is not None else ""
    if not fault and followed.newest_timeline != copy.timeline:
        fault = f"timeline_left: the database goes on on timeline {followed.newest_timeline}, the copy follows {copy.timeline}"
    return {
        "directory": copy.directory,
        "replayed_lsn": None if followed.replayed is None else str(followed.replayed),
        "last_replayed_commit": followed.last_replayed_commit,
        "lag_bytes": None if lag is None else lag.size_bytes,
        "lag_seconds": None if lag is None else round(lag.duration.total_seconds()),
        "fault": fault,
        "hint": trouble.hint if trouble is not None else "",
    }
