"""Watchers around steps, ports and records: they change nothing, and know the points at which a process may die."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from tests.crash.kill_switch import KillSwitch, PointCounter
from tests.crash.scene import CALLS_COUNTED
from understudy.ports.step import Step
from understudy.ports.world import World
from understudy.records.records import Records
from understudy.records.run import RecordedError, RunState, StepConclusion, Submission
from understudy.steps.codec import step_from_json
from understudy.vocabulary.evidence import Evidence
from understudy.vocabulary.identifiers import RunId, StepKey
from understudy.vocabulary.json import JsonObject

_NO_PORTS = frozenset({"run", "controller", "keys", "scratch"})
_COUNTED_BY_NAME = frozenset({"receipts.write"})
"""Each receipt is an effect of its own: the second one of a step is as much of a point as the first."""
_MAKES_A_PORT = ("targets.*.at", "dump_servers.*.at")
T = TypeVar("T")


class WatchedStep:
    """A step whose world is watched."""

    def __init__(self, step: Step, switch: KillSwitch) -> None:
        self._step = step
        self._switch = switch

    @property
    def key(self) -> StepKey:
        return self._step.key

    @property
    def time_limit(self) -> timedelta:
        return self._step.time_limit

    def run(self, world: World) -> Evidence:
        points = PointCounter(self._switch, self.key)
        points.point("before")
        evidence = self._step.run(watched_world(world, points))
        points.point("after")
        return evidence


def watched_loader(switch: KillSwitch) -> Callable[[JsonObject], Step]:
    return lambda value: WatchedStep(step_from_json(value), switch)


def watched_world(world: World, points: PointCounter) -> World:
    """``world`` with every port watched, those by name under their names: ``stores.near``."""
    watched: dict[str, Any] = {}
    for member in dataclasses.fields(world):
        if member.name in _NO_PORTS:
            continue
        port = getattr(world, member.name)
        if isinstance(port, Mapping):
            watched[member.name] = {name: WatchedPort(each, f"{member.name}.{name}", points) for name, each in port.items()}
        else:
            watched[member.name] = WatchedPort(port, member.name, points)
    return dataclasses.replace(world, **watched)


class WatchedPort:
    """Passes everything on to ``target``; each call of a method is a point before and a point after."""

    def __init__(self, target: object, name: str, points: PointCounter) -> None:
        self._target = target
        self._name = name
        self._points = points

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not callable(found):
            return found
        method = f"{self._name}.{name}"

        def call(*arguments: Any, **named: Any) -> Any:
            label = self._points.call(f"{method}({arguments[0]})" if method in _COUNTED_BY_NAME else method)
            if label is None:
                return found(*arguments, **named)
            looks = self._points.only_looks(method)
            if not looks:
                self._points.point(f"{label}:before")
            taken = [_watched_input(each, label, self._points) for each in arguments]
            taken_by_name = {key: _watched_input(each, label, self._points) for key, each in named.items()}
            result = found(*taken, **taken_by_name)
            if not looks:
                self._points.point(f"{label}:after")
            return _watched_result(result, method, label, self._points)

        return call


class _WatchedContext:
    def __init__(self, context: Any, method: str, label: str, points: PointCounter) -> None:
        self._context = context
        self._method = method
        self._label = label
        self._points = points

    def __enter__(self) -> Any:
        entered = self._context.__enter__()
        self._points.point(f"{self._label}:entered")
        return WatchedPort(entered, self._method, self._points)

    def __exit__(self, *error: Any) -> Any:
        result = self._context.__exit__(*error)
        self._points.point(f"{self._label}:left")
        return result


def _watched_input(value: Any, label: str, points: PointCounter) -> Any:
    return _pieces(value, f"{label}:input", "", points) if isinstance(value, Iterator) else value


def _watched_result(value: Any, method: str, label: str, points: PointCounter) -> Any:
    if any(fnmatchcase(method, each) for each in _MAKES_A_PORT):
        return WatchedPort(value, method.removesuffix(".at"), points)
    if isinstance(value, Iterator):
        return _pieces(value, f"{label}:item", method, points)
    if hasattr(value, "__enter__") and hasattr(value, "__exit__"):
        return _WatchedContext(value, method, label, points)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        streams = {
            each.name: _pieces(getattr(value, each.name), f"{label}.{each.name}", method, points)
            for each in dataclasses.fields(value)
            if isinstance(getattr(value, each.name), Iterator)
        }
        return dataclasses.replace(value, **streams) if streams else value
    return value


def _pieces(pieces: Iterator[T], label: str, method: str, points: PointCounter) -> Iterator[T]:
    try:
        for number, piece in enumerate(pieces, start=1):
            at = f"{label}#{number}"
            if number <= CALLS_COUNTED:
                points.point(at)
                piece = _watched_result(piece, method, at, points)
            yield piece
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()


class WatchedRecords(Records):
    """Records that are points themselves: the run must survive between any two things that are written of it."""

    switch: KillSwitch

    def submit(self, submission: Submission) -> None:
        self.switch.point("run:records.submit:before")
        super().submit(submission)
        self.switch.point("run:records.submit:after")

    def take_over(self, run: RunId, executor: str) -> None:
        self.switch.point("run:records.take_over:before")
        super().take_over(run, executor)
        self.switch.point("run:records.take_over:after")

    def begin_step(self, run: RunId, step: StepKey) -> None:
        super().begin_step(run, step)
        self.switch.point(f"{step}:records.begin_step:after")

    def conclude_step(self, run: RunId, step: StepKey, conclusion: StepConclusion) -> StepConclusion:
        concluded = super().conclude_step(run, step, conclusion)
        self.switch.point(f"{step}:records.conclude_step:after")
        return concluded

    def finish(self, run: RunId, state: RunState, error: RecordedError | None = None, report: JsonObject | None = None) -> None:
        self.switch.point("run:records.finish:before")
        super().finish(run, state, error, report)
        self.switch.point("run:records.finish:after")
