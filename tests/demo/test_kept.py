"""Ending what a kept demo left running."""

import subprocess
import sys

from understudy.demo.kept import end_process

_DEAF = "import signal, threading; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); threading.Event().wait()"


def test_a_process_that_does_not_end_when_asked_to_is_killed():
    with subprocess.Popen([sys.executable, "-c", _DEAF], stdout=subprocess.PIPE) as deaf:
        deaf.stdout.readline()
        end_process(deaf.pid, "python", grace_seconds=0.2)
        assert deaf.wait() == -9


def test_another_program_under_its_number_is_left_alone():
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as stranger:
        end_process(stranger.pid, "python", grace_seconds=0.2)
        assert stranger.poll() is None
        stranger.stdin.close()
        assert stranger.wait() == 0
