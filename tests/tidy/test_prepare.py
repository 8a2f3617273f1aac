"""What the tests need beyond Python packages, on a machine that has it not and may not install it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.prepare import NEEDED
from tests.tidy.sources import ROOT

PROGRAMS = {program for package in NEEDED for program in package.programs if not program.startswith("/")}
WHY = "there is no apt-get here" if os.geteuid() == 0 else "this user is not root"


def prepare(directory: Path, ci: str) -> tuple[int, str]:
    """Where ``directory`` is the whole PATH: the exit code, and what was said."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "prepare.py")],
        env={"PATH": str(directory), "CI": ci}, cwd=directory, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    return done.returncode, done.stdout


def is_missing(package) -> bool:
    """There, or not, by an absolute path, whatever the PATH is."""
    return not all(program.startswith("/") and Path(program).exists() for program in package.programs)


@pytest.mark.parametrize(("ci", "code"), [("true", 1), ("", 0), ("false", 0)])
def test_what_cannot_be_installed_is_told_and_fails_with_ci(tmp_path, ci, code):
    ended, said = prepare(tmp_path, ci)
    assert ended == code
    missing = [package for package in NEEDED if is_missing(package)]
    assert "age" in [package.name for package in missing]
    first, *told = said.splitlines()
    assert first == f"installing {', '.join(package.name for package in missing)} for the tests"
    assert told == [f"left out: {each.left_out}, because {each.name} is not installed ({WHY})" for each in missing]


def test_what_is_there_is_not_asked_for(tmp_path):
    for program in PROGRAMS:
        (tmp_path / program).touch(0o755)
    there_by_path = [package for package in NEEDED if PROGRAMS.isdisjoint(package.programs) and is_missing(package)]
    ended, said = prepare(tmp_path, "true")
    assert (ended, said.count("left out: ")) == (bool(there_by_path), len(there_by_path))
    assert there_by_path or said == ""
