"""Plays a scene, killed everywhere or undisturbed, and compares the two."""

from __future__ import annotations

import gc
import importlib
import json
import os
import re
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from tests.crash.kill_switch import KillSwitch
from tests.crash.scene import Scene
from tests.crash.watching import WatchedRecords, watched_loader
from tests.servers import programs
from tests.servers.prepared_program import import_everything
from understudy.adapters.clock.system import SystemClock
from understudy.records.chained_form import RUN_ENDED
from understudy.records.comparison import compare_shown
from understudy.records.evidence_json import evidence_to_json
from understudy.records.records import Records
from understudy.records.run import RunRecord, RunState
from understudy.records.verification import ChainFault, verify_chain
from understudy.runner.runner import Runner

# Labels of backups, ids of plans, directories of servers and of their sockets.
_NAME = re.compile(r"\d{8}-\d{6}[FIS]|[a-z]+-\d{8}-\d{6}-[0-9a-f]{6}|/[a-z/]+/ust-[0-9a-f]{8}|understudy(-\d+)?/[0-9a-f]{8}")
_POINTS_FILE = "points"
_EARLIER_FILE = "earlier-runs"
_POINTS_OF_A_STEP = ("records.begin_step:after", "before", "after", "records.conclude_step:after")
_POINTS_OF_A_RUN = ("records.submit:before", "records.submit:after", "records.finish:before", "records.finish:after")
_ROOT = Path(__file__).parents[2]
_RARELY = 100_000


@dataclass(frozen=True, slots=True)
class March:
    points: tuple[str, ...]
    """Where a process was killed, in order."""


def march(scene: str, directory: Path, seconds: float = 240) -> March:
    """Play ``scene`` (``module``, or ``module:NAME``) in ``directory``, killed at every point, until a process gets through.

    Raises AssertionError with the processes' output when one ends otherwise than killed or well.
    """
    _play_elsewhere(scene, directory, "march", seconds)
    return March(tuple((directory / _POINTS_FILE).read_text().splitlines()))


def undisturbed(scene: str, directory: Path, seconds: float = 120) -> None:
    """The same without killing."""
    _play_elsewhere(scene, directory, "undisturbed", seconds)


def story(directory: Path, forget: Collection[str] = ()) -> dict[str, Any]:
    """How the directory's newest run went: its end, and each step's state, claim and proof."""
    records = Records(directory / "state", SystemClock())
    try:
        (run, *_) = records.runs()
        steps = {
            each.key: {
                "state": each.state.value,
                "error": None if each.error is None else each.error.code,
                "evidence": None
                if each.evidence is None
                else _told(evidence_to_json(each.evidence), {"started", "ended", *forget}),
            }
            for each in records.steps(run.run)
        }
        return {"state": run.state.value, "holds": records.holds(), "steps": _without_names(steps, run.run, directory)}
    finally:
        records.close()


def assert_same_story(calm: Path, marched: Path, forget: Collection[str] = ()) -> None:
    """The run that was killed everywhere ended like the one that nobody killed, and its evidence is whole."""
    differences = list(_differences(story(marched, forget), story(calm, forget), ""))
    assert not differences, "\n".join(differences)
    records = Records(marched / "state", SystemClock())
    try:
        ledger = records.ledger()
        found = [*verify_chain(ledger.links, ledger.head, ()), *compare_shown(ledger.links, ledger.shown).findings]
        assert [each for each in found if each.fault not in _OF_THE_SIGNER] == []
        told = Counter((each.run, each.step) for each in ledger.links)
        ended = {run.run: [*(each.key for each in records.steps(run.run)), RUN_ENDED] for run in records.runs()}
        assert told == Counter((run, key) for run, keys in ended.items() for key in keys)
    finally:
        records.close()


def assert_killed_everywhere(points: Collection[str], directory: Path, only_look: Collection[str] = ()) -> None:
    """A process died before, inside and after each step that the directory's newest run ran, and at both ends of the run.

    For a march through all of a scene: ``Scene.points`` leaves points out. ``only_look``: steps that had nothing to do but look,
    so that nothing inside them is a point (``Scene.reads``).
    """
    records = Records(directory / "state", SystemClock())
    try:
        (run, *_) = records.runs()
        ran = [each.key for each in records.steps(run.run) if each.attempts]
    finally:
        records.close()
    assert ran, "no step ran"
    missed = [f"run:{point}" for point in _POINTS_OF_A_RUN if f"run:{point}" not in points]
    for step in ran:
        mine = {point.removeprefix(f"{step}:") for point in points if point.startswith(f"{step}:")}
        missed += [f"{step}:{point}" for point in _POINTS_OF_A_STEP if point not in mine]
        if step not in only_look and all(point in _POINTS_OF_A_STEP for point in mine):
            missed.append(f"{step}: nothing inside")
    assert not missed, f"no process was killed at {missed}"


