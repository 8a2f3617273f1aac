"""Somebody was in the system: it comes back as it was before, and what came after is kept and chosen by nothing."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest

from tests.app.desk import Desk
from tests.app.shelf import Shelf, proof_of, tree
from tests.cli.commands import understudy
from tests.restore_matrix.estate import SilentWatcher, expect_success
from tests.room import new_path
from tests.servers.flavours import Flavour
from tests.servers.postgres import PostgresServer
from understudy.app.backups import back_up
from understudy.app.installation import Installation
from understudy.app.measuring import measure
from understudy.app.recoveries import drill, recover
from understudy.plan.request import Choice
from understudy.ports.instance import InstancePlace, StopMode
from understudy.stack.models import Scenario
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import BackupKind, Person
from understudy.vocabulary.recovery_target import strictly_before


@pytest.fixture(scope="module")
def shop():
    """A database and a directory, kept; then somebody else writes to both, and they are kept again."""
    with PostgresServer(Flavour.WHEEL_18) as server:
        desk = Desk()
        try:
            yield _broken_into(desk, server)
        finally:
            place = InstancePlace(f"{desk.directory}/recovered", f"{desk.directory}/recovered.run", server.port)
            Installation.open(desk.stack_file, desk.state).instances["orders"].stop(place, StopMode.IMMEDIATE)
            desk.close()


def _broken_into(desk, server):
    documents = desk.directory / "documents"
    documents.mkdir()
    (documents / "contract").write_text("signed")
    server.sql("create table words (word text primary key); insert into words values ('kept'), ('altered')")
    server.sql("create table log (word text); insert into log values ('alike')")
    desk.write(server, "checks: [{sql: select count(*) from words, at_least: 1}]", url=server.url)
    more = f"  documents: {{kind: files, path: {documents}}}\n"
    desk.stack_file.write_text(desk.stack_file.read_text() + more)
    installation = Installation.open(desk.stack_file, desk.state)

    def back_up_all():
        for name in installation.resource_names():
            expect_success(back_up(installation, name, BackupKind.FULL, SilentWatcher()))

    back_up_all()
    before = tree(documents)
    server.sql("insert into words values ('received')")
    [(moment,)] = server.sql("select clock_timestamp()")
    server.sql("insert into words values ('planted'); update words set word = 'forged' where word = 'altered'")
    server.sql("create role mallory superuser; create function back_door() returns int language sql as 'select 1'")
    server.sql("insert into log values ('alike'), ('new')")
    (documents / "contract").write_text("forged")
    back_up_all()
    return SimpleNamespace(
        desk=desk, server=server, documents=documents, before=before, since=moment.astimezone(UTC), installation=installation
    )


def said(shop, *arguments, returncode=0):
    done = understudy(shop.desk, *arguments)
    assert done.returncode == returncode, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_what_came_after_is_drilled_without_recovered_without_and_kept(shop):
    since = shop.since.isoformat()
    assert "needs --before" in said(shop, "drill", "security_incident", returncode=2)
    assert "is of security_incident" in said(shop, "drill", "data_loss", "--before", since, returncode=2)
    planted = [each["backup"]["label"] for each in listed(shop)["usable"]][-1]
    said(shop, "drill", "security_incident", "--before", since, "--json")
    assert not list(shop.desk.directory.glob("repository/quarantine/**/*.json")), "a drill quarantines nothing"

    shop.server.stop()
    said(shop, "recover", "security_incident", "--before", since, "--yes", "--json")
    with psycopg.connect(shop.server.url) as connection:
        found = connection.execute("select word from words order by word").fetchall()
    assert found == [("altered",), ("kept",), ("received",)]
    assert tree(shop.documents) == shop.before
    [aside] = shop.desk.directory.glob("documents.quarantined-*")
    assert (aside / "contract").read_text() == "forged"

    told = listed(shop)
    assert [each["quarantined"] is not None for each in told["usable"]] == [False, True, False], "the new one is clean"
    assert [each["quarantined"] is not None for each in told["snapshots"]] == [False, True]
    text = said(shop, "backups")
    assert f"quarantined in near: orders/{planted}: nothing from" in text
    assert "what was stored from" in said(shop, "status")

    assert "backup_quarantined" in said(shop, *to(shop, "orders", "a"), "--backup", planted, returncode=5)
    said(shop, *to(shop, "documents", "b"))
    assert (shop.desk.directory / "b" / "contract").read_text() == "signed", "the newest that is to be believed"
    said(shop, *to(shop, "documents", "c"), "--quarantined")
    assert (shop.desk.directory / "c" / "contract").read_text() == "forged", "to be looked at"
    refused = said(shop, *to(shop, "orders", "d"), "--timeline", "1", returncode=5)
    assert "target_quarantined" in refused, "the backup is to be believed, and the WAL behind it is not"
    said(shop, "drill", "database_corruption", "--json")
    assert_what_came_after_is_listed(shop)

    assert "it is quarantined, or the newest from before" in said(shop, "expire", "--dry-run")
    fates = json.loads(said(shop, "expire", "--dry-run", "--json"))["retention"]
    kept = [each["kept"] for fate in fates for each in fate.get("backups", fate.get("snapshots"))]
    assert sum("quarantined" in str(each) for each in kept) == 4, "what came after, and what that is compared with"
    said(shop, "backup", "documents", "--json")

    said(shop, "quarantine", "list")
    assert "not_agreed" in said(shop, "quarantine", "lift", "orders", returncode=5)
    assert "lifted: " in said(shop, "quarantine", "lift", "orders", "--yes")
    said(shop, "quarantine", "lift", "orders", "--yes")
    assert not any(each["quarantined"] for each in listed(shop)["usable"])
    said(shop, *to(shop, "orders", "e"), "--backup", planted)


def assert_what_came_after_is_listed(shop):
    """Row by row, from a clean copy and one as it was left."""
    clean, left = shop.desk.directory / "clean", shop.desk.directory / "left"
    earlier = (shop.since - timedelta(microseconds=1)).isoformat()
    said(shop, "restore", "orders", "--to", str(clean), "--time", earlier)
    said(shop, "restore", "orders", "--to", str(left), "--quarantined", "--timeline", "1")
    told = json.loads(said(shop, "diff", "orders", str(clean), str(left), "--json"))
    lines = [json.loads(line) for line in Path(told["file"]).read_text().splitlines()]
    found = {(each["part"], each["change"], each["key"]) for each in lines}
    assert {each for each in found if each[0] == "postgres: public.words"} == {
        ("postgres: public.words", "added", "(planted)"),
        ("postgres: public.words", "added", "(forged)"),
        ("postgres: public.words", "removed", "(altered)"),
    }
    assert ("roles", "added", "role mallory") in found
    assert ("postgres: definitions", "added", "function public.back_door()") in found
    counts = {each["part"]: (each["added"], each["removed"], each["changed"]) for each in told["parts"]}
    assert counts["postgres: public.log"] == (2, 0, 0), "rows without a key are counted"
    assert Path(told["file"]).stat().st_mode & 0o777 == 0o600
    assert "copy_missing" in said(shop, "diff", "orders", str(clean), str(clean), returncode=5)
    assert "file_unwritable" in said(shop, "diff", "orders", str(clean), str(left), "--to", told["file"], returncode=2)

    told = json.loads(said(shop, "diff", "documents", shop.since.isoformat(), "--json"))
    [line] = [json.loads(line) for line in Path(told["file"]).read_text().splitlines() if '"contract"' in line]
    assert line["change"] == "changed"


def listed(shop):
    return json.loads(said(shop, "backups", "--json"))


def to(shop, resource, place):
    return "restore", resource, "--to", str(shop.desk.directory / place)


@pytest.fixture
def shelf():
    directory = new_path("shelf")
    directory.mkdir()
    made = Shelf(directory)
    made.fill()
    made.back_up()
    (made.docs / "notes.txt").write_text("forged")
    yield made
    made.close()


def recovered_before_the_forgery(shelf):
    """Since the newest snapshot was being taken."""
    if len(shelf.snapshots()) == 1:
        shelf.back_up()
    choice = Choice(target=strictly_before(shelf.snapshots()[-1].stop_time))
    wish = {"approved_by": Person("anna")}
    return recover(shelf.installation, Scenario.SECURITY_INCIDENT, ("docs",), choice, SilentWatcher(), **wish)


def test_a_repository_that_was_away_is_named_and_marked_with_the_next_backup(shelf):
    far = shelf.directory / "far"
    shelf.back_up()
    away = far.rename(shelf.directory / "unplugged")
    view = expect_success(recovered_before_the_forgery(shelf))
    assert list(proof_of(view, "quarantine")["not_marked"]) == ["far"]
    assert (shelf.docs / "notes.txt").read_text() == "notes"
    away.rename(far)
    with pytest.raises(Refusal) as refused:
        shelf.restore("a", repository="far", label=shelf.labels("far")[-1])
    assert refused.value.code == "backup_quarantined", "this host remembers"
    shelf.back_up()
    assert len(list(far.glob("quarantine/docs/*.json"))) == 1


def test_a_quarantine_counts_where_the_repository_has_lost_it_and_where_this_host_has(shelf):
    expect_success(recovered_before_the_forgery(shelf))
    planted, forged = shelf.labels()[-1], shelf.directory / "a" / "notes.txt"
    assert shelf.restore("a").succeeded
    assert forged.read_text() == "notes"
    shutil.rmtree(shelf.directory / "near" / "quarantine")
    with pytest.raises(Refusal, match="is quarantined"):
        shelf.restore("b", label=planted)
    shutil.rmtree(shelf.state)
    shelf.write()
    with pytest.raises(Refusal, match="is quarantined"):
        shelf.restore("b", label=planted, repository="far")
    assert shelf.restore("b", label=planted, repository="near").succeeded, "the control: nobody knows of it any more"


def test_where_all_there_is_came_after_it_is_refused_and_nothing_is_touched(shelf):
    choice = Choice(target=strictly_before(shelf.snapshots()[0].start_time))
    with pytest.raises(Refusal) as refused:
        recover(shelf.installation, Scenario.SECURITY_INCIDENT, ("docs",), choice, SilentWatcher())
    assert refused.value.code == "target_before_first_backup"
    assert (shelf.docs / "notes.txt").read_text() == "forged"
    assert not list(shelf.directory.glob("near/quarantine"))


def test_the_next_snapshot_uses_nothing_that_is_quarantined(shelf):
    expect_success(recovered_before_the_forgery(shelf))
    suspected = {part.name for part in shelf.snapshots()[-1].parts} - {part.name for part in shelf.snapshots()[0].parts}
    shelf.back_up()
    assert suspected
    assert not suspected & {part.name for part in shelf.snapshots()[-1].parts}


def rotating(shelf, *words):
    """The commands of the given shells, by the names first, second …"""
    run = {
        name: {"run": ["sh", "-c", each], "directory": str(shelf.directory)}
        for name, each in zip(("first", "second"), words, strict=False)
    }
    service = {
        "start": {"run": ["sh", "-c", "echo started >> said"], "directory": str(shelf.directory)},
        "check": {"run": ["true"]},
    }
    services = {"web": {**service, "depends_on": ["docs"]}}
    text = f"security_incident: {json.dumps({'rotate': run})}\nservices: {json.dumps(services)}\n"
    shelf.stack_file.write_text(shelf.stack_file.read_text() + text)
    shelf.installation = Installation.open(shelf.stack_file, shelf.state)


def test_what_the_intruder_may_know_is_replaced_once_all_is_back_and_before_services_start(shelf):
    rotating(shelf, "cat docs/notes.txt >> said; echo; echo new password", "echo second >> said")
    view = expect_success(recovered_before_the_forgery(shelf))
    assert (shelf.directory / "said").read_text() == "notessecond\nstarted\n"
    [step] = [each for each in view.steps if each.key == "first/rotate"]
    assert "new password" in step.evidence.proof["output"]
    assert measure(shelf.installation, view).measurement.recovery_time is not None


def test_a_rotation_that_fails_fails_the_recovery_and_no_service_is_started(shelf):
    rotating(shelf, "echo not allowed; exit 3", "echo second >> said")
    view = recovered_before_the_forgery(shelf)
    errors = {step.key: step.error.code for step in view.steps if step.error is not None}
    assert errors["first/rotate"] == "command_failed"
    assert (shelf.docs / "notes.txt").read_text() == "notes", "what came back stays"
    assert not (shelf.directory / "said").exists()
    assert view.run.state.value == "failed"


def test_a_rotation_that_cannot_be_started_is_told_before_anything_is_touched(shelf):
    rotating(shelf, "true")
    shelf.stack_file.write_text(shelf.stack_file.read_text().replace('"sh"', '"no-such-program"', 1))
    shelf.installation = Installation.open(shelf.stack_file, shelf.state)
    with pytest.raises(Refusal) as refused:
        recovered_before_the_forgery(shelf)
    assert refused.value.code == "service_not_ready"
    assert (shelf.docs / "notes.txt").read_text() == "forged"


def test_a_drill_rotates_nothing(shelf):
    rotating(shelf, "echo rotated >> said")
    choice = Choice(target=strictly_before(datetime.now(UTC)))
    expect_success(drill(shelf.installation, Scenario.SECURITY_INCIDENT, ("docs",), choice, SilentWatcher()))
    assert not (shelf.directory / "said").exists()
