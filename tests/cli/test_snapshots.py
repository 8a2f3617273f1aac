"""What a person reads who keeps a directory: the commands as they are typed."""

import json
import re
import shlex

import pytest
from click.testing import CliRunner

from tests.app.shelf import Shelf, tree
from tests.cli.commands import assert_refused, understudy
from tests.repository.test_snapshot_changes import BusyCollection
from tests.room import new_path
from tests.stack.files import file_with, load
from tests.tidy.sources import ROOT
from understudy.cli.main import cli


@pytest.fixture
def shelf():
    directory = new_path("shelf")
    directory.mkdir()
    made = Shelf(directory)
    made.write('backup: {schedule: "0 3 29 2 *"}')
    made.fill()
    yield made
    made.close()


def test_a_directory_is_kept_listed_verified_watched_and_brought_back(shelf):
    before = understudy(shelf, "status")
    assert "no usable snapshot" not in before.stdout, "nothing is recorded yet, so nothing is known"
    taken = understudy(shelf, "backup", "docs")
    assert taken.returncode == 0, taken.stderr
    (label,) = shelf.labels()
    assert f"snapshot {label}: 9 entries" in taken.stdout
    assert "everything is read and stored: there is no snapshot yet" in taken.stdout
    assert "WAL" not in taken.stdout

    listed = understudy(shelf, "backups")
    assert listed.stdout.count(label) == 2
    assert "snapshot" in listed.stdout
    assert [each["repository"] for each in json.loads(understudy(shelf, "backups", "--json").stdout)["snapshots"]] == [
        "far",
        "near",
    ]

    verified = understudy(shelf, "verify", f"docs/{label}", "--deep")
    assert verified.returncode == 0
    assert verified.stdout.count("as stored") == 2

    status = understudy(shelf, "status")
    assert status.returncode == 0
    for words in (
        "docs  (files, standard)",
        f"newest         {label}",
        f"in far       {label}",
        "next backup    2028-02-29",
        "  schedule     due 2028-02-29T03:00:00+00:00; not run yet",
        "none",
    ):
        assert words in status.stdout, status.stdout
    (seen,) = json.loads(understudy(shelf, "status", "--json").stdout)["snapshots"]
    assert seen["exposed_seconds"] < 3600
    assert seen["recoverable"]

    restored = understudy(shelf, "restore", "docs", "--to", shelf.directory / "found")
    assert restored.returncode == 0, restored.stderr
    assert f"from snapshot: {label} in near (9 entries" in restored.stdout
    assert f"restored to:   {shelf.directory}/found" in restored.stdout
    assert "start" not in restored.stdout
    assert tree(shelf.directory / "found") == tree(shelf.docs)
    assert restored.stdout.split("understudy show ")[1].split()[0] in understudy(shelf, "status").stdout, "the last restore"

    fates = understudy(shelf, "expire", "--dry-run")
    assert fates.returncode == 0
    assert fates.stdout.count("1 snapshots stay, 0 go") == 2
    assert "the newest that a restore has proven" in fates.stdout
    found = json.loads(understudy(shelf, "expire", "--dry-run", "--json").stdout)["retention"]
    assert [[fate["stays"] for fate in each["snapshots"]] for each in found] == [[True], [True]]


def test_what_is_for_databases_is_refused_with_what_to_use_instead(shelf):
    assert_refused(understudy(shelf, "restore", "docs", "--to", "x", "--lsn", "0/3000060"), "target_needs_a_database", 5)
    assert_refused(understudy(shelf, "drill", "database_corruption", "--resource", "docs"), "resource_is_no_database", 5)
    assert_refused(understudy(shelf, "recover", "database_corruption"), "no_such_resource", 2)
    assert_refused(understudy(shelf, "restore", "docs", "--to", "s3://bucket"), "place_of_another_kind", 5)


def test_a_snapshot_that_fails_says_what_to_do_and_is_seen_in_status(shelf):
    shelf.docs.rename(shelf.directory / "away")
    failed = understudy(shelf, "backup", "docs")
    assert failed.returncode == 1
    assert "source_missing" in failed.stderr
    assert "hint:" in failed.stderr
    assert "last backup    failed" in understudy(shelf, "status").stdout


@pytest.fixture
def busy(shelf, monkeypatch):
    """In place of the directory, one in which a file never rests."""
    collection = BusyCollection(before_the_last_piece=True)
    for key in ("still", "torn"):
        collection.put(key, b"0")
    collection.meanwhile["torn"] = [lambda number=number: collection.put("torn", b"%d" % number) for number in range(1, 20)]
    monkeypatch.setattr("understudy.app.snapshot_adapters.collection_of", lambda settings: collection)
    return collection


