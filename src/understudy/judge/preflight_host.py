"""What ``understudy check`` finds of this host, its keys and the repositories. Pure: facts in, findings out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from understudy.judge.preflight import Finding, Grade
from understudy.judge.preflight_locks import judge_locks
from understudy.ports.object_store import StoreAbilities
from understudy.vocabulary.locking import LockRule
from understudy.vocabulary.sizes import readable_size

HOST = "this host"
KEYS = "keys"
_MEBIBYTE = 2**20
_LEAST_FREE_BYTES = 64 * _MEBIBYTE
"""Below this nothing works for long: a few WAL segments, or the state database's own growth."""
_STATE_WANTS_BYTES = 512 * _MEBIBYTE
_EXPIRES_SOON = timedelta(days=30)
_HEADROOM = 1.2
"""A restore needs the database's size, the WAL that is fetched ahead, and what replay adds."""


@dataclass(frozen=True, slots=True)
class DirectoryFacts:
    """A directory that exists or is to be made."""

    path: str
    exists: bool
    existing: str
    """The directory itself, or the nearest one above that is there."""
    writable: bool
    """By the user that runs this, in ``existing``."""
    free_bytes: int


@dataclass(frozen=True, slots=True)
class SpaceNeed:
    """How much room a directory wants; with less than ``least_bytes`` it does not work at all."""

    wanted_bytes: int
    least_bytes: int
    key: str
    """Of the stack file, where another directory is named."""


def spool_need(resource: str, limit_bytes: int) -> SpaceNeed:
    return SpaceNeed(limit_bytes, min(limit_bytes, _LEAST_FREE_BYTES), f"resources.{resource}.wal.spool")


def state_need() -> SpaceNeed:
    return SpaceNeed(_STATE_WANTS_BYTES, _LEAST_FREE_BYTES, "state.directory")


def restore_need(key: str, database_bytes: int) -> SpaceNeed:
    return SpaceNeed(int(database_bytes * _HEADROOM), database_bytes, key)


def judge_directory(subject: str, aspect: str, facts: DirectoryFacts, need: SpaceNeed) -> Finding:
    """Whether it can be made or written to, and has room."""
    if not facts.writable:
        where = facts.path if facts.exists else f"{facts.path} cannot be made: {facts.existing}"
        return Finding(
            subject, aspect, Grade.FAILURE, f"{where} is not writable", "a directory that understudy may write to",
            f"run understudy as the owner of {facts.existing}, or name another directory in the stack file: {need.key}",
        )  # fmt: skip
    found = f"{facts.path}: {readable_size(facts.free_bytes)} free"
    if facts.free_bytes >= need.wanted_bytes:
        return Finding(subject, aspect, Grade.OK, found)
    grade = Grade.FAILURE if facts.free_bytes < need.least_bytes else Grade.WARNING
    return Finding(
        subject, aspect, grade, found, f"{readable_size(need.wanted_bytes)} free",
        f"free space there, or name a directory with room in the stack file: {need.key}",
    )  # fmt: skip


def judge_recovery_parent(subject: str, facts: DirectoryFacts, parent: str, parent_exists: bool) -> Finding:
    """A parent that is missing may be a disk that is not mounted: restoring would then fill the root file system."""
    if parent_exists:
        return Finding(subject, "recover_directory", Grade.OK, f"{parent} is there")
    return Finding(
        subject, "recover_directory", Grade.FAILURE, f"{parent} does not exist", f"the directory that is to hold {facts.path}",
        f"mkdir -p {parent}  (or mount the disk that it is on)",
    )  # fmt: skip


def judge_reachable(subject: str, aspect: str, path: str, user: str, blocked_at: str | None) -> Finding:
    """``blocked_at``: the first directory on the way that the server's user may not enter."""
    if blocked_at is None:
        return Finding(subject, aspect, Grade.OK, f"the user {user} can enter {path}")
    return Finding(
        subject, aspect, Grade.FAILURE, f"the user {user} cannot enter {blocked_at}",
        f"directories down to {path} that the server's user may enter", f"setfacl -m u:{user}:x {blocked_at}",
    )  # fmt: skip


def judge_isolation(can_cut_off: bool) -> Finding:
    """How what a drill or a restore brings up is kept from the network while it is looked at."""
    if can_cut_off:
        return Finding(HOST, "drill_network", Grade.OK, "a server that is drilled or verified gets no network but one of its own")
    closed = "this user may make no network namespace here: a server that is drilled or verified is closed by its settings alone"
    return Finding(HOST, "drill_network", Grade.OK, f"{closed}, and code in its database could open a connection")


def judge_secret_file(path: str, mode: int) -> Finding:
    """``mode``: the permission bits. What only the owner reads is right; what a group reads may be meant so."""
    found = f"{path} has mode {mode:04o}"
    if not mode & 0o077:
        return Finding(KEYS, "secret_file", Grade.OK, found)
    grade = Grade.FAILURE if mode & 0o007 else Grade.WARNING
    return Finding(KEYS, "secret_file", grade, found, "mode 0600: only its owner reads it", f"chmod 600 {path}")


def judge_identity_missing() -> Finding:
    return Finding(
        KEYS, "identity", Grade.WARNING, "the stack file names no identity: this host can back up, but not restore or drill",
        "an identity where restores and drills run", "in the stack file: encryption.identity: file:/path/of/the/identity",
    )  # fmt: skip


