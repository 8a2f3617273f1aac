"""The demo's stack file: small enough to read in one look, and a start for one's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from understudy.adapters.age import new_identity
from understudy.app.key_ring import write_secret
from understudy.demo.servers import DemoPostgres, DemoS3
from understudy.repository.signing import Signer, new_signing_key

STACK_FILE = "understudy.yaml"
RESOURCE = "shop"
PRICES = 1000
URL_VARIABLE = "DEMO_DATABASE_URL"
ACCESS_VARIABLE = "DEMO_S3_ACCESS_KEY"
SECRET_VARIABLE = "DEMO_S3_SECRET_KEY"  # noqa: S105 - the variable's name, not its value


@dataclass(frozen=True, slots=True)
class DemoKeys:
    recipient: str
    identity_file: Path
    signing_key_file: Path
    signer: str
    """The public key that what is stored and the evidence are signed with."""


def make_keys(home: Path) -> DemoKeys:
    identity, recipient = new_identity()
    private_key = new_signing_key()
    keys = DemoKeys(recipient, home / "identity", home / "signing-key", Signer(private_key).public_key)
    write_secret(keys.identity_file, identity)
    write_secret(keys.signing_key_file, private_key)
    return keys


def stack_text(home: Path, database: DemoPostgres, s3: DemoS3, keys: DemoKeys, *, synchronous: bool) -> str:
    return f"""\
stack: demo
state: {{directory: {home}/state}}
objectives:
  database_corruption: {{rto: 5m, rpo: 1m}}
  data_loss: {{rto: 5m, rpo: 1d}}
repositories:
  near: {{url: file://{home}/repository}}
  far:
    url: s3://{s3.bucket}/demo
    endpoint: {s3.endpoint}
    access_key: env:{ACCESS_VARIABLE}
    secret_key: env:{SECRET_VARIABLE}
encryption:
  recipients: [{keys.recipient}]
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
"""  # noqa: S608 - a stack file, not a query
