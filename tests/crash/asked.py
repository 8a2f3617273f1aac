"""Asks for a backup, a drill, a restore or a recovery as the command does, in a process that kills itself on the way.

``python -m tests.crash.asked DIRECTORY WHAT POINT OCCURRENCE``: a point of the records at its nth occurrence,
``run:records.finish:after 1``.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from tests.crash.kill_switch import KillSwitch
from tests.crash.postgres_stage import ORDERS, PERSON, SilentWatcher, installed
from tests.crash.watching import WatchedRecords
from understudy.app.backups import back_up
from understudy.app.installation import Installation
from understudy.app.recoveries import drill, recover, restore
from understudy.plan.request import Choice
from understudy.stack.models import Scenario
from understudy.vocabulary.identifiers import BackupKind


class KillAt(KillSwitch):
    """At one point, counted, and nowhere else."""

    def __init__(self, label: str, occurrence: int) -> None:
        super().__init__(None, {})
        self._label = label
        self._left = occurrence

    def point(self, label: str) -> None:
        if label == self._label:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def ask(installation: Installation, what: str) -> None:
    if what == "backup":
        back_up(installation, ORDERS, BackupKind.INCREMENTAL, SilentWatcher())
    elif what == "drill":
        drill(installation, Scenario.DATABASE_CORRUPTION, (), Choice(), SilentWatcher())
    elif what == "restore":
        restore(installation, ORDERS, installation.state.parent / "copy", Choice(), SilentWatcher())
    else:
        recover(installation, Scenario.DATABASE_CORRUPTION, (), Choice(), SilentWatcher(), approved_by=PERSON)


if __name__ == "__main__":
    directory, wanted, at, nth = sys.argv[1:]
    opened = installed(Path(directory))
    watched = WatchedRecords(opened.state, opened.clock, opened.keys.evidence_signer)
    watched.switch = KillAt(at, int(nth))
    opened.__dict__["records"] = watched
    ask(opened, wanted)