def test_what_is_left_out_is_named_ends_with_1_and_is_seen_in_the_listing_and_in_status(shelf, busy):
    ended = CliRunner().invoke(cli, ["backup", "docs", "--stack", str(shelf.stack_file), "--state", str(shelf.state)])
    assert ended.exit_code == 1, ended.output
    assert "left out: 1, which changed each time they were read, and are not in it: torn" in ended.output
    (label,) = shelf.labels()
    listed = understudy(shelf, "backups").stdout
    assert f"left out of docs/{label} in near: 1, which changed" in listed
    assert f"left out of docs/{label} in far: 1, which changed" in listed
    assert "unsettled" not in listed
    assert "left out     1, which changed each time they were read" in understudy(shelf, "status").stdout
    (seen,) = json.loads(understudy(shelf, "status", "--json").stdout)["snapshots"]
    assert [each["left_out"] for each in (seen["newest_snapshot"], seen["copies"]["far"])] == [1, 1]


def test_what_is_kept_although_it_never_rested_is_named_and_seen_in_the_listing_and_in_status(shelf, busy):
    busy.before_the_last_piece = False
    ended = CliRunner().invoke(cli, ["backup", "docs", "--stack", str(shelf.stack_file), "--state", str(shelf.state)])
    assert ended.exit_code == 0, ended.output
    assert "unsettled: 1, which changed each time they were read, and are in it as they came: torn" in ended.output
    assert f"unsettled in docs/{shelf.labels()[0]} in near: 1, which changed" in understudy(shelf, "backups").stdout
    status = understudy(shelf, "status").stdout
    assert "unsettled    1, which changed each time they were read" in status
    assert "left out" not in status


def test_verify_ends_with_1_where_a_part_is_damaged(shelf):
    shelf.back_up()
    (part,) = shelf.folder().glob("parts/*-0001.tar.zst.age")
    content = part.read_bytes()
    part.chmod(0o600)
    part.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    found = understudy(shelf, "verify")
    assert found.returncode == 1
    assert "part_corrupt" in found.stdout
    assert part.name in found.stdout


def test_what_the_readme_says_of_what_is_no_database_can_be_typed_as_it_stands(shelf):
    section = (ROOT / "README.md").read_text().split("## Directories, buckets, commands, Redis")[1].split("\n## ")[0]
    (resources,) = re.findall(r"^```yaml\n(.*?)^```", section, re.M | re.S)
    stack = load(file_with(resource=resources))
    assert [each.kind for each in stack.resources.values()] == [
        "postgres",
        "files",
        "bucket",
        "command",
        "postgres-dump",
        "redis",
    ]
    (lines,) = re.findall(r"^```sh\n(.*?)^```", section, re.M | re.S)
    for line in lines.splitlines():
        _, *words = shlex.split(line.partition("  #")[0])
        refused = understudy(shelf, *words)
        assert refused.returncode != 0 and "no_such_resource" in refused.stderr, "understood, and only of another stack"


def test_reading_back_within_a_budget_is_a_run_and_status_tells_how_far_it_is_and_what_is_damaged(shelf):
    assert_refused(understudy(shelf, "verify", "--within", "1KiB"), "no_backup", 3)
    assert understudy(shelf, "backup", "docs").returncode == 0
    done = understudy(shelf, "verify", "--within", "1KiB")
    assert (done.returncode, done.stdout.count("as they were stored")) == (0, 2), done.stdout + done.stderr
    part = next((shelf.folder() / "parts").iterdir())
    part.chmod(0o600)
    part.write_bytes(part.read_bytes()[:-1])
    found = understudy(shelf, "verify", "--within", "1GiB")
    assert found.returncode == 1
    assert "damage_found: part_corrupt" in found.stderr
    (label,) = shelf.labels()
    seen = understudy(shelf, "status").stdout
    for words in (
        "reading back  (up to 20.0 GiB from each repository)",
        f"damaged        {label} in near",
        "a full cycle is 1 run",
    ):
        assert words in seen, seen
    (_, near) = json.loads(understudy(shelf, "status", "--json").stdout)["reading_back"]["repositories"][::-1]
    assert (near["repository"], near["damaged"], near["never_read"]) == ("near", 1, 0)
    assert f"damaged in near: docs/{label}" in understudy(shelf, "backups").stderr
    assert understudy(shelf, "verify", "docs", "--within", "1GiB").returncode == 2
    assert understudy(shelf, "verify", "--within", "much").returncode == 2
