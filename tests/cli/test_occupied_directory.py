"""A directory that an interrupted restore left behind: whose it is, and how to go on with that run or end it."""

import re
import signal

from tests.app.desk import desk
from tests.cli.commands import assert_refused, leading_to, understudy
from tests.cli.test_answering import begin, newest
from tests.servers.postgres import PostgresServer
from tests.servers.processes import wait_until

__all__ = ["desk"]
REFUSED = 5


def interrupted_restore(desk, directory):
    """Killed as soon as the directory bears its marker; the run's name."""
    restoring = begin(desk, "restore", "orders", "--to", str(directory))
    wait_until(lambda: (directory / ".understudy-run").exists(), "the directory to be claimed")
    restoring.send_signal(signal.SIGKILL)
    restoring.communicate()
    return newest(desk)["run"]


def test_it_names_the_run_that_was_interrupted_there_and_both_ways_out_work(desk):
    with PostgresServer() as server:
        desk.write(server, url=server.url)
        assert understudy(desk, "backup", "orders").returncode == 0
        directory = desk.directory / "copy"
        run = interrupted_restore(desk, directory)
        refused = understudy(desk, "restore", "orders", "--to", directory)
        assert_refused(refused, "target_not_empty", REFUSED)
        assert f"run {run} (restore orders, interrupted)" in refused.stderr
        assert f"understudy resume {run} {leading_to(desk)}" in refused.stderr
        assert newest(desk)["run"] == run, "no run was begun for what is refused"

        [end] = re.findall(rf"understudy (cancel {run})", refused.stderr)
        understudy(desk, *end.split())
        assert not directory.exists()
        run = interrupted_restore(desk, directory)
        assert understudy(desk, "resume", run).returncode == 0
        assert (directory / "PG_VERSION").exists()

        kept = understudy(desk, "restore", "orders", "--to", directory)
        assert_refused(kept, "target_not_empty", REFUSED)
        assert "move away what is there" in kept.stderr


def test_the_run_of_another_state_directory_is_named_as_such(desk):
    with PostgresServer() as server:
        desk.write(server, url=server.url)
        assert understudy(desk, "backup", "orders").returncode == 0
        directory = desk.directory / "copy"
        directory.mkdir()
        (directory / ".understudy-run").write_text('{"run": "20261123-030000-1a2b3c"}')
        refused = understudy(desk, "restore", "orders", "--to", directory)
        assert_refused(refused, "target_not_empty", REFUSED)
        assert "20261123-030000-1a2b3c, which is not among the runs" in refused.stderr
