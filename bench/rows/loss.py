"""Acknowledged commits that are gone after a disaster and a real recovery (PostgreSQL 18)."""

from __future__ import annotations

import shutil
from contextlib import ExitStack

from tests.servers.flavours import Flavour
from tests.servers.isolated_host import IsolatedHost
from tests.servers.ledger import Ledger
from tests.servers.postgres import PostgresServer

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
    "ends it included. The kernel and Understudy's host survive: what was in sockets still arrives. With the host cut off, "
    "the server is on a host of its own, a network namespace behind a virtual cable, and the cable is pulled out under "
    "the writers, who are on this side: not a packet passes any more. The old server lives on; it says when what was lost "
    "had been written. `lost s` is the time from the newest commit that came back to the newest acknowledged one."
)


def measure(ground: Ground, options: Options) -> RowResult:
    subjects = {
        "synchronous": lambda _: _killed(ground, synchronous=True),
        "asynchronous": lambda _: _killed(ground, synchronous=False),
    }
    limits = [("synchronous", "lost commits", 0.0), ("asynchronous", "lost commits", None)]
    if not (why_not := IsolatedHost.why_not()):
        subjects |= {
            "synchronous, host cut off": lambda _: _cut_off(ground, synchronous=True),
            "asynchronous, host cut off": lambda _: _cut_off(ground, synchronous=False),
        }
        limits += [("synchronous, host cut off", "lost commits", 0.0), ("asynchronous, host cut off", "lost s", 1.0)]
    series = take_turns(ground, options.rounds, subjects)
    return RowResult(
        NAME,
        TITLE,
        _HOW,
        [Measured(name, what, values) for (name, what), values in series.values.items()],
        [Compared(f"{what} of those acknowledged, {name}", series.of(name, what), None, most) for name, what, most in limits],
        [f"the host cut off is left out: {why_not}"] if why_not else [],
    )


def _killed(ground: Ground, *, synchronous: bool) -> Figures:
    with ExitStack() as undo:
        server = undo.enter_context(database(ground, Flavour.WHEEL_18, _SCALE))
        subject = undo.enter_context(_protected(ground, server, synchronous=synchronous))
        ledger = Ledger(server.url, subject.directory / "ledger.txt").start()
        ledger.wait_for(_COMMITS)
        server.kill_everything()
        ledger.wait()
        shutil.rmtree(server.data)
        return _recovered(subject, ledger)


def _cut_off(ground: Ground, *, synchronous: bool) -> Figures:
    with ExitStack() as undo:
        host = undo.enter_context(IsolatedHost())
        server = undo.enter_context(database(ground, Flavour.WHEEL_18, _SCALE, host=host))
        subject = undo.enter_context(_protected(ground, server, synchronous=synchronous))
        ledger = Ledger(f"{server.url}?tcp_user_timeout=1000", subject.directory / "ledger.txt").start()
        ledger.wait_for(_COMMITS)
        host.cut_off()
        ledger.wait()
        figures = _recovered(subject, ledger, "--override-fence", "bench")
        written = dict(server.sql("select id, extract(epoch from written)::float8 from understudy_ledger"))
        acknowledged, found = ledger.acknowledged(), Ledger.found(subject.recovered_url)
        lost_seconds = max(written[each] for each in acknowledged) - max(written[each] for each in acknowledged & found)
    return {**figures, "lost s": lost_seconds}


def _protected(ground: Ground, server: PostgresServer, *, synchronous: bool) -> UnderstudySubject:
    subject = UnderstudySubject(ground, server, synchronous=synchronous)
    subject.back_up("--full")
    if synchronous:
        server.sql("alter system set synchronous_standby_names = '*'")
        server.sql("select pg_reload_conf()")
    return subject


def _recovered(subject: UnderstudySubject, ledger: Ledger, *arguments: str) -> Figures:
    done = subject.run("recover", "database_corruption", "--yes", *arguments)
    acknowledged, found = ledger.acknowledged(), Ledger.found(subject.recovered_url)
    return {
        "lost commits": len(acknowledged - found),
        "acknowledged commits": len(acknowledged),
        "recovery s": done.cost.wall_seconds,
        DISTURBED: done.cost.disturbed_share,
    }