# Who signed is the scene's affair; that the chain hangs together is everybody's.
_OF_THE_SIGNER = (ChainFault.HEAD_UNSIGNED, ChainFault.SIGNER_UNKNOWN)


def _told(value: Any, forget: Collection[str]) -> Any:
    if isinstance(value, dict):
        return {key: _told(each, forget) for key, each in value.items() if key not in forget}
    return [_told(each, forget) for each in value] if isinstance(value, list) else value


def _differences(found: Any, expected: Any, where: str) -> Iterator[str]:
    """Each on a line of its own, since whole stories are too long to be compared by eye."""
    if isinstance(found, dict) and isinstance(expected, dict):
        for key in sorted(found.keys() | expected.keys()):
            yield from _differences(found.get(key), expected.get(key), f"{where}/{key}")
    elif found != expected:
        yield f"{where}: {found!r}, expected {expected!r}"


def _without_names(value: dict[str, Any], run: str, directory: Path) -> Any:
    """Names that are made of ids, of times and of the directory differ between two runs; what they stand for does not."""
    text = json.dumps(value, default=list).replace(run, "RUN").replace(str(directory), "DIRECTORY")
    return json.loads(_NAME.sub("NAME", text))


def _play_elsewhere(scene: str, directory: Path, how: str, seconds: float) -> None:
    played = programs.run(scene, directory, how, module="tests.crash.marching", cwd=_ROOT, timeout=seconds)
    assert played.returncode == 0, f"{scene} ({how}) ended with {played.returncode}:\n{played.stdout}\n{played.stderr}"


def _play_all(scene: Scene, directory: Path, how: str) -> int:
    """Fork process after process from this one, which has everything imported and no threads, until one gets through."""
    import_everything()
    boto3.client("s3", region_name="us-east-1")  # reads its description of the service, once for all processes
    gc.freeze()  # so that no child looks through what was imported, and copies its pages
    gc.set_threshold(_RARELY)
    points = directory / _POINTS_FILE if how == "march" else None
    visited = 0
    while True:
        child = os.fork()
        if child == 0:
            _play_and_exit(scene, directory, points)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL or points is None:
            return os.waitstatus_to_exitcode(status)
        now = len(points.read_text().splitlines()) if points.exists() else 0
        if now != visited + 1:
            sys.stderr.write(f"a process was killed, and not at a point: {visited} points before, {now} now\n")
            return 1
        visited = now


def _play_and_exit(scene: Scene, directory: Path, points: Path | None) -> None:
    code = 1
    try:
        _play(scene, directory, KillSwitch(points, scene.caps, scene.points, scene.reads))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _play(scene: Scene, directory: Path, switch: KillSwitch) -> None:
    """What a person does: start the run, and resume it for as long as it is interrupted."""
    clock = SystemClock()
    records = WatchedRecords(directory / "state", clock, scene.signer(directory))
    records.switch = switch
    with Runner(directory / "state", records, clock, scene.world_for(directory), watched_loader(switch)) as runner:
        run = _submitted(records, directory / _EARLIER_FILE)
        if run is None:
            runner.wait(runner.submit(scene.plan(directory), scene.approved_by))
            return
        if run.state is RunState.INTERRUPTED:
            runner.resume(run.run)
        runner.wait(run.run)


def _submitted(records: Records, earlier_file: Path) -> RunRecord | None:
    """The scene's run, if a process before this one submitted it; runs of before the scene are told by their number."""
    runs = records.runs()
    if not earlier_file.exists():
        earlier_file.write_text(str(len(runs)))
    return runs[0] if len(runs) > int(earlier_file.read_text()) else None


if __name__ == "__main__":
    wanted, where, manner = sys.argv[1:]
    module, _, name = wanted.partition(":")
    sys.exit(_play_all(getattr(importlib.import_module(module), name or "SCENE"), Path(where), manner))
