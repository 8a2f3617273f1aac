"""The tables that the demo prints for people, of plays that went well and of plays that did not."""

import json
import re
from datetime import timedelta

import pytest
from click.testing import CliRunner

from understudy.cli.exit_codes import ExitCode
from understudy.demo import command
from understudy.demo.ledger import Loss
from understudy.demo.report import print_outcome, print_verifying
from understudy.demo.stack_file import PRICES
from understudy.demo.story import Demo, Played

OBJECTIVE_SECONDS = 60


def a_play(*, synchronous=True, lost=0, seconds_lost=0.0, verdict="met", prices_live=PRICES):
    measurement = {
        "phases": {"fence": 1.5, "restore": 4.0, "replay": 3.0},
        "afterwards": {"protect": 2.5},
        "recovery_time": 8.5,
        "verdict": verdict,
    }
    measured = {"measurement": measurement, "objectives": {"rto": 300.0, "rpo": float(OBJECTIVE_SECONDS)}}
    return Played(
        synchronous=synchronous,
        acknowledged=6_543,
        recovered=6_543 - lost,
        loss=Loss(lost, timedelta(seconds=seconds_lost)),
        recovery={"measured": measured, "met": verdict == "met", "evidence": "/kept/evidence.json"},
        point_in_time={"measured": measured, "met": True},
        prices_back=PRICES,
        prices_live=prices_live,
    )


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
                heading = line
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
    }


def test_what_was_missed_stands_beside_what_was_promised(shown):
    tables = shown(a_play(lost=1, seconds_lost=0.1, verdict="missed", prices_live=PRICES - 1))
    assert tables["Recovery time by phase"]["recovery time"] == "8.50 s|objective 5 min 00 s: MISSED"
    assert tables["Commits"]["lost"] == "1|none may be: MISSED"
    assert tables["The dropped table"]["rows in the database again"] == f"{PRICES - 1:,}|MISSED"


@pytest.mark.parametrize(("seconds", "verdict"), [(OBJECTIVE_SECONDS, "met"), (OBJECTIVE_SECONDS + 1, "MISSED")])
def test_an_asynchronous_loss_is_told_in_commits_and_judged_by_the_age_of_the_oldest(shown, seconds, verdict):
    commits = shown(a_play(synchronous=False, lost=17, seconds_lost=seconds))["Commits"]
    assert (commits["recovered"], commits["lost"]) == ("6,526", "17")
    assert commits["work lost, by the oldest of them"].endswith(f"|objective 60.0 s: {verdict}")


def test_the_last_lines_are_the_evidence_and_the_command_that_verifies_it(capsys):
    print_verifying(a_play(), "the-key")
    evidence, following = capsys.readouterr().out.strip().splitlines()
    assert evidence == "evidence: /kept/evidence.json"
    assert re.fullmatch(r"next: +.*evidence verify /kept/evidence\.json --signer the-key", following)


@pytest.mark.parametrize(("lost", "code"), [(0, ExitCode.DONE), (1, ExitCode.FAILED)])
@pytest.mark.parametrize("options", [(), ("--json",)], ids=["text", "json"])
def test_one_acknowledged_commit_that_is_lost_ends_the_demo_with_1(monkeypatch, options, lost, code):
    class Told(Demo):
        """Its last act has been played already."""

        signer = "the-key"

        def play(self):
            return a_play(lost=lost, seconds_lost=0.1 * lost)

    monkeypatch.setattr(command, "Demo", Told)
    ended = CliRunner().invoke(command.demo, options)
    assert ended.exit_code == code, ended.output
    if options:
        said = json.loads(ended.stdout)
        assert (said["lost"], said["objective_met"]) == (lost, lost == 0)
