"""A page about a run, as it is asked for on the command line."""

import json
import re
import shlex
import sys

import pytest
from click.testing import CliRunner

from tests.app.shelf import Shelf, flip
from tests.cli.commands import assert_refused, leading_to, understudy
from tests.documents.read_pages import ReadPage
from tests.room import new_path
from tests.tidy.sources import ROOT
from understudy.cli.exit_codes import ExitCode
from understudy.cli.main import cli


@pytest.fixture(scope="module")
def drilled():
    """A directory that was kept and drilled, and the name of that drill."""
    directory = new_path("shelf")
    directory.mkdir()
    made = Shelf(directory)
    made.fill()
    made.back_up()
    done = understudy(made, "drill", "storage_loss", "--json")
    assert done.returncode == 0, done.stderr
    made.run = json.loads(done.stdout)["run"]["run"]
    yield made
    made.close()


def test_a_drill_becomes_a_page_whose_place_is_printed_last(drilled):
    done = understudy(drilled, "evidence", "report", drilled.run)
    assert done.returncode == 0, done.stderr
    file = drilled.state / "evidence" / f"{drilled.run}.html"
    assert done.stdout.splitlines()[-1] == f"written to {file}"
    page = file.read_text()
    found = ReadPage(page)
    assert "Recovery drill: docs after storage loss" in found.text
    assert "every objective was met" in found.text
    again = understudy(drilled, "evidence", "report", drilled.run)
    assert again.returncode == 0, "our own page is replaced"


def test_the_command_that_verifies_it_stands_there_and_leads_to_this_stack(drilled):
    file = drilled.directory / "drill.html"
    done = understudy(drilled, "evidence", "report", drilled.run, "--to", file, "--json")
    assert json.loads(done.stdout) == {"file": str(file), "run": drilled.run}
    page = file.read_text()
    assert f"understudy evidence verify {leading_to(drilled)}" in ReadPage(page).section(page, "Place in the chain of evidence")
    evidence = drilled.state / "evidence" / f"{drilled.run}.json"
    told = ReadPage(page).section(page, "Place in the chain of evidence")
    signer = told.split("--signer ")[1].split()[0]
    assert understudy(drilled, "evidence", "verify", evidence, "--signer", signer).returncode == 0
    assert_refused(understudy(drilled, "evidence", "report", drilled.run, "--to", file), "file_unwritable", 2)


def test_a_name_that_ends_in_pdf_is_printed(drilled):
    done = understudy(drilled, "evidence", "report", drilled.run, "--to", drilled.directory / "drill.pdf")
    assert (done.returncode, done.stderr) == (0, "")
    assert (drilled.directory / "drill.pdf").read_bytes().startswith(b"%PDF-")


def test_where_nothing_prints_a_pdf_it_is_refused_as_a_missing_prerequisite_and_no_file_is_left(drilled, monkeypatch):
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    file = drilled.directory / "unprinted.pdf"
    where = ["--stack", str(drilled.stack_file), "--state", str(drilled.state)]
    done = CliRunner().invoke(cli, ["evidence", "report", drilled.run, "--to", str(file), *where])
    assert (done.exception.code, ExitCode.of(done.exception)) == ("pdf_unavailable", ExitCode.PREREQUISITE)
    assert not file.exists()


def test_what_a_hint_says_to_type_leads_to_this_stack(drilled):
    for repository in ("near", "far"):
        for part in (drilled.directory / repository / "files" / "docs" / "parts").iterdir():
            flip(part)
    failed = understudy(drilled, "drill", "storage_loss", "--json")
    assert failed.returncode == 1
    page = drilled.directory / "failed.html"
    assert understudy(drilled, "evidence", "report", json.loads(failed.stdout)["run"]["run"], "--to", page).returncode == 0
    told = ReadPage(page.read_text()).section(page.read_text(), "Faults")
    assert "part_corrupt" in told
    assert f"understudy backup docs --full {leading_to(drilled)}" in told


def test_what_cannot_be_written_is_said_before_anything_is_made(drilled):
    unknown = understudy(drilled, "evidence", "report", "20200101-000000-abcdef")
    assert_refused(unknown, "run_unknown", 2)
    named = understudy(drilled, "evidence", "report", drilled.run, "--to", drilled.directory / "drill.odt")
    assert (named.returncode, "ends in .html" in named.stderr) == (2, True)
    nowhere = understudy(drilled, "evidence", "report", drilled.run, "--to", drilled.directory / "nowhere" / "drill.html")
    assert_refused(nowhere, "file_unwritable", 2)
    assert not (drilled.directory / "drill.odt").exists()


def test_what_the_readme_says_of_pages_can_be_typed_as_it_stands(drilled):
    section = (ROOT / "README.md").read_text().split("## A page about a run")[1].split("\n## ")[0]
    (lines,) = re.findall(r"^```sh\n(.*?)^```", section, re.M | re.S)
    recovered = understudy(drilled, "recover", "storage_loss", "--resource", "docs", "--yes", "--json")
    recovery = json.loads(recovered.stdout)["run"]["run"]
    for line in lines.splitlines():
        program, *words = shlex.split(line.partition("  #")[0])
        assert program == "understudy"
        run = recovery if "incident" in words else drilled.run
        done = understudy(drilled, *(run if re.fullmatch(r"\d{8}-\d{6}-\w+", word) else word for word in words))
        wanting = words[0] == "readiness"  # not everything is met on this shelf, and that is how it says so
        assert done.returncode == (1 if wanting else 0), done.stdout + done.stderr
    assert (drilled.directory / "recovery.pdf").exists()
