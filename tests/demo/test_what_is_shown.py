"""The tables that the demo prints for people, of plays that went well and of plays that did not."""

import json
import os
import pty
import re
import sys
from contextlib import suppress
from datetime import timedelta

import pytest
from click.testing import CliRunner

from understudy.cli.exit_codes import ExitCode
from understudy.demo import command
from understudy.demo.ledger import Compared, Loss
from understudy.demo.played import Played
from understudy.demo.report import print_outcome, print_verifying
from understudy.demo.stack_file import PRICES
from understudy.demo.story import Demo

OBJECTIVE_SECONDS = 60


def a_play(*, synchronous=True, lost=0, seconds_lost=0.0, verdict="met", prices_live=PRICES, files_lost=0.0):
    measurement = {
        "phases": {"fence": 1.5, "restore": 4.0, "replay": 3.0},
        "afterwards": {"protect": 2.5},
        "recovery_time": 8.5,
        "verdict": verdict,
    }
    measured = {"measurement": measurement, "objectives": {"rto": 300.0, "rpo": float(OBJECTIVE_SECONDS)}}
    parts = {"shop": {"measurement": {"recovery_time": 8.5}}, "images": {"measurement": {"recovery_time": 6.0}}}
    return Played(
        synchronous=synchronous,
        commits=compared(6_543, lost, seconds_lost),
        recovery={"measured": measured, "met": verdict == "met", "evidence": "/kept/first.json"},
        pages=["/kept/first.html", "/kept/second.html", "/kept/third.html"],
        signers=["the-key", "the-new-key"],
        point_in_time={"measured": measured, "met": True},
        prices_back=PRICES,
        prices_live=prices_live,
        adopted_seconds=1.25,
        everything={"measured": measured | {"parts": parts}, "met": True, "evidence": "/kept/third.json"},
        compared={"rows": compared(9_000, 20, 0.5), "files": compared(400, 3, files_lost), "objects": compared(300, 0, 0.0)},
    )


def compared(acknowledged, lost, seconds_lost):
    return Compared(acknowledged, acknowledged - lost, Loss(lost, timedelta(seconds=seconds_lost)))


@pytest.fixture
def shown(capsys):
    """Name and rest of each row, by the heading above it."""

    def show(play):
        print_outcome(play)
        tables, heading = {}, ""
        for line in capsys.readouterr().out.splitlines():
            if line.startswith("  "):
                name, _, rest = re.sub(r" {2,}", "|", line.strip()).partition("|")
                tables[heading][name] = rest
            elif line:
                heading = re.sub(r" {2,}", "|", line)
                tables[heading] = {}
        return tables

    return show


def test_a_recovery_is_told_phase_by_phase_against_its_objective_and_so_are_the_commits(shown):
    assert shown(a_play()) == {
        "Recovery time by phase": {
            "fence the old server": "1.50 s",
            "restore base backup": "4.00 s",
            "replay WAL": "3.00 s",
            "recovery time": "8.50 s|objective 5 min 00 s: met",
            "protect again (afterwards)": "2.50 s",
        },
        "Commits": {"acknowledged": "6,543", "recovered": "6,543", "lost": "0|none may be: met"},
        "The dropped table": {
            "rows in the sandbox of the drill": f"{PRICES:,}|after 8.50 s",
            "rows in the database again": f"{PRICES:,}|met",
        },
        "Everything lost, and brought back from a repository and the recovery kit": {
            "adopt the repository": "1.25 s",
            "shop back after": "8.50 s",
            "images back after": "6.00 s",
            "recovery time": "8.50 s|objective 5 min 00 s: met",
        },
        "Of all that was ever acknowledged|rows|files|objects": {
            "acknowledged": "9,000|400|300",
            "recovered": "8,980|397|300",
            "lost": "20|3|0",
            "work lost, by the oldest of them": "0.50 s|0.00 s|0.00 s",
            "objective 60.0 s": "met|met|met",
        },
    }


