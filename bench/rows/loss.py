"""Acknowledged commits that are gone after a disaster and a real recovery (PostgreSQL 18)."""

from __future__ import annotations

import shutil
from contextlib import ExitStack

from tests.servers.flavours import Flavour
from tests.servers.ledger import Ledger

from bench.databases import database
from bench.ground import Ground
from bench.results import Compared, Measured, RowResult
from bench.rounds import DISTURBED, Figures, Options, take_turns
from bench.subject import UnderstudySubject

NAME = "loss"
TITLE = "Acknowledged commits lost (PostgreSQL 18)"

_SCALE = 2
_COMMITS = 5000
_HOW = (
    "A small database; 8 writers note every acknowledged commit in a file of their own. After some thousand, SIGKILL "
    "of every server process, removal of the data directory, `understudy recover database_corruption --yes`; then the "
    "ledger is compared with the recovered table. `recovery s` is the command's wall time, the new base backup that "
    "ends it included. The kernel and Understudy's host survive: what was in sockets still arrives. The host cut off "
    "from the network is not measured here."
)


def measure(ground: Ground, options: Options) -> RowResult:
    subjects = {
        "synchronous": lambda _: _trial(ground, synchronous=True),
        "asynchronous": lambda _: _trial(ground, synchronous=False),
    }
    series = take_turns(ground, options.rounds, subjects)
    compared = [Compared(f"commits lost of those acknowledged, {name}", series.of(name, "lost commits"), None, target)
                for name, target in (("synchronous", 0.0), ("asynchronous", None))]  # fmt: skip
    return RowResult(
        NAME, TITLE, _HOW, [Measured(name, what, values) for (name, what), values in series.values.items()], compared
    )


def _trial(ground: Ground, *, synchronous: bool) -> Figures:
    with ExitStack() as undo:
        server = undo.enter_context(database(ground, Flavour.WHEEL_18, _SCALE))
        subject = undo.enter_context(UnderstudySubject(ground, server, synchronous=synchronous))
        subject.back_up("--full")
        if synchronous:
            server.sql("alter system set synchronous_standby_names = '*'")
            server.sql("select pg_reload_conf()")
        ledger = Ledger(server.url, subject.directory / "ledger.txt").start()
        ledger.wait_for(_COMMITS)
        server.kill_everything()
        ledger.wait()
        shutil.rmtree(server.data)
        done = subject.run("recover", "database_corruption", "--yes")
        acknowledged, found = ledger.acknowledged(), Ledger.found(server.url)
    return {
        "lost commits": len(acknowledged - found),
        "acknowledged commits": len(acknowledged),
        "recovery s": done.cost.wall_seconds,
        DISTURBED: done.cost.disturbed_share,
    }
