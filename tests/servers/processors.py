"""The program as a machine with more processors would run it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

_PROGRAM = """
import os, sys
os.sched_getaffinity = lambda pid: set(range({processors}))
from understudy.cli.main import main
sys.argv = ["understudy", *sys.argv[1:]]
main()
"""


def understudy_on(processors: int) -> Sequence[str]:
    """The beginning of a command line: it does as much at once as it would there, on the processors that there are."""
    return [sys.executable, "-c", _PROGRAM.format(processors=processors)]
