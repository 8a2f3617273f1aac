"""``init`` and ``check`` as a person calls them: text, JSON, exit codes."""

import json
import os
from pathlib import Path

import pytest

from tests.app.desk import desk
from tests.servers import programs
from tests.servers.postgres import PostgresServer

__all__ = ["desk"]


@pytest.fixture(scope="module")
def server():
    with PostgresServer(settings={"max_slot_wal_keep_size": "1GB"}) as made:
        yield made


def understudy(desk, *arguments, **environment):
    place = {"PATH": os.environ["PATH"], "UNDERSTUDY_STATE": str(desk.state), "HOME": "/nonexistent"}
    return programs.run(*arguments, cwd=desk.directory, env=place | environment)


def test_from_a_connection_string_to_a_check_that_passes(desk, server):
    made = understudy(
        desk,
        "init",
        "--url",
        "env:ORDERS_URL",
        "--repository",
        f"file://{desk.directory}/near",
        ORDERS_URL=server.replication_url,
    )
    assert made.returncode == 0, made.stderr
    commands = [line.split()[1] for line in made.stdout.splitlines() if line.startswith("  understudy ")]
    assert commands == ["check", "serve", "backup", "drill"]
    assert "ALTER ROLE" not in made.stdout
    checked = understudy(desk, "check", ORDERS_URL=server.replication_url)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "Nothing is in the way" in checked.stdout
    again = understudy(desk, "init", "--url", "env:ORDERS_URL", ORDERS_URL=server.replication_url)
    assert again.returncode == 5
    assert "already_there" in again.stderr


def test_a_role_without_replication_is_told_the_statement_at_once(desk, server):
    server.sql("drop role if exists looker; create role looker login password 'x'")
    url = server.url.replace("postgres:s3cret-of%20the%2Fsuperuser", "looker:x")
    made = understudy(desk, "init", "--url", "env:ORDERS_URL", "--repository", f"file://{desk.directory}/near", ORDERS_URL=url)
    assert made.returncode == 0, made.stderr
    assert "as a superuser: ALTER ROLE looker REPLICATION;" in made.stdout


def test_the_schema_for_editors_needs_no_stack_file(desk):
    assert not desk.stack_file.exists()
    done = understudy(desk, "check", "--schema")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (Path(__file__).parents[2] / "docs/stack-file.schema.json").read_text()


def test_what_is_in_the_way_ends_with_3_and_is_named_in_json(desk, server):
    desk.write(server, "wal: {synchronous: true}")
    done = understudy(desk, "check", "--json")
    assert done.returncode == 3
    answer = json.loads(done.stdout)
    assert answer["passed"] is False
    (failure,) = [finding for finding in answer["findings"] if finding["grade"] == "failure"]
    assert (failure["subject"], failure["aspect"]) == ("resource orders", "synchronous")
    assert "synchronous_standby_names = 'FIRST 1 (understudy_shop_orders)'" in failure["change"]
    text = understudy(desk, "check")
    assert text.returncode == 3
    assert failure["change"] in text.stdout


def test_mistakes_in_the_stack_file_end_with_2_and_name_line_and_column(desk, server):
    desk.write(server, "teir: high")
    line = next(number for number, text in enumerate(desk.stack_file.read_text().splitlines(), 1) if "teir" in text)
    done = understudy(desk, "check")
    assert done.returncode == 2
    assert done.stderr.count(f"understudy.yaml:{line}:5") == 1
    assert "did you mean tier?" in done.stderr
    answer = understudy(desk, "check", "--json")
    assert answer.returncode == 2
    (mistake,) = json.loads(answer.stdout)["mistakes"]
    assert (mistake["line"], mistake["column"], mistake["path"]) == (line, 5, "resources.orders.teir")


def test_a_stack_file_that_is_not_there_is_told_how_to_be_made(desk):
    done = understudy(desk, "check")
    assert done.returncode == 2
    assert "understudy init" in done.stderr


def test_a_secret_that_is_not_set_ends_with_3(desk):
    done = understudy(desk, "init", "--url", "env:NOT_SET_URL")
    assert done.returncode == 3
    assert "export NOT_SET_URL" in done.stderr
    assert desk.contents() == ["identity"]


def test_a_connection_string_with_a_password_is_not_repeated(desk):
    done = understudy(desk, "init", "--url", "postgresql://me:hunter2@db/x")
    assert done.returncode == 2
    assert "hunter2" not in done.stdout + done.stderr