def test_what_was_missed_stands_beside_what_was_promised(shown):
    tables = shown(a_play(lost=1, seconds_lost=0.1, verdict="missed", prices_live=PRICES - 1))
    assert tables["Recovery time by phase"]["recovery time"] == "8.50 s|objective 5 min 00 s: MISSED"
    assert tables["Commits"]["lost"] == "1|none may be: MISSED"
    assert tables["The dropped table"]["rows in the database again"] == f"{PRICES - 1:,}|MISSED"
    last = list(shown(a_play(files_lost=OBJECTIVE_SECONDS + 1)).values())[-1]
    assert last["objective 60.0 s"] == "met|MISSED|met"


@pytest.mark.parametrize(("seconds", "verdict"), [(OBJECTIVE_SECONDS, "met"), (OBJECTIVE_SECONDS + 1, "MISSED")])
def test_an_asynchronous_loss_is_told_in_commits_and_judged_by_the_age_of_the_oldest(shown, seconds, verdict):
    commits = shown(a_play(synchronous=False, lost=17, seconds_lost=seconds))["Commits"]
    assert (commits["recovered"], commits["lost"]) == ("6,526", "17")
    assert commits["work lost, by the oldest of them"].endswith(f"|objective 60.0 s: {verdict}")


def test_the_last_lines_are_the_evidence_the_pages_and_the_commands_that_verify_it_each_with_its_hosts_key(capsys):
    print_verifying(a_play())
    *files, first, third = capsys.readouterr().out.strip().splitlines()
    assert files == [
        "evidence: /kept/first.json",
        "          /kept/third.json",
        "pages:    /kept/first.html",
        "          /kept/second.html",
        "          /kept/third.html",
    ]
    assert re.fullmatch(r"next:     .*evidence verify /kept/first\.json --signer the-key", first)
    assert re.fullmatch(r"          .*evidence verify /kept/third\.json --signer the-new-key", third)


MISSED = {
    "a lost commit": {"lost": 1, "seconds_lost": 0.1},
    "the recovery time": {"verdict": "missed"},
    "the dropped table": {"prices_live": 0},
    "what was lost with the host": {"files_lost": OBJECTIVE_SECONDS + 1.0},
    "asynchronous, beyond the recovery point": {"synchronous": False, "lost": 9, "seconds_lost": OBJECTIVE_SECONDS + 1.0},
}
MET = {"nothing": {}, "asynchronous, within the recovery point": {"synchronous": False, "lost": 9, "seconds_lost": 2.0}}


@pytest.mark.parametrize(
    ("played", "code"),
    [*((play, ExitCode.DONE) for play in MET.values()), *((play, ExitCode.FAILED) for play in MISSED.values())],
    ids=[*MET, *MISSED],
)
@pytest.mark.parametrize("options", [(), ("--json",)], ids=["text", "json"])
def test_a_play_that_misses_an_objective_ends_the_demo_with_1(monkeypatch, options, played, code):
    class Told(Demo):
        """Its last act has been played already."""

        def play(self):
            return a_play(**played)

    monkeypatch.setattr(command, "Demo", Told)
    ended = CliRunner().invoke(command.demo, options)
    assert ended.exit_code == code, ended.output
    if options:
        said = json.loads(ended.stdout)
        assert (said["lost"], said["objective_met"]) == (played.get("lost", 0), code is ExitCode.DONE)


def test_progress_is_folded_to_the_width_of_a_terminal_and_a_terminal_that_is_closed_ends_nothing(monkeypatch):
    ours, theirs = pty.openpty()
    monkeypatch.setattr(sys, "stderr", os.fdopen(theirs, "w", buffering=1))
    monkeypatch.setenv("COLUMNS", "50")
    tell = command._teller()
    tell("the disaster: every process of the server is killed, and its data directory removed with all that is in it")
    first, *further = os.read(ours, 65536).decode().removesuffix("\r\n").split("\r\n")
    assert re.match(r" +\d\.\d s  the disaster", first)
    assert further and all(line.startswith(" " * 10) and len(line) <= 50 for line in further)
    os.close(ours)
    tell("cleaning up")
    with suppress(OSError):
        sys.stderr.close()
