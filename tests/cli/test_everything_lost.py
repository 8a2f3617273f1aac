"""Two databases, a bucket, a directory and a Redis server, at work and lost all at once; what is left is the repository and the
kit. ``adopt`` and ``recover`` on a bare machine bring back what was acknowledged.
"""

import json
import shlex
import shutil
import subprocess
import threading
from pathlib import Path

import boto3
import psycopg
import pytest

from tests.app.desk import desk
from tests.cli.test_adopting import Shop
from tests.servers import programs
from tests.servers.flavours import Flavour
from tests.servers.postgres import PostgresServer, free_port
from tests.servers.processes import kill_servers_in, wait_until
from tests.servers.rclone_s3 import ACCESS_KEY, SECRET_KEY, RcloneS3

__all__ = ["desk"]
pytestmark = pytest.mark.skipif(shutil.which("redis-server") is None, reason="Redis is not installed")


class Writer:
    """Writes for ever, and keeps what was acknowledged."""

    def __init__(self, write):
        self.acknowledged = []
        self._write = write
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._go_on, daemon=True)
        self._thread.start()

    def _go_on(self):
        number = 0
        while not self._end.wait(0.02):
            number += 1
            try:
                self._write(number)
            except Exception:
                return  # it is gone: nothing more is acknowledged
            self.acknowledged.append(number)

    def end(self):
        self._end.set()
        self._thread.join()


