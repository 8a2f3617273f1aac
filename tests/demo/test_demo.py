"""The demo as a user runs it: a program with a last word in JSON."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def play(*arguments: str) -> tuple[int, dict[str, object], str]:
    done = subprocess.run(
        [sys.executable, "-m", "understudy", "demo", *arguments, "--json"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    return done.returncode, json.loads(done.stdout.splitlines()[-1]) if done.stdout else {}, done.stderr


def processes_naming(home: str) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if home in command:
                found.append(command)
    return found


@pytest.mark.timeout(300)
def test_a_destroyed_database_comes_back_with_every_acknowledged_commit_and_a_dropped_table_too():
    code, said, told = play()
    assert code == 0, told
    assert said["acknowledged"] > 6_000
    assert said["recovered"] == said["acknowledged"]
    assert said["lost"] == 0
    assert said["prices_back"] == 1000
    assert said["objective_met"] is True
    assert said["server_processes_killed"] > 8
    evidence = Path(said["evidence"])
    assert json.loads(evidence.read_text())["run"]["state"] == "succeeded"
    assert processes_naming(str(evidence.parents[2])) == []


@pytest.mark.timeout(300)
def test_the_asynchronous_demo_says_what_it_lost_and_fails_only_beyond_the_objective():
    code, said, told = play("--asynchronous")
    assert said, told
    assert said["acknowledged"] - said["recovered"] == said["lost"]
    assert (code == 0) == said["objective_met"]
    assert said["prices_back"] == 1000
