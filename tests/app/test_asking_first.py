"""What a recovery looks at before it asks, and before it asks again."""

import json
import socket
import socketserver
import threading
from contextlib import contextmanager

import psycopg
import pytest

from tests.faults.conftest import make_estate
from tests.faults.estate import NEAR, RESOURCE
from tests.servers.processes import kill_tree, wait_until
from understudy.adapters.postgres.processes import servers_processes
from understudy.app.keeping import shipping_to
from understudy.records.run import RunState, StepState

__all__ = ["make_estate"]
REFUSED = 5
FENCE = "orders/fence-old-server"
LONGER_THAN_THE_TEST = 3600
"""Seconds."""


@pytest.fixture
def elsewhere(make_estate):
    """Recovered beside the old server, whose address ``recover.url`` takes over from."""
    estate = make_estate()
    port = estate.server.port + 1
    estate.secret("url-here", estate.server.url.replace(f":{estate.server.port}/", f":{port}/"))
    stack = json.loads(estate.stack_file.read_text())
    stack["resources"]["orders"]["recover"] |= {
        "directory": str(estate.server.directory / "recovered"),
        "port": str(port),
        "url": f"file:{estate.directory}/url-here",
    }
    estate.stack_file.write_text(json.dumps(stack))
    estate.command("backup", "orders")
    yield estate
    for pid in servers_processes(str(estate.server.directory / "recovered")):
        kill_tree(pid)


def begin(estate):
    """A recovery that asks; nobody is at its terminal."""
    waiting = estate.start_command("recover", "database_corruption")
    records = estate.installation.records
    wait_until(lambda: records.runs(1)[0].state is RunState.AWAITING_APPROVAL or waiting.poll() is not None, "the run to ask")
    run = records.runs(1)[0].run
    return waiting, run


def question(estate, run):
    return estate.installation.records.step(run, FENCE).approval_question


def asks(estate, run):
    """Whether a living process asks now."""
    return estate.installation.records.run(run).state is RunState.AWAITING_APPROVAL


def test_an_old_server_that_answers_refuses_before_anybody_is_asked(elsewhere):
    done = elsewhere.command("recover", "database_corruption", expect=REFUSED)
    assert "error: old_server_not_fenced" in done.stderr and "--override-fence" in done.stderr
    assert "waiting:" not in done.stderr
    assert [run.procedure for run in elsewhere.installation.records.runs()] == ["backup"]
    assert not (elsewhere.server.directory / "recovered").exists()


def test_an_old_server_that_comes_back_while_a_person_thinks_ends_the_run_as_refused(elsewhere):
    elsewhere.server.kill_everything()
    waiting, run = begin(elsewhere)
    assert question(elsewhere, run).startswith(f"Nothing runs in {elsewhere.server.directory}/recovered. Recover orders there")
    elsewhere.server.start()
    elsewhere.command("approve", run)
    out, said = waiting.communicate(timeout=120)
    assert waiting.returncode == REFUSED, out + said
    assert "old_server_not_fenced" in said
    shown = f"understudy show {run} --stack {elsewhere.stack_file}"
    assert out == f"recovery database_corruption: refused; nothing was touched ({shown})\n"
    assert not (elsewhere.server.directory / "recovered").exists()


def test_a_server_that_appears_in_the_directory_is_not_stopped_by_who_was_told_that_none_runs(make_estate):
    estate = make_estate()
    estate.command("backup", "orders")
    estate.server.kill_everything()
    waiting, run = begin(estate)
    assert "Nothing runs in" in question(estate, run) and "set aside" in question(estate, run)
    estate.server.start()
    estate.command("approve", run)
    out, said = waiting.communicate(timeout=120)
    assert (waiting.returncode, "server_appeared" in said) == (REFUSED, True), out + said
    assert estate.server.sql("select 1") == [(1,)]


