"""A database, a bucket and a directory, lost all at once, and brought back from the repository by one command."""

import json
import shutil

import boto3
import psycopg
import pytest

from tests.app.desk import Desk
from tests.app.shelf import tree
from tests.cli.commands import understudy
from tests.restore_matrix.estate import SilentWatcher, expect_success
from tests.servers.flavours import Flavour
from tests.servers.moto_s3 import MotoS3
from tests.servers.postgres import PostgresServer
from understudy.app.backups import back_up
from understudy.app.installation import Installation
from understudy.app.measuring import measure
from understudy.app.recoveries import drill, recover
from understudy.app.run_view import views_by_resource
from understudy.plan.request import Choice
from understudy.ports.instance import InstancePlace, StopMode
from understudy.stack.models import Scenario
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import BackupKind

BODIES = {"a.png": b"a", "products/17 ä.jpg": b"17"}
ACCESS = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}


class Shop:
    """orders in PostgreSQL, documents in a directory, images in a bucket."""

    def __init__(self, server, s3):
        self.server, self.s3 = server, s3
        self.desk = Desk()
        self.documents = self.desk.directory / "documents"
        self.documents.mkdir()
        (self.documents / "contract").write_text("signed")
        for bucket in ("images", "drills"):
            s3.create_bucket(Bucket=bucket)
        for key, body in BODIES.items():
            s3.put_object(Bucket="images", Key=key, Body=body)
        server.sql("create table words (word text primary key); insert into words values ('kept')")
        for name in ("key", "secret"):
            self.desk.secret_file(name, name)
        self.write()
        for name in self.installation.resource_names():
            expect_success(back_up(self.installation, name, BackupKind.FULL, SilentWatcher()))

    def write(self, sandbox="drill: {url: s3://drills/understudy}, "):
        lines = ["priority: P1", "checks: [{sql: select count(*) from words, at_least: 1}]"]
        self.desk.write(self.server, *lines, url=self.server.url)
        at = f"endpoint: '{self.s3.meta.endpoint_url}', access_key: 'file:{self.desk.directory}/key', "
        secret = f"secret_key: 'file:{self.desk.directory}/secret'"
        more = [
            f"  documents: {{kind: files, path: {self.documents}, depends_on: [orders]}}",
            f"  images: {{kind: bucket, url: s3://images, {sandbox}{at}{secret}}}",
        ]
        asking = "select word from words; create table proof ()"
        psql = f'{self.server.programs}/psql -tA "$UNDERSTUDY_COPY_ORDERS&user=postgres" -c "{asking}"'
        drill = {"start": {"run": ["sh", "-ec", f"{psql} > answer"]}, "check": {"run": ["grep", "kept", "answer"]}}
        real = {"run": ["sh", "-c", f"echo served >> {self.desk.directory}/said"]}
        web = {"start": real, "check": {"run": ["true"]}, "drill": drill, "depends_on": ["orders"]}
        more += ["services:", f"  web: {json.dumps(web)}"]
        self.desk.stack_file.write_text(self.desk.stack_file.read_text() + "\n".join(more) + "\n")
        self.installation = Installation.open(self.desk.stack_file, self.desk.state)

    def objects(self, bucket):
        found = self.s3.list_objects_v2(Bucket=bucket).get("Contents", [])
        return {each["Key"]: self.s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read() for each in found}

    def lose_everything(self):
        self.server.kill_everything()
        self.server.destroy()
        shutil.rmtree(self.documents)
        for key in self.objects("images"):
            self.s3.delete_object(Bucket="images", Key=key)

    def close(self):
        self.installation.receivers["orders"].stop()
        recovered = f"{self.desk.directory}/recovered"
        place = InstancePlace(recovered, f"{recovered}.run", self.server.port)
        self.installation.instances["orders"].stop(place, StopMode.IMMEDIATE)
        self.desk.close()


@pytest.fixture(scope="module")
def shop():
    with PostgresServer(Flavour.WHEEL_18) as server, MotoS3() as moto:
        s3 = boto3.client("s3", endpoint_url=moto.endpoint, region_name="us-east-1", **ACCESS)
        made = Shop(server, s3)
        try:
            yield made
        finally:
            made.close()


def test_it_is_drilled_and_then_recovered_as_one(shop):
    """Also what is refused on the way: these parts share the shop, which costs what a recovery costs."""
    drilled = expect_success(drill(shop.installation, Scenario.COMPLETE_FAILURE, (), Choice(), SilentWatcher()))
    assert shop.objects("drills") == {}, "nothing is left of the sandbox"
    assert shop.objects("images") == BODIES
    assert list((shop.desk.state / "drills").iterdir()) == []
    assert shop.server.sql("select word from words") == [("kept",)], "what serves went on"
    assert {name for name, view in views_by_resource(drilled).items() if view.succeeded} == {
        "orders",
        "documents",
        "images",
        "web",
    }
    assert shop.server.sql("select count(*) from pg_class where relname = 'proof'") == [(0,)], "it wrote into the copy"
    assert not (shop.desk.directory / "said").exists()
    rehearsed = measure(shop.installation, drilled)
    assert rehearsed.measurement.recovery_time is not None

    with pytest.raises(Refusal) as refused:
        recover(shop.installation, Scenario.STORAGE_LOSS, ("images",), Choice(), SilentWatcher())
    assert refused.value.code == "target_not_empty"
    assert "a.png" in refused.value.found
    shop.write(sandbox="")
    with pytest.raises(Refusal) as refused:
        drill(shop.installation, Scenario.STORAGE_LOSS, ("images",), Choice(), SilentWatcher())
    assert refused.value.code == "sandbox_missing"

    kept = tree(shop.documents)
    shop.server.sql("insert into words values ('received')")
    shop.lose_everything()
    done = understudy(shop.desk, "recover", "complete_failure", "--yes", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    with psycopg.connect(shop.server.url) as connection:
        assert connection.execute("select word from words order by word").fetchall() == [("kept",), ("received",)]
    assert tree(shop.documents) == kept
    assert shop.objects("images") == BODIES

    assert (shop.desk.directory / "said").read_text() == "served\n"

    run = shop.installation.records.runs(1)[0]
    steps = {step.key: step for step in shop.installation.records.steps(run.run)}
    back = steps["orders/write-and-read-back"].ended
    assert steps["documents/provision-target"].started >= back
    assert steps["images/provision-target"].started >= back, "P1 comes first"
    assert steps["documents/release-target"].ended < steps["orders/write-backup-manifest"].ended, (
        "nobody waits for the new backup"
    )
