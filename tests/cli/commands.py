"""The program as a person calls it, at a desk."""

import os
import subprocess
import sys


def understudy(desk, *arguments, **options):
    """``options``: of ``subprocess.run``, over what is usual here."""
    usual = {
        "capture_output": True,
        "text": True,
        "check": False,
        "cwd": desk.directory,
        "stdin": subprocess.DEVNULL,
        "timeout": 120,
    }
    place = {"UNDERSTUDY_STATE": str(desk.state), "UNDERSTUDY_STACK": str(desk.stack_file), "HOME": "/nonexistent"}
    return subprocess.run(
        [sys.executable, "-m", "understudy.cli.main", *map(str, arguments)],
        env={"PATH": os.environ["PATH"], **place},
        **(usual | options),
    )


def assert_refused(done, code, returncode):
    """In words: a code, what was found, what was expected, what to do."""
    assert f"error: {code}" in done.stderr, done.stdout + done.stderr
    assert all(f"  {part}:" in done.stderr for part in ("found", "expected", "hint")), done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == returncode


def leading_to(desk):
    """What a command that is shown carries, so that it can be typed where nothing else is set."""
    return f"--stack {desk.stack_file} --state {desk.state}"