class Town(Shop):
    """orders and billing in PostgreSQL, documents, images in a bucket, sessions in Redis."""

    def __init__(self, desk, server, billing, store, *place):
        super().__init__(desk, server, *place)
        self.billing, self.store = billing, store
        self.url |= {"BILLING_URL": billing.url}
        self.documents, self.redis_data = desk.directory / "documents", desk.directory / "redis"
        self.redis_port = free_port()
        self.s3 = boto3.client(
            "s3", endpoint_url=store.endpoint, aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY, region_name="x"
        )
        self.databases = {"orders": server, "billing": billing}

    def start_redis(self):
        place = ["--port", str(self.redis_port), "--dir", str(self.redis_data), "--bind", "127.0.0.1", "--save", ""]
        return ["redis-server", *place, "--daemonize", "yes", "--logfile", f"{self.redis_data}.log"]

    def redis(self, *words):
        command = ["redis-cli", "-p", str(self.redis_port), *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def protect(self):
        for server in self.databases.values():
            server.sql("create table ledger (id bigint primary key)")
        for directory in (self.documents, self.redis_data):
            directory.mkdir()
        subprocess.run(self.start_redis(), check=True, stdout=subprocess.DEVNULL)
        self.type("init", "--url", "env:ORDERS_URL", "--kit", self.kit, "--state", self.desk.state, *self.place, **self.url)
        self._declare_the_rest()
        for name in ("orders", "billing", "documents", "images", "sessions"):
            self.type("backup", name, "--full", **self.url)
        self.serving = programs.start(
            "serve",
            env=self.environment | self.url,
            cwd=self.desk.directory,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(lambda: (self.desk.state / "serving").exists(), "serve to be ready")
        self._go_to_work()

    def _declare_the_rest(self):
        programs_directory = self.billing.programs
        recovered = self.billing.data.with_name(f"{self.billing.data.name}-recovered")
        at = f"endpoint: '{self.store.endpoint}', access_key: env:S3_KEY, secret_key: env:S3_SECRET"
        start, stop = self.start_redis(), ["redis-cli", "-p", str(self.redis_port), "shutdown", "nosave"]
        self.recovered_billing = recovered
        with self.desk.stack_file.open("a") as stack:
            stack.write(f"""\
  billing:
    kind: postgres
    url: env:BILLING_URL
    priority: P1
    wal: {{ship_every: 1s}}
    recover: {{directory: {recovered}, port: {self.billing.port}, programs: {programs_directory}}}
  documents: {{kind: files, path: {self.documents}, depends_on: [orders]}}
  images: {{kind: bucket, url: s3://images, {at}, priority: P3}}
  sessions:
    kind: redis
    url: redis://127.0.0.1:{self.redis_port}
    recover: {json.dumps({"directory": str(self.redis_data), "start": start, "stop": stop})}
""")

    def _go_to_work(self):
        """Each writes on until what it writes to is gone."""
        connections = {name: psycopg.connect(server.url, autocommit=True) for name, server in self.databases.items()}
        self.writers = {
            name: Writer(lambda number, to=connection: to.execute("insert into ledger values (%s)", [number]))
            for name, connection in connections.items()
        }
        self.writers["documents"] = Writer(lambda number: (self.documents / str(number)).write_text(str(number)))
        self.writers["sessions"] = Writer(lambda number: self.redis("SET", f"session:{number}", number))
        self.writers["images"] = Writer(
            lambda number: self.s3.put_object(Bucket="images", Key=f"{number}.png", Body=str(number).encode())
        )
        wait_until(lambda: all(len(each.acknowledged) > 5 for each in self.writers.values()), "everybody to be at work")

    def note_what_is_kept(self):
        """What was acknowledged before the newest copy of each was begun, or its WAL was stored, is to come back."""
        kept = {name: list(self.writers[name].acknowledged) for name in ("documents", "images", "sessions")}
        for name in kept:
            self.type("backup", name, **self.url)
        for name, server in self.databases.items():
            kept[name] = list(self.writers[name].acknowledged)
            [(segment, _)] = server.sql("select pg_walfile_name(pg_current_wal_insert_lsn()), pg_switch_wal()")
            wait_until(lambda: any(self.desk.directory.rglob(f"{name}/*/wal/*/{segment}.json")), f"{segment} to be stored")  # noqa: B023
        return kept

    def lose(self):
        for writer in self.writers.values():
            assert writer._thread.is_alive(), "it is lost at work"
        self.serving.kill()
        self.serving.wait()
        self.billing.kill_everything()
        self.billing.destroy()
        self.writers["documents"].end()  # a directory that is written into cannot be removed
        super().lose()
        self.redis("SHUTDOWN", "NOSAVE")
        shutil.rmtree(self.redis_data)
        for writer in self.writers.values():
            writer.end()
        for found in self.s3.list_objects_v2(Bucket="images").get("Contents", []):
            self.s3.delete_object(Bucket="images", Key=found["Key"])

    def found(self):
        """What is there now, by its numbers."""
        numbers = {}
        for name, server in self.databases.items():
            with psycopg.connect(server.url) as connection:
                numbers[name] = {number for (number,) in connection.execute("select id from ledger")}
        numbers["documents"] = {int(path.name) for path in self.documents.iterdir() if path.read_text() == path.name}
        numbers["sessions"] = {int(key.rpartition(":")[2]) for key in self.redis("KEYS", "session:*").split()}
        numbers["images"] = {int(Path(each["Key"]).stem) for each in self.s3.list_objects_v2(Bucket="images").get("Contents", [])}
        return numbers

    def close(self):
        for directory in (self.recovered, self.recovered_billing):
            kill_servers_in(directory)
        subprocess.run(["redis-cli", "-p", str(self.redis_port), "shutdown", "nosave"], check=False, capture_output=True)


@pytest.fixture(params=["file", "s3"])
def town(request, desk):
    with (
        PostgresServer(Flavour.WHEEL_18) as server,
        PostgresServer(Flavour.WHEEL_18) as billing,
        RcloneS3(desk.directory / "s3", "recovery", "images") as store,
    ):
        place = ["--repository", f"file://{desk.directory}/near"]
        if request.param == "s3":
            place = ["--repository", "s3://recovery/shop", "--endpoint", store.endpoint]
            place += ["--access-key", "env:S3_KEY", "--secret-key", "env:S3_SECRET"]
        made = Town(desk, server, billing, store, *place)
        made.protect()
        try:
            yield made
        finally:
            made.close()


@pytest.mark.timeout(300)
def test_a_bare_machine_brings_back_everything_that_was_acknowledged_and_says_what_it_took(town):
    kept = town.note_what_is_kept()
    town.lose()
    town.place = town.place[:2]
    (bare := town.desk.directory / "bare").mkdir()
    _, recover, _ = town.recover(bare)
    done = town.type(*recover, "--yes", "--json", cwd=bare, **town.url)
    found = town.found()
    for name, numbers in kept.items():
        assert set(numbers) <= found[name], name
        assert found[name] <= set(town.writers[name].acknowledged) | {len(town.writers[name].acknowledged) + 1}, name

    told = json.loads(done.stdout[done.stdout.index("{") :])
    measured = told["measured"]
    assert told["met"], measured
    assert next(iter(measured["priorities"].items())) == ("billing", "P1")
    assert set(measured["parts"]) == {"orders", "billing", "documents", "images", "sessions"}
    assert all(part["measurement"]["recovery_time"] for part in measured["parts"].values())
    checked = shlex.join(["evidence", "verify"])
    assert town.type(*shlex.split(checked), cwd=bare, **town.url).returncode == 0
