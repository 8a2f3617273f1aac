"""The text of a first stack file: what ``init`` writes for a database that it found, with comments that say what to change."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from understudy.stack.secrets import PlainText, SecretReference
from understudy.vocabulary.majors import FIRST_INCREMENTAL_MAJOR

_PLAIN = re.compile(r"[A-Za-z0-9/_.][A-Za-z0-9/_.@+=:-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class FirstStack:
    """What was found, and what was made, for one database. Nothing here is a secret."""

    stack: str
    resource: str
    url: SecretReference | PlainText
    major_version: int
    repository_url: str
    recipients: Sequence[str]
    """age recipients: this host's, and that of the recovery kit."""
    identity: SecretReference
    signing_key: SecretReference
    signers: Sequence[str]
    """Ed25519 public keys, base64."""
    state_directory: str
    recover_directory: str
    """An empty or absent directory beside the present data directory: never the present one itself."""
    recover_port: int
    programs: str
    """Directory of the PostgreSQL programs of ``major_version``."""
    tablespaces: Sequence[tuple[str, str]] = ()
    """Name, and the directory that a recovery restores it to."""
    repository_keys: Sequence[tuple[str, str]] = ()
    """Further keys of the repository, and their references: ``endpoint``, ``access_key``, ``secret_key``."""
    summarizes_wal: bool = False
    """Whether the server has summarize_wal = on."""
    configured_in: str | None = None
    """The directory of the server's configuration, where that is not the data directory."""


def first_stack_file(found: FirstStack) -> str:
    """A complete stack file in YAML: it loads as it is."""
    return "\n".join([*_head(found), *_resource(found), *_recovery(found), *_BESIDE, ""])


_BESIDE = (
    "",
    "  # What is kept beside the database, in snapshots (understudy backup documents):",
    "  # documents: {kind: files, path: /srv/documents, exclude: ['*.tmp'], backup: {schedule: '*/15 * * * *'}}",
    "  # images: {kind: bucket, url: s3://images, access_key: env:IMAGES_KEY, secret_key: env:IMAGES_SECRET}",
    "  # sources: {kind: command, dump: [git, -C, /srv/shop.git, bundle, create, '-', --all]}",
    "  # accounts: {kind: postgres-dump, url: env:ACCOUNTS_URL}   # a managed server, by pg_dump",
    "  # sessions: {kind: redis, url: 'redis://127.0.0.1:6379', password: env:REDIS_PASSWORD}",
)


def _head(found: FirstStack) -> list[str]:
    return [
        "# Written by understudy init. Check every change with: understudy check",
        "# Every key is explained in docs/stack-file.md. Secrets never stand here, only references: env:NAME or file:/path.",
        "# Editors complete and explain the keys (yaml-language-server) once you put in here, as the first line,",
        "#   # yaml-language-server: $schema=understudy.schema.json",
        "# and beside this file what understudy check --schema > understudy.schema.json writes.",
        f"stack: {scalar_text(found.stack)}",
        "",
        "repositories:",
        "  # A second place, far from this host, is what survives the loss of this one:",
        "  # far: {url: s3://bucket/prefix, endpoint: env:S3_ENDPOINT, access_key: env:S3_ACCESS_KEY, secret_key: "
        "env:S3_SECRET_KEY}",
        "  near:",
        f"    url: {scalar_text(found.repository_url)}",
        *(f"    {key}: {scalar_text(value)}" for key, value in found.repository_keys),
        "",
        "encryption:",
        "  # Everything stored can be read with the identity of any of these, and with nothing else. The recovery kit holds one.",
        "  recipients:",
        *(f"    - {scalar_text(recipient)}" for recipient in found.recipients),
        f"  identity: {scalar_text(str(found.identity))}        # needed only where restores and drills run",
        f"  signing_key: {scalar_text(str(found.signing_key))}",
        "  # What these keys have signed is believed. Keep the keys of earlier controllers here.",
        "  signers:",
        *(f"    - {scalar_text(signer)}" for signer in found.signers),
        "",
        "state:",
        f"  directory: {scalar_text(found.state_directory)}",
        "",
    ]


def _resource(found: FirstStack) -> list[str]:
    return [
        "resources:",
        f"  {scalar_text(found.resource)}:",
        "    kind: postgres",
        f"    url: {scalar_text(str(found.url))}",
        "    tier: standard        # critical (15m to recover, 5m of loss), high (1h, 15m), standard (4h, 1h), or one of "
        "your own",
        "    wal:",
        "      # true loses no acknowledged commit, but the server waits for this host: name it in synchronous_standby_names.",
        "      synchronous: false",
        "      ship_every: 10s     # what the loss of this host can cost",
        "      spool_limit: 8GiB   # WAL kept here while a repository can't be reached",
        *_schedules(found),
    ]


def _schedules(found: FirstStack) -> list[str]:
    weekly = '      full: "0 3 * * sun"'
    nightly = '      incremental: "0 3 * * mon-sat"'
    if found.major_version < FIRST_INCREMENTAL_MAJOR:
        lines = [
            f"      # PostgreSQL {found.major_version} takes no incremental backups; {FIRST_INCREMENTAL_MAJOR} and newer do.",
            '      full: "0 3 * * *"',
        ]
    elif found.summarizes_wal:
        lines = [weekly, nightly]
    else:
        lines = [
            "      # For nightly incrementals: alter system set summarize_wal = on; select pg_reload_conf(); then change to",
            f"      # {weekly.strip()}",
        ]
        lines += [f"      # {nightly.strip()}", '      full: "0 3 * * *"']
    return [
        "    backup:",
        *lines,
        "      timezone: UTC",
        "    # Older backups and WAL are removed after each scheduled backup (understudy expire). These are the defaults:",
        "    # keep: {daily: 7, weekly: 4, monthly: 12, manual: 30d, point_in_time: 7d}",
    ]


def _recovery(found: FirstStack) -> list[str]:
    lines = [
        "    recover:              # where a real recovery brings the database up on this host",
        f"      directory: {scalar_text(found.recover_directory)}",
        f"      port: {found.recover_port}",
        f"      programs: {scalar_text(found.programs)}",
        "      # listen_addresses: localhost",
        "      # Where the url above names a host that may be lost: what leads to the recovered server, in the same form.",
        "      # url: env:RECOVERED_URL",
    ]
    if found.configured_in is not None:
        lines += [
            f"      # No backup holds {found.configured_in} of the server's host. Copy it, with all below it, to:",
            f"      configuration: {scalar_text(f'/etc/understudy/{found.resource}')}",
        ]
    if found.tablespaces:
        lines.append("      tablespaces:        # name: directory that it is restored to")
        lines += [f"        {scalar_text(name)}: {scalar_text(directory)}" for name, directory in found.tablespaces]
    return [
        *lines,
        "    # A row written now and then: so the loss of a recovery is known in time, even where nobody else writes.",
        "    # heartbeat: {every: 10s}",
        "    # Questions whose answers prove that the recovered data is the right data:",
        "    # checks:",
        "    #   - {sql: select count(*) from orders, database: shop, at_least: 1}",
    ]


def scalar_text(text: str) -> str:
    """The text as YAML reads it back: as it is where that is safe, else in double quotes."""
    if (
        _PLAIN.fullmatch(text)
        and not text.endswith(":")
        and text.lower() not in ("null", "true", "false", "yes", "no", "on", "off")
    ):
        return text
    escaped = "".join(_ESCAPES.get(each) or (each if each.isprintable() else f"\\U{ord(each):08X}") for each in text)
    return f'"{escaped}"'


_ESCAPES = {'"': '\\"', "\\": "\\\\"}
