"""What packing and unpacking need around them in tests: a store, a sealer, a target, and listeners that only remember."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pyrage

from tests.servers.flavours import server_owner
from understudy.adapters.age.choice import choose_sealer
from understudy.adapters.files.file_store import FileStore
from understudy.repository.packing import PackedBackup, pack_base_backup
from understudy.repository.part_uploads import PackingPlace
from understudy.repository.restore_target import RestoreTarget
from understudy.repository.sealing import read_sealed
from understudy.repository.server_manifest import parse_server_manifest
from understudy.repository.unpacking import SealedBackup, UnpackedBackup, unpack_backup
from understudy.vocabulary.errors import Cancelled, TryAgain
from understudy.vocabulary.secret import Secret


@dataclass
class Listener:
    """Progress and cancellation: remembers reports, and cancels at a given number of bytes."""

    cancel_at_bytes: int | None = None
    reports: list[tuple[int, int | None]] = field(default_factory=list)

    def report(self, activity: str, done: int, total: int | None = None, unit: str = "bytes") -> None:
        self.reports.append((done, total))

    def held_up(self, reason: TryAgain | None) -> None:
        return

    def raise_if_requested(self) -> None:
        if self.cancel_at_bytes is not None and self.reports and self.reports[-1][0] >= self.cancel_at_bytes:
            raise Cancelled


class Interrupted(Exception):
    """What a test ends a run with from within."""


class PackingWorld:
    """A repository directory with keys; packs streams into it and unpacks them again."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.store = FileStore.create(directory / "repository")
        self.sealer = choose_sealer()
        identity = pyrage.x25519.Identity.generate()
        self.recipient, self.identity = str(identity.to_public()), Secret(str(identity))

    def place(self, label: str, attempt: str = "a1") -> PackingPlace:
        return PackingPlace(self.store, self.sealer, [self.recipient], f"backups/{label}/", attempt)

    def pack(
        self, stream, label: str, *, part_bytes: int = 8 * 1024 * 1024, attempt: str = "a1", listener=None, **options
    ) -> PackedBackup:
        listener = listener or Listener()
        return pack_base_backup(
            stream, self.place(label, attempt), progress=listener, cancellation=listener, part_bytes=part_bytes, **options
        )

    def sealed(self, packed: PackedBackup, label: str) -> SealedBackup:
        entry, prefix = packed.server_manifest, f"backups/{label}/"
        text = b"".join(read_sealed(self.store, self.sealer, prefix + entry.name, self.identity, entry.sealed_sha256))
        return SealedBackup(self.store, self.sealer, self.identity, prefix, packed.parts, parse_server_manifest(text))

    def path(self, label: str, name: str) -> Path:
        return self.directory / "repository" / "backups" / label / name

    def unpack(self, backup: SealedBackup, target: RestoreTarget, *, listener=None, **options) -> UnpackedBackup:
        listener = listener or Listener()
        return unpack_backup(backup, target, progress=listener, cancellation=listener, **options)


def owner_ids() -> tuple[int, int] | None:
    owner = server_owner()
    return owner[1:] if owner else None
