"""The demo's stack file: small enough to read in one look, and a start for one's own; its keys, and the kit for the safe."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from understudy.adapters.age import new_identity
from understudy.app.key_ring import write_secret
from understudy.app.recovery_kit import Credential, KitContents, recovery_kit
from understudy.demo.home import documents_directory, kit_file
from understudy.demo.servers import MAJOR, DemoPostgres, DemoS3
from understudy.repository.signing import Signer, new_signing_key

STACK_FILE = "understudy.yaml"
RESOURCE = "shop"
DOCUMENTS = "documents"
IMAGES = "images"
PRICES = 1000
URL_VARIABLE = "DEMO_DATABASE_URL"
ACCESS_VARIABLE = "DEMO_S3_ACCESS_KEY"
SECRET_VARIABLE = "DEMO_S3_SECRET_KEY"  # noqa: S105 - the variable's name, not its value
IMAGES_ACCESS_VARIABLE = "DEMO_IMAGES_ACCESS_KEY"
IMAGES_SECRET_VARIABLE = "DEMO_IMAGES_SECRET_KEY"  # noqa: S105 - likewise
_STACK = "demo"


@dataclass(frozen=True, slots=True)
class DemoKeys:
    """Those of the host; the kit in the safe has one of its own."""

    recipients: tuple[str, ...]
    identity_file: Path
    signing_key_file: Path
    signer: str
    """The public key that what is stored and the evidence are signed with."""


def repository_url(far: DemoS3) -> str:
    """Of the one that outlives everything."""
    return f"s3://{far.bucket}/{_STACK}"


def make_keys(home: Path, far: DemoS3, now: datetime) -> DemoKeys:
    """And the recovery kit, which ``understudy init`` writes elsewhere."""
    identity, recipient = new_identity()
    kit_identity, kit_recipient = new_identity()
    private_key = new_signing_key()
    keys = DemoKeys((recipient, kit_recipient), home / "identity", home / "signing-key", Signer(private_key).public_key)
    write_secret(keys.identity_file, identity)
    write_secret(keys.signing_key_file, private_key)
    kit = KitContents(
        stack=_STACK,
        written=now,
        identity=kit_identity,
        recipient=kit_recipient,
        signers=(keys.signer,),
        repositories=(("far", repository_url(far)),),
        resources=((RESOURCE, f"PostgreSQL {MAJOR}"), (DOCUMENTS, "a directory"), (IMAGES, "a bucket")),
        credentials=(
            Credential(f"env:{URL_VARIABLE}", f"connection string of {RESOURCE}"),
            Credential(far.endpoint, "endpoint of repository far"),
            Credential(f"env:{ACCESS_VARIABLE}", "access_key of repository far"),
            Credential(f"env:{SECRET_VARIABLE}", "secret_key of repository far"),
        ),
    )
    kit_file(home).parent.mkdir(mode=0o700)
    write_secret(kit_file(home), recovery_kit(kit))
    return keys


def stack_text(home: Path, database: DemoPostgres, far: DemoS3, images: DemoS3, keys: DemoKeys, *, synchronous: bool) -> str:
    return f"""\
stack: {_STACK}
state: {{directory: {home}/state}}
objectives:
  database_corruption: {{rto: 5m, rpo: 1m}}
  data_loss: {{rto: 5m, rpo: 1d}}
  complete_failure: {{rto: 5m, rpo: 2m}}
repositories:
  near: {{url: file://{home}/repository}}
  far:
    url: {repository_url(far)}
    endpoint: {far.endpoint}
    access_key: env:{ACCESS_VARIABLE}
    secret_key: env:{SECRET_VARIABLE}
encryption:
  recipients: [{", ".join(keys.recipients)}]
  identity: file:{keys.identity_file}
  signing_key: file:{keys.signing_key_file}
  signers: [{keys.signer}]
resources:
  {RESOURCE}:
    kind: postgres
    url: env:{URL_VARIABLE}
    tier: critical
    wal: {{synchronous: {str(synchronous).lower()}, ship_every: 1s}}
    recover:
      directory: {database.data}
      port: {database.port}
      listen_addresses: 127.0.0.1
      socket_directory: {database.place.socket_directory}
      programs: {database.programs.directory}
    drill: {{directory: {home}/drills, programs: {database.programs.directory}}}
    checks:
      - {{name: every price is there, sql: select count(*) from prices, at_least: {PRICES}}}
  {DOCUMENTS}:
    kind: files
    path: {documents_directory(home)}
    backup: {{schedule: "0 * * * *"}}
  {IMAGES}:
    kind: bucket
    url: s3://{images.bucket}
    endpoint: {images.endpoint}
    access_key: env:{IMAGES_ACCESS_VARIABLE}
    secret_key: env:{IMAGES_SECRET_VARIABLE}
    backup: {{schedule: "0 * * * *"}}
"""  # noqa: S608 - a stack file, not a query
