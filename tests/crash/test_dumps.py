"""Databases that are dumped, and loaded, killed everywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.app.shelf import Shelf, SilentWatcher
from tests.crash.marching import assert_same_story, march, story, undisturbed
from tests.crash.snapshot_scenes import ACCOUNTS, COPY_FIGURES, FIGURES
from tests.room import new_path
from tests.servers.postgres import PostgresServer
from understudy.app.backups import back_up

pytestmark = pytest.mark.timeout(600)

SCENES = "tests.crash.snapshot_scenes"
PATIENCE_SECONDS = 500


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer("debian15") as made:
        made.sql("create database shop")
        made.sql("create table orders as select generate_series(1, 50) id", db="shop")
        yield made


@pytest.fixture(scope="module")
def target() -> Iterator[PostgresServer]:
    with PostgresServer("debian15") as made:
        yield made


@pytest.fixture
def shelves(server: PostgresServer, target: PostgresServer) -> Iterator[tuple[Shelf, Shelf]]:
    """With a dump each: one that nobody disturbs, and one that is killed everywhere."""
    directory = new_path("shelf")
    directory.mkdir()
    made = Shelf(directory)
    made.docs.mkdir()
    for name, url in (("url", server.url), ("target", target.url)):
        made.secret_file(name, url)
    declare(made)
    assert back_up(made.installation, ACCOUNTS, None, SilentWatcher()).succeeded
    copies = made.copied_to(new_path("calm")), made.copied_to(new_path("marched"))
    for each in copies:
        declare(each)
    made.close()
    yield copies
    for each in copies:
        each.close()


def declare(shelf: Shelf) -> None:
    url, target = (f"file:{shelf.directory}/{name}" for name in ("url", "target"))
    declared = {"kind": "postgres-dump", "url": url, "databases": ["shop"], "recover": {"url": target}}
    shelf.write(resources=[f"accounts: {json.dumps(declared)}"], repositories=("near",))


def test_databases_dumped_and_killed_everywhere_are_dumped_as_if_nobody_had_killed(shelves: tuple[Shelf, Shelf]) -> None:
    calm, marched = shelves
    undisturbed(f"{SCENES}:DATABASES_DUMPED", calm.directory)
    points = march(f"{SCENES}:DATABASES_DUMPED", marched.directory, PATIENCE_SECONDS).points
    assert {
        "accounts/take-snapshot:collections.accounts.entries#1:item#1",
        "accounts/discard-snapshot-leftovers:stagings.accounts.discard#1:before",
    } <= set(points)
    assert_same_story(calm.directory, marched.directory, forget=FIGURES | COPY_FIGURES)
    assert story(marched.directory)["state"] == "succeeded"
    for stage in shelves:
        assert list(stage.state.glob("runs/*/scratch/*")) == []


def test_databases_loaded_and_killed_everywhere_are_loaded_as_if_nobody_had_killed(
    shelves: tuple[Shelf, Shelf], target: PostgresServer
) -> None:
    calm, marched = shelves
    undisturbed(f"{SCENES}:DATABASES_LOADED", calm.directory)
    target.sql("drop database shop")
    points = march(f"{SCENES}:DATABASES_LOADED", marched.directory, PATIENCE_SECONDS).points
    assert {
        f"accounts/load:dump_servers.accounts.{call}#1:{at}" for call in ("load", "put_in_place") for at in ("before", "after")
    } <= set(points)
    assert_same_story(calm.directory, marched.directory, forget=FIGURES)
    assert story(marched.directory)["state"] == "succeeded"
    assert target.sql("select count(*) from orders", db="shop") == [(50,)]
    assert {name for (name,) in target.sql("select datname from pg_database where not datistemplate")} == {"postgres", "shop"}
    for stage in shelves:
        assert list((stage.state / "loads").iterdir()) == []
        assert list(stage.state.glob("runs/*/scratch/*")) == []