def judge_recipients(sealing: str, recipients: Sequence[str], until: Mapping[str, datetime], now: datetime) -> Finding:
    """What could be sealed to. ``until``: those of them that expire, and when."""
    found = f"everything is sealed with {sealing} to {', '.join(recipients)}"
    soon = {key: moment for key, moment in until.items() if moment - now < _EXPIRES_SOON}
    if not soon:
        return Finding(KEYS, "recipients", Grade.OK, found)
    told = ", ".join(f"{key} expires on {moment:%Y-%m-%d}" for key, moment in soon.items())
    return Finding(
        KEYS, "recipients", Grade.WARNING, told, "keys that last: from that day on nothing is sealed, and so nothing backed up",
        f"where the secret key is: gpg --quick-set-expire {next(iter(soon))} 2y, and again with '*' at the end; then export the "
        "public key anew into encryption.public_keys",
    )  # fmt: skip


def judge_round_trip(opened: bool, program: str) -> Finding:
    if opened:
        return Finding(KEYS, "identity", Grade.OK, "opens what the recipients seal")
    return Finding(
        KEYS, "identity", Grade.FAILURE, "what was sealed to the recipients came back changed", "the same bytes",
        f"install the program of this host anew: apt-get install --reinstall {program}",
    )  # fmt: skip


def judge_signer(own: str | None, named: Sequence[str]) -> Finding:
    """``own``: the public half of the key that signs here; None where it is made by the first command that writes."""
    if own is None:
        return Finding(KEYS, "signing_key", Grade.OK, "is made in the state directory by the first backup")
    if own in named:
        return Finding(KEYS, "signing_key", Grade.OK, f"{own} is among encryption.signers")
    line = f"in the stack file, below encryption.signers: - {own}"
    if named:
        return Finding(
            KEYS, "signing_key", Grade.FAILURE, f"{own} signs here and is not among encryption.signers",
            "that what is written here is believed by whoever reads it with this stack file", line,
        )  # fmt: skip
    return Finding(
        KEYS, "signing_key", Grade.WARNING, f"{own} signs here, and nothing but its private key says so",
        "its public half in the stack file: after the loss of this host, backups can be believed only by it", line,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class RepositoryFacts:
    """What was seen of a repository that answered. ``url`` is without credentials."""

    url: str
    described_as: str | None
    """Its id; None where nothing was made yet."""
    known_as: str | None
    """The id under which this state directory knows it."""
    held_by: str | None
    """The controller of the newest epoch."""
    controller: str | None
    """This controller; None before its first run."""
    abilities: StoreAbilities | None
    """None where nothing may be written for a try."""
    free_bytes: int | None
    """Of a directory's file system."""
    lock_rule: LockRule | None = None
    """As the stack file says."""


def judge_repository(subject: str, facts: RepositoryFacts) -> Iterator[Finding]:
    yield _description(subject, facts)
    if facts.held_by is not None:
        yield _holder(subject, facts.held_by, facts.controller)
    if facts.abilities is not None:
        yield from _abilities(subject, facts.abilities)
    yield from judge_locks(subject, facts.url, facts.lock_rule, facts.abilities)
    if facts.free_bytes is not None:
        least = facts.free_bytes >= _LEAST_FREE_BYTES
        grade = Grade.OK if least else Grade.FAILURE
        expected = "" if least else f"{readable_size(_LEAST_FREE_BYTES)} free at the least"
        change = "" if least else "free space there, or name another place in the stack file"
        yield Finding(subject, "free_space", grade, f"{readable_size(facts.free_bytes)} free", expected, change)


def _description(subject: str, facts: RepositoryFacts) -> Finding:
    if facts.described_as is None and facts.known_as is None:
        return Finding(subject, "repository", Grade.OK, f"{facts.url} is free; the first backup makes the repository")
    if facts.described_as is None:
        return Finding(
            subject, "repository", Grade.FAILURE, f"{facts.url} is empty, and was repository {facts.known_as} before",
            "the repository that was there", "mount the disk again, or correct the address in the stack file; "
            "in place of a repository that was given up, declare one with a new name",
        )  # fmt: skip
    if facts.known_as is not None and facts.known_as != facts.described_as:
        return Finding(
            subject, "repository", Grade.FAILURE, f"{facts.url} holds repository {facts.described_as}",
            f"repository {facts.known_as}", "correct the address in the stack file; another repository gets another name there",
        )  # fmt: skip
    return Finding(subject, "repository", Grade.OK, f"{facts.url} is repository {facts.described_as}")


def _holder(subject: str, holder: str, controller: str | None) -> Finding:
    if holder == controller:
        return Finding(subject, "controller", Grade.OK, "written by this controller")
    return Finding(
        subject, "controller", Grade.FAILURE, f"it is written by controller {holder}",
        f"this controller ({controller or 'which has not run yet'})",
        "if that one is gone for good, take its place by a recovery (understudy recover SCENARIO --take-over) or a backup "
        "(understudy backup RESOURCE --take-over). Else give this stack a place of its own in the stack file, or name the state "
        "directory of that controller: --state",
    )  # fmt: skip


def _abilities(subject: str, abilities: StoreAbilities) -> Iterator[Finding]:
    yield Finding(subject, "writable", Grade.OK, "a small object was written, read back and removed")
    words = (
        ("conditional puts", abilities.conditional_put),
        ("range reads", abilities.range_reads),
        ("versions", abilities.versions),
        ("object lock", abilities.object_lock),
    )
    found = ", ".join(f"{word} {'yes' if able else 'no'}" for word, able in words)
    if abilities.range_reads:
        yield Finding(subject, "store_honours", Grade.OK, found)
        return
    yield Finding(
        subject, "store_honours", Grade.WARNING, found, "range reads: without them a broken download begins anew",
        "upgrade the store, or use another one for large databases",
    )  # fmt: skip
