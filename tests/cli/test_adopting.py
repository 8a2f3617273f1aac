"""Everything is lost but the repository and the kit: ``adopt`` on a bare machine, then what it says to type."""

import json
import os
import re
import shlex
import shutil
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.app.desk import desk
from tests.cli.commands import assert_refused
from tests.servers import programs
from tests.servers.flavours import Flavour
from tests.servers.postgres import PostgresServer
from tests.servers.processes import kill_servers_in
from tests.servers.rclone_s3 import ACCESS_KEY, SECRET_KEY, RcloneS3

__all__ = ["desk"]
DOCUMENT = "contracts/lease.txt"


class Shop:
    """A host with a database and a directory beside it. ``lose`` leaves the repository and the kit."""

    def __init__(self, desk, server, *place):
        self.desk, self.server, self.place = desk, server, place
        self.recovered = server.data.with_name(f"{server.data.name}-recovered")
        self.kit = desk.directory / "kit"
        self.environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "S3_KEY": ACCESS_KEY, "S3_SECRET": SECRET_KEY}
        self.url = {"ORDERS_URL": server.url}

    def protect(self):
        server, desk = self.server, self.desk
        server.sql("create table kept as select generate_series(1, 1000) as id")
        (desk.directory / "documents" / "contracts").mkdir(parents=True)
        (desk.directory / "documents" / DOCUMENT).write_text("the lease")
        self.type("init", "--url", "env:ORDERS_URL", "--kit", self.kit, "--state", desk.state, *self.place, **self.url)
        with desk.stack_file.open("a") as stack:
            stack.write(f"  documents: {{kind: files, path: {desk.directory}/documents}}\n")
        for name in ("orders", "documents"):
            self.type("backup", name, **self.url)
        [[self.before]] = server.sql("select date_trunc('second', now())::timestamptz(0)::text")
        server.sql("insert into kept select generate_series(1001, 1010)")
        self.type("backup", "orders", **self.url)

    def lose(self):
        self.desk.end_receivers()
        self.server.kill_everything()
        self.server.destroy()
        shutil.rmtree(self.desk.state)
        shutil.rmtree(self.desk.directory / "documents")
        for file in ("main.identity", "main.signing-key", "understudy.yaml"):
            (self.desk.directory / file).unlink()

    def type(self, *words, cwd=None, returncode=0, **environment):
        done = programs.run(*map(str, words), cwd=cwd or self.desk.directory, env=self.environment | environment, timeout=120)
        assert done.returncode == returncode, f"{words}\n{done.stdout}\n{done.stderr}"
        return done

    def recover(self, bare):
        """As a person does who follows what is printed."""
        told = self.type("adopt", *self.place[1:], "--kit", self.kit, cwd=bare).stdout
        commands = re.findall(r"(?m)^  understudy (.*?)(?: +#.*)?$", told)
        assert [each.split()[0] for each in commands] == ["check", "recover", "restore"]
        _, recover, copy = (each.replace("/an/empty/directory", str(bare / "there")) for each in commands)
        return told, shlex.split(recover), shlex.split(copy)


@pytest.fixture(params=["file", "s3"])
def shop(request, desk):
    store = RcloneS3(desk.directory / "s3", "recovery") if request.param == "s3" else nullcontext()
    with PostgresServer(Flavour.WHEEL_18) as server, store:
        place = ["--repository", f"file://{desk.directory}/near"]
        if request.param == "s3":
            place = ["--repository", "s3://recovery/shop", "--endpoint", store.endpoint]
            place += ["--access-key", "env:S3_KEY", "--secret-key", "env:S3_SECRET"]
        made = Shop(desk, server, *place)
        try:
            made.protect()
            made.lose()
            made.place = place[:2]  # the kit says the rest
            (bare := desk.directory / "bare").mkdir()
            made.bare = bare
            yield made
        finally:
            kill_servers_in(made.recovered)


def test_a_machine_that_has_nothing_else_gets_everything_back_by_what_adopt_says_to_type(shop):
    told, recover, copy = shop.recover(shop.bare)
    assert "MISSING  env:ORDERS_URL: connection string of orders" in told
    commit = datetime.fromisoformat(re.search(r"newest commit (\S+ \S+) UTC", told).group(1)).replace(tzinfo=UTC)
    assert timedelta(0) <= commit - datetime.fromisoformat(shop.before) < timedelta(minutes=5)
    shop.type(*copy, cwd=shop.bare)  # needs no connection string
    shutil.rmtree(shop.bare / "there")
    assert_refused(shop.type(*recover, "--yes", cwd=shop.bare, returncode=3), "secret_missing", 3)
    refused = shop.type(*[each for each in recover if each != "--take-over"], "--yes", cwd=shop.bare, returncode=4, **shop.url)
    assert_refused(refused, "controller_superseded", 4)
    shop.type(*recover, "--yes", cwd=shop.bare, **shop.url)
    with psycopg.connect(shop.server.url) as recovered:
        assert recovered.execute("select count(*), max(id) from kept").fetchall() == [(1010, 1010)]
    assert (shop.desk.directory / "documents" / DOCUMENT).read_text() == "the lease"
    checked = json.loads(shop.type("check", "--json", cwd=shop.bare, **shop.url).stdout)
    assert checked["passed"], checked

    again = shop.type("adopt", *shop.place[1:], "--kit", shop.kit, cwd=shop.bare, **shop.url).stdout
    assert "already  all is there" in again and "The repository is this host's" in again
    assert re.findall(r"(?m)^  understudy .*", again) == ["  understudy status"]
    other = shop.desk.directory / "third"
    other.mkdir()
    refused = shop.type("adopt", *shop.place[1:], "--kit", shop.kit, cwd=other, returncode=5)
    assert_refused(refused, "stack_file_untrusted", 5)
    signer = re.search(r'"#   signer: (\S+)"', told).group(1)
    assert signer in refused.stderr
    with shop.kit.open("a") as kit:
        kit.write(f"#   signer: {signer}\n")
    found = json.loads(
        shop.type("adopt", *shop.place[1:], "--kit", shop.kit, "--state", other / "state", "--json", cwd=other).stdout
    )
    [orders, _] = found["adoption"]["resources"]
    assert orders["backups"] == 3 and orders["wal"]["timeline"] == 2
