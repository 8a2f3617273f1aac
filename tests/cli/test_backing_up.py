"""What ``backup`` says of itself: which kind it took, and why."""

import pytest

from tests.app.desk import desk
from tests.cli.commands import understudy
from tests.servers.flavours import Flavour
from tests.servers.postgres import PostgresServer

__all__ = ["desk"]


@pytest.fixture(scope="module")
def server():
    with PostgresServer(Flavour.WHEEL_18) as made:
        yield made


def test_it_says_which_kind_was_taken_and_why(desk, server):
    desk.write(server, url=server.url)
    for options, kind, reason in (
        ((), "full", "there is no backup yet that an incremental one could stand on"),
        ((), "incremental", "is there to stand on"),
        (("--full",), "full", "a full backup was asked for"),
    ):
        said = understudy(desk, "backup", "orders", *options)
        line = said.stdout.splitlines()[0]
        assert line.startswith(f"{kind} backup 20") and line.endswith(reason), said.stdout + said.stderr


def test_both_kinds_at_once_are_a_mistake_of_the_command_line(desk, server):
    desk.write(server, url=server.url)
    done = understudy(desk, "backup", "orders", "--full", "--incremental")
    assert done.returncode == 2
    assert "one kind only" in done.stderr
    assert not desk.state.exists()


def test_a_full_backup_instead_of_a_refused_incremental_one_is_announced_as_a_run_of_its_own(desk, server):
    desk.write(server, url=server.url)
    assert understudy(desk, "backup", "orders").returncode == 0
    desk.write(server, url=server.url, encryption=(f"recipients: [{desk.recipient}]",))
    done = understudy(desk, "backup", "orders")
    assert done.returncode == 0, done.stderr
    first, second = (line for line in done.stderr.splitlines() if line.startswith("run "))
    assert second.endswith(f", follows {first[4:]}, which did not succeed")
    told = done.stderr[done.stderr.index(second) :]
    assert "done      orders/take-base-backup" in told
    assert "an incremental one could not be taken" in done.stdout.splitlines()[0]
