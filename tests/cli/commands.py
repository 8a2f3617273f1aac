"""The program as a person calls it, at a desk."""

import os

from tests.servers import programs


def understudy(desk, *arguments, **options):
    """``options``: of ``programs.run``, over what is usual here."""
    return programs.run(*arguments, **({"env": environment(desk), "cwd": desk.directory, "timeout": 120} | options))


def environment(desk):
    place = {"UNDERSTUDY_STATE": str(desk.state), "UNDERSTUDY_STACK": str(desk.stack_file), "HOME": "/nonexistent"}
    return {"PATH": os.environ["PATH"], **place}


def assert_refused(done, code, returncode):
    """In words: a code, what was found, what was expected, what to do."""
    assert f"error: {code}" in done.stderr, done.stdout + done.stderr
    assert all(f"  {part}:" in done.stderr for part in ("found", "expected", "hint")), done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == returncode


def leading_to(desk):
    """What a command that is shown carries, so that it can be typed where nothing else is set."""
    return f"--stack {desk.stack_file} --state {desk.state}"
