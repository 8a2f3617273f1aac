"""``check``: everything that protection and recovery need is tried, and nothing is made.

A fault never ends the check: it becomes a finding, and what does not depend on it is looked at all the same.
"""

from __future__ import annotations

import base64
import secrets
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from understudy.adapters.postgres.isolation import can_cut_off
from understudy.app.installation import Installation
from understudy.app.key_ring import existing_own_key
from understudy.app.preflight_drills import check_drills
from understudy.app.preflight_host import look_at_directory
from understudy.app.preflight_repository import check_repository
from understudy.app.preflight_server import check_resource
from understudy.app.preflight_snapshots import check_snapshot_resource
from understudy.app.sealers import expiries
from understudy.app.service_recoveries import check_service
from understudy.judge.preflight import Finding, finding_of, passes
from understudy.judge.preflight_host import (
    HOST,
    KEYS,
    judge_directory,
    judge_identity_missing,
    judge_isolation,
    judge_recipients,
    judge_round_trip,
    judge_secret_file,
    judge_signer,
    state_need,
)
from understudy.ports.world import Keys
from understudy.repository.signing import Signer
from understudy.stack.loader import load_stack
from understudy.stack.references import every_reference_in
from understudy.stack.secrets import SecretPlace, resolve
from understudy.vocabulary.errors import UnderstudyError
from understudy.vocabulary.sealing import Sealing
from understudy.vocabulary.secret import Secret

_TRIED_BYTES = 1000


@dataclass(frozen=True, slots=True)
class Preflight:
    """All findings, in the order: this host, keys, repositories, resources, drills."""

    stack_file: str
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        return passes(self.findings)


def check(stack_file: Path, state: Path | None) -> Preflight:
    """
    Raises:
        Refusal: ``stack_file_missing``, ``stack_file_unreadable``; ``stack_file_invalid`` with every mistake in it.
    """
    installation = Installation.looked_at(load_stack(stack_file), state)
    return Preflight(str(stack_file), tuple(_findings(installation)))


def _findings(installation: Installation) -> Iterator[Finding]:
    yield judge_directory(HOST, "state_directory", look_at_directory(installation.state), state_need())
    if installation.database_names():
        yield judge_isolation(can_cut_off())
    keys, findings = _check_keys(installation)
    yield from findings
    yield from _check_secret_files(installation)
    for repository in installation.repository_names():
        yield from check_repository(installation, repository, keys)
    for resource in installation.resource_names():
        check_kind = check_resource if installation.is_database(resource) else check_snapshot_resource
        yield from check_kind(installation, resource)
    for service in installation.service_names():
        yield from check_service(installation, service)
    yield from check_drills(installation)


def _check_keys(installation: Installation) -> tuple[Keys | None, tuple[Finding, ...]]:
    """The keys as far as they are there; None when what is stored could not be judged with them."""
    encryption = installation.stack.encryption
    plain = secrets.token_bytes(_TRIED_BYTES)
    sealed, finding = _sealed(installation, plain)
    findings = [finding]
    identity: Secret | None = None
    if encryption.identity is None:
        findings.append(judge_identity_missing())
    else:
        try:
            identity = resolve(encryption.identity)
            if sealed is not None:
                opened = b"".join(installation.sealer.open([sealed], identity))
                same = secrets.compare_digest(base64.b64encode(plain), base64.b64encode(opened))
                findings.append(judge_round_trip(same, "age" if encryption.sealing is Sealing.AGE else "gnupg"))
        except UnderstudyError as error:
            findings.append(finding_of(error, KEYS, "identity"))
    try:
        signing_key = resolve(encryption.signing_key) if encryption.signing_key else existing_own_key(installation.state)
        own = Signer(signing_key).public_key if signing_key else None
    except UnderstudyError as error:
        return None, (*findings, finding_of(error, KEYS, "signing_key"))
    findings.append(judge_signer(own, encryption.signers))
    trusted = frozenset(encryption.signers) | ({own} if own else set())
    return Keys(encryption.recipients, identity, signing_key, trusted), tuple(findings)


def _sealed(installation: Installation, plain: bytes) -> tuple[bytes | None, Finding]:
    """None where nothing can be sealed."""
    encryption = installation.stack.encryption
    try:
        sealed = b"".join(installation.sealer.seal([plain], encryption.recipients))
        until = expiries(installation.sealer, encryption.recipients)
    except UnderstudyError as error:
        return None, finding_of(error, KEYS, "recipients")
    return sealed, judge_recipients(encryption.sealing, encryption.recipients, until, installation.clock.now())


def _check_secret_files(installation: Installation) -> Iterator[Finding]:
    for name in dict.fromkeys(each.name for each in every_reference_in(installation.stack) if each.place is SecretPlace.FILE):
        try:
            mode = stat.S_IMODE(Path(name).stat().st_mode)
        except OSError:
            continue  # that it is missing is told where it is needed
        yield judge_secret_file(name, mode)
