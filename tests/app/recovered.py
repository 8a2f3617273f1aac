"""A recovery that is over, and its records in the hands of somebody who edits them."""

import json
import sqlite3
from contextlib import closing, contextmanager
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from tests.app.desk import Desk
from tests.restore_matrix.estate import SilentWatcher, expect_success
from tests.servers.flavours import Flavour
from tests.servers.postgres import PostgresServer
from understudy.app.backups import back_up
from understudy.app.installation import Installation
from understudy.app.proving import export_evidence, verify_evidence
from understudy.app.recoveries import Choice, recover
from understudy.cli.main import cli
from understudy.ports.instance import InstancePlace, StopMode
from understudy.stack.models import Scenario
from understudy.vocabulary.identifiers import BackupKind, Person


@pytest.fixture(scope="module")
def recovered():
    """A database that was backed up, destroyed, and recovered with anna's consent. Who edits its records puts them back."""
    with PostgresServer(Flavour.WHEEL_18) as server:
        desk = Desk()
        server.sql("create table words (word text primary key); insert into words values ('kept')")
        [(version,)] = server.sql("show server_version")
        desk.write(server, "checks: [{sql: select count(*) from words, at_least: 1}]", url=server.url)
        installation = Installation.open(desk.stack_file, desk.state)
        try:
            expect_success(back_up(installation, "orders", BackupKind.FULL, SilentWatcher()))
            server.kill_everything()
            server.destroy()
            wish = {"approved_by": Person("anna")}
            view = expect_success(recover(installation, Scenario.DATABASE_CORRUPTION, (), Choice(), SilentWatcher(), **wish))
            yield SimpleNamespace(desk=desk, installation=installation, view=view, run=view.run.run, server_version=version)
        finally:
            installation.receivers["orders"].stop()
            place = InstancePlace(f"{desk.directory}/recovered", f"{desk.directory}/recovered.run", server.port)
            installation.instances["orders"].stop(place, StopMode.IMMEDIATE)
            desk.close()


def verify_here(recovered):
    """The command, in this process; its exit code and what it says."""
    stack = ["--stack", str(recovered.desk.stack_file), "--state", str(recovered.desk.state)]
    done = CliRunner().invoke(cli, ["evidence", "verify", *stack])
    return done.exit_code, done.output


def findings_of_edited(recovered, file, edit):
    """What is found in the run's export once ``edit`` had its way with it."""
    exported = json.loads(json.dumps(export_evidence(recovered.installation, recovered.run, file)))
    edit(exported)
    file.write_text(json.dumps(exported))
    return verify_evidence(recovered.installation, file).findings


@contextmanager
def edited(desk, table, column, value):
    """The first row of the table, as somebody with a shell edits it; put back afterwards."""
    change = f"UPDATE {table} SET {column} = ? WHERE rowid = (SELECT min(rowid) FROM {table})"  # noqa: S608
    with closing(sqlite3.connect(desk.state / "state.db", isolation_level=None)) as database:
        [was] = database.execute(f"SELECT {column} FROM {table} ORDER BY rowid LIMIT 1").fetchone()  # noqa: S608
        assert was != value
        database.execute(change, (value,))
        try:
            yield
        finally:
            database.execute(change, (was,))
