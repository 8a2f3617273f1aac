"""What people read in a terminal of 80 or 120 columns, with long names, and through a pipe."""

import fcntl
import os
import pty
import re
import struct
import termios

import pytest

from tests.app.desk import Desk
from tests.cli.commands import environment, understudy
from tests.servers import programs
from tests.servers.postgres import PostgresServer

RESOURCE, REPOSITORY = "customer-orders-europe-west", "object-storage-in-frankfurt"
LOOKING = (
    ("backups",), ("runs",), ("status",), ("check",), ("verify",), ("expire", "--dry-run"), ("evidence", "verify"),
)  # fmt: skip
PYTHON = re.compile(r"\{'|\['|\bNone\b|\bTrue\b|\bFalse\b|\bawaiting_approval\b")
IDENTIFIER = re.compile(r"\d{8}-\d{6}[-FI_\w]*|/tmp/[\w./-]+")


@pytest.fixture(scope="module")
def protected():
    """Two backups, and a drill that failed."""
    with PostgresServer() as server:
        made = Desk()
        try:
            made.write(server, "backup: {full: '0 3 29 2 *', incremental: '0 3 * * *', jitter: 1h}", url=server.url)
            text = made.stack_file.read_text().replace("  orders:", f"  {RESOURCE}:").replace("  near:", f"  {REPOSITORY}:")
            made.stack_file.write_text(text)
            for _ in range(2):
                assert understudy(made, "backup", RESOURCE).returncode == 0
            assert understudy(made, "drill", "database_corruption", "--name", "nobody made it").returncode == 1
            yield made
        finally:
            made.close()


def in_terminal(desk, columns, *arguments):
    """The lines that a terminal of so many columns is sent, without colours."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    there = {"env": environment(desk) | {"TERM": "xterm"}, "cwd": desk.directory}
    process = programs.start(*arguments, stdout=theirs, stderr=theirs, **there)
    os.close(theirs)
    received = bytearray()
    try:
        while piece := os.read(ours, 65536):
            received += piece
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(ours)
        process.wait()
    text = re.sub(r"\x1b\[[0-9;]*[mK]", "", received.decode()).replace("\r\n", "\n")
    return [line.rpartition("\r")[2] for line in text.split("\n")]


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("arguments", LOOKING, ids=lambda each: each[0])
def test_nothing_runs_over_the_edge_and_every_identifier_is_whole(protected, arguments, columns):
    lines = in_terminal(protected, columns, *arguments)
    assert [line for line in lines if len(line) > columns and len(line.split()) > 1] == []
    piped = understudy(protected, *arguments).stdout
    assert set(IDENTIFIER.findall(piped)) <= set(IDENTIFIER.findall("\n".join(lines)))


@pytest.mark.parametrize("columns", [80, 120])
def test_what_a_drill_tells_at_its_end_fits_too(protected, columns):
    lines = in_terminal(protected, columns, "drill", "database_corruption", "--immediate")
    assert [line for line in lines if len(line) > columns and len(line.split()) > 1] == []
    assert any(line.lstrip().startswith("recovery time") for line in lines)


def test_through_a_pipe_each_row_is_one_line(protected):
    for arguments in (("backups",), ("expire", "--dry-run")):
        text = understudy(protected, *arguments).stdout
        assert len([line for line in text.splitlines() if re.search(r"\d{8}-\d{6}F", line) and "iB" in line]) == 2


def test_a_run_that_follows_another_says_so_however_narrow_the_terminal_is(protected):
    for columns in (80, 120):
        text = " ".join(in_terminal(protected, columns, "runs"))
        assert re.search(r"\d{8}-\d{6}-\w+ follows \d{8}-\d{6}-\w+, which did not succeed", " ".join(text.split())), text


@pytest.mark.parametrize("which", [0, -1])
def test_a_run_is_shown_in_words_and_its_error_once(protected, which):
    runs = re.findall(r"^([a-z]+-)?(\d{8}-\d{6}-\w+)", understudy(protected, "runs", "--newest", "50").stdout, re.MULTILINE)
    run = "".join(runs[which])
    for text in (understudy(protected, "show", run).stdout, "\n".join(in_terminal(protected, 80, "show", run))):
        assert PYTHON.search(text) is None, text
        assert "stored size: " in text or "size: " in text


def test_the_error_of_a_run_that_failed_is_said_once_with_what_was_expected_and_what_to_do(protected):
    table = understudy(protected, "runs", "--newest", "50").stdout
    run = next(line.split()[0] for line in table.splitlines() if "failed" in line)
    text = understudy(protected, "show", run).stdout
    assert text.count("target_not_reached") == 1
    assert text.count("was not met") == 1
    assert text.count("choose an older one with --backup") == 1
    assert "left out: " in text