def test_a_run_that_is_resumed_asks_by_what_is_there_by_then(make_estate):
    estate = make_estate()
    estate.command("backup", "orders")
    estate.server.kill_everything()
    killed, run = begin(estate)
    killed.kill()
    killed.communicate()
    estate.server.start()
    estate.server.sql("create table kept as select 7 n")
    # A server that is stopped sends its last WAL to whoever streams; the receiver comes back some seconds after the server.
    streaming = "select count(*) from pg_stat_replication where state = 'streaming'"
    wait_until(lambda: estate.server.sql(streaming)[0][0] == 1, "the receiver to be back")
    assert estate.installation.records.run(run).state is RunState.INTERRUPTED
    waiting = estate.start_command("resume", run)
    wait_until(lambda: "A server runs in" in question(estate, run) and asks(estate, run), "the run to ask anew")
    estate.command("approve", run)
    out, said = waiting.communicate(timeout=120)
    assert f"waiting: A server runs in {estate.server.data}: stop it for good" in said
    assert estate.installation.records.run(run).state is RunState.SUCCEEDED, out + said
    assert estate.installation.records.step(run, FENCE).evidence.proof["stopped_here"] is True
    with psycopg.connect(estate.server.url) as connection:
        assert connection.execute("select n from kept").fetchall() == [(7,)]


def test_resuming_beside_an_old_server_that_came_back_is_refused_and_the_run_can_be_cancelled(elsewhere):
    elsewhere.server.kill_everything()
    killed, run = begin(elsewhere)
    killed.kill()
    killed.communicate()
    elsewhere.server.start()
    done = elsewhere.command("resume", run, expect=REFUSED)
    assert "error: old_server_not_fenced" in done.stderr
    elsewhere.command("cancel", run)
    assert elsewhere.installation.records.step(run, FENCE).state is StepState.SKIPPED
    assert elsewhere.installation.records.holds() == ()


def test_serve_asks_anew_too(make_estate):
    estate = make_estate()
    estate.command("backup", "orders")
    estate.server.kill_everything()
    killed, run = begin(estate)
    killed.kill()
    killed.communicate()
    estate.server.start()
    estate.serve()
    wait_until(lambda: asks(estate, run), "serve to take the run up")
    assert question(estate, run).startswith("A server runs in")
    estate.command("cancel", run)


@contextmanager
def listener():
    """The port of something that takes connections and ends them, as a pooler does whose server is down."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as listening:
        answering = threading.Thread(target=listening.serve_forever)
        answering.start()
        try:
            yield listening.server_address[1]
        finally:
            listening.shutdown()
            answering.join()


def test_a_fence_that_stopped_the_server_and_then_finds_something_in_the_way_does_not_say_that_nothing_was_touched(make_estate):
    estate = make_estate()
    estate.command("backup", "orders")
    with listener() as port:
        estate.secret("url", estate.server.url.replace(f":{estate.server.port}/", f":{port}/"))
        done = estate.command("recover", "database_corruption", "--yes", expect=1)
    assert "old_server_not_fenced" in done.stderr
    assert f"the server in {estate.server.data} was stopped" in " ".join(done.stderr.split())
    assert "nothing was touched" not in done.stdout and "refused" not in done.stdout
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(estate.server.url)


def test_wal_is_shipped_again_before_serve_has_looked_for_an_old_server_that_says_nothing(make_estate):
    estate = make_estate()
    estate.command("backup", "orders")
    estate.server.kill_everything()
    killed, run = begin(estate)
    killed.kill()
    killed.communicate()
    records = estate.installation.records
    shipping = shipping_to(NEAR)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"127.0.0.1:{mute.getsockname()[1]}"
        estate.secret("url", f"postgresql://anna@{address}/postgres?connect_timeout={LONGER_THAN_THE_TEST}")
        serving = estate.start_command("serve")
        wait_until(lambda: records.observed(RESOURCE, shipping) or serving.poll() is not None, "serve to ship")
        assert records.run(run).state is RunState.INTERRUPTED
    wait_until(lambda: asks(estate, run) or serving.poll() is not None, "serve to take the run up")
    serving.terminate()
    _, log = serving.communicate(timeout=60)
    assert f"resumed run {run}" in log
