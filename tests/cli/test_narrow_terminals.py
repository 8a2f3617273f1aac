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
COLOURED = re.compile(r"\x1b\[[0-9;]*m")
GREEN, YELLOW, RED = 32, 33, 31
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
    return lines_of(sent_to_terminal(desk, columns, *arguments))


def lines_of(sent):
    text = re.sub(r"\x1b\[[0-9;]*[mK]", "", sent)
    return [line.rpartition("\r")[2] for line in text.split("\n")]


def sent_to_terminal(desk, columns, *arguments, **variables):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    there = {"env": environment(desk) | {"TERM": "xterm"} | variables, "cwd": desk.directory}
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
    return received.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("arguments", LOOKING, ids=lambda each: each[0])
def test_nothing_runs_over_the_edge_and_every_identifier_is_whole(protected, arguments, columns):
    lines = in_terminal(protected, columns, *arguments)
    assert [line for line in lines if len(line) > columns and len(line.split()) > 1] == []
    piped = understudy(protected, *arguments).stdout
    assert set(IDENTIFIER.findall(piped)) <= set(IDENTIFIER.findall("\n".join(lines)))


def coloured(text, word, code):
    """Whether the word stands in a colour, alone or with the blanks behind it."""
    return re.search(rf"\x1b\[{code}m{word} *\x1b\[0m", text) is not None


@pytest.mark.parametrize(("columns", "plain"), [(80, {}), (120, {"NO_COLOR": "1"}), (120, {"TERM": "dumb"})], ids=str)
def test_what_a_drill_tells_at_its_end_fits_too_and_is_coloured_unless_colours_are_unwanted(protected, columns, plain):
    sent = sent_to_terminal(protected, columns, "drill", "database_corruption", "--immediate", **plain)
    lines = lines_of(sent)
    assert [line for line in lines if len(line) > columns and len(line.split()) > 1] == []
    assert any(line.lstrip().startswith("recovery time") for line in lines)
    for word in ("done", "met", "succeeded"):
        assert any(re.search(rf"\b{word}\b", line) for line in lines)
        assert coloured(sent, word, GREEN) is not bool(plain)
    assert (COLOURED.search(sent) is None) is bool(plain)


def test_a_drill_that_fails_is_red_on_a_terminal_and_plain_in_a_pipe(protected):
    drill = ("drill", "database_corruption", "--name", "nobody made it")
    sent = sent_to_terminal(protected, 80, *drill)
    for word in ("FAILED", "MISSED", "failed"):
        assert coloured(sent, word, RED), sent
    assert coloured(sent, "cancelled|skipped", YELLOW)
    piped = understudy(protected, *drill)
    assert "FAILED" in piped.stderr and "MISSED" in piped.stdout and "\x1b" not in piped.stdout + piped.stderr


def test_a_refusal_is_red_on_a_terminal_unless_colours_are_unwanted(protected):
    refused = ("drill", "database_corruption", "--backup", "nonsense")
    assert "\x1b[31m" in sent_to_terminal(protected, 80, *refused)
    assert "\x1b" not in sent_to_terminal(protected, 80, *refused, NO_COLOR="1")
    assert "\x1b[31m" in sent_to_terminal(protected, 80, *refused, NO_COLOR=""), "an empty one wants nothing"


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
