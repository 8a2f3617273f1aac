"""Tests that a machine leaves out. They are told at the end (``-rs``); with ``CI=true`` a test that is left out has failed.

Otherwise a promise could go unproven for years behind a line that says "passed".
"""

from __future__ import annotations

import os
from collections.abc import Generator
from fnmatch import fnmatchcase

import pytest

MAY_BE_LEFT_OUT = {
    "tests/app/test_preflight_host.py::test_another_user_is_told_so_instead_of_crashing": (
        "a checkout, or a Python, below a directory that only its owner may enter cannot be run by anybody else"
    ),
    "tests/adapters/postgres/test_instances.py::test_code_in_a_closed_server_reaches_no_port_and_in_an_open_one_it_does": (
        "a container or a hardened kernel may let nobody in it make a network namespace"
    ),
}
"""Patterns of tests that nothing which can be installed or granted would bring in everywhere, each with the reason."""


def may_be_left_out(test: str) -> bool:
    return any(fnmatchcase(test, pattern) for pattern in MAY_BE_LEFT_OUT)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true" and not may_be_left_out(item.nodeid):
        why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"left out, which CI=true does not allow (tests/left_out.py lists what may be): {why}"
    return report
