"""A test that a machine leaves out is told with its reason, and fails where everything should have been there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.left_out import MAY_BE_LEFT_OUT, may_be_left_out
from tests.tidy.sources import ROOT
from tests.tidy.test_docs import functions_of

_TESTS = """
import pytest

@pytest.mark.skipif(True, reason="no tool by mark")
def test_marked(): ...

def test_called():
    pytest.skip("no tool by call")

@pytest.fixture
def tool():
    pytest.skip("no tool by fixture")

def test_with_fixture(tool): ...

@pytest.mark.xfail(strict=True)
def test_expected_to_fail():
    raise AssertionError
"""
_REASONS = ("no tool by mark", "no tool by call", "no tool by fixture")


def outcome(directory: Path, ci: str) -> subprocess.CompletedProcess[str]:
    (directory / "test_machine.py").write_text(_TESTS)
    command = [sys.executable, "-m", "pytest", "-rs", "-p", "tests.left_out", "--rootdir", str(directory), str(directory)]
    environment = {**os.environ, "CI": ci, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)


def test_with_ci_a_test_that_is_left_out_has_failed(tmp_path: Path):
    ended = outcome(tmp_path, "true")

    assert ended.returncode == pytest.ExitCode.TESTS_FAILED
    assert "1 xfailed" in ended.stdout and "skipped" not in ended.stdout
    assert [reason for reason in _REASONS if reason not in ended.stdout] == []


def test_elsewhere_it_is_told_with_its_reason(tmp_path: Path):
    ended = outcome(tmp_path, "")

    assert ended.returncode == pytest.ExitCode.OK
    assert [reason for reason in _REASONS if f": {reason}" not in ended.stdout] == []


def test_what_may_be_left_out_exists_and_says_why():
    for test, why in MAY_BE_LEFT_OUT.items():
        file, _, name = test.partition("::")
        assert name in functions_of(ROOT / file)
        assert why
    assert not may_be_left_out("tests/plan/test_backup.py::test_of_another_name")
