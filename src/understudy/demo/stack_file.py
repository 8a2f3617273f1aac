"""The demo's stack file: small enough to read in one look, and a start for one's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from understudy.adapters.age import new_identity
from understudy.app.key_ring import write_secret
from understudy.demo.servers import DemoPostgres, DemoS3

RESOURCE = "shop"
PRICES = 1000
URL_VARIABLE = "DEMO_DATABASE_URL"
ACCESS_VARIABLE = "DEMO_S3_ACCESS_KEY"
SECRET_VARIABLE = "DEMO_S3_SECRET_KEY"  # noqa: S105 - the variable's name, not its value


@dataclass(frozen=True, slots=True)
class DemoKeys:
    recipient: str
    identity_file: Path


def make_keys(home: Path) -> DemoKeys:
    identity, recipient = new_identity()
    file = home / "identity"
    write_secret(file, identity)
    return DemoKeys(recipient, file)


def stack_text(home: Path, database: DemoPostgres, s3: DemoS3, keys: DemoKeys, *, synchronous: bool) -> str:
    return f"""\
stack: demo
state: {{directory: {home}/state}}
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
