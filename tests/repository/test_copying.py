"""A backup's objects into a further store: compared on the way, and never taken for good when they are not."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.repository.packing_world import Listener
from tests.repository.sample_backups import sample_backup
from understudy.adapters.files.file_store import FileStore
from understudy.repository.copying import copy_backup_objects
from understudy.repository.layout import SUMS_NAME, backup_prefix
from understudy.repository.manifests import BackupManifest, PartEntry, sums_digest, sums_text
from understudy.vocabulary.errors import GiveUp

CONTENTS = {f"base-7f3a-{number:04d}.tar.zst.age": bytes([number]) * 100_000 for number in (1, 2, 3)}
MANIFEST_CONTENT = b"the server's manifest, sealed"


def entry(name: str, content: bytes) -> PartEntry:
    return PartEntry(name, len(content), hashlib.sha256(content).hexdigest(), 5000, None, 3)


@pytest.fixture
def backup() -> BackupManifest:
    parts = tuple(entry(name, content) for name, content in CONTENTS.items())
    own = entry("backup_manifest.zst.age", MANIFEST_CONTENT)
    return sample_backup(parts=parts, backup_manifest=own, sums_sha256=sums_digest((*parts, own)))


@pytest.fixture
def source(tmp_path: Path, backup: BackupManifest) -> FileStore:
    store = FileStore.create(tmp_path / "near")
    for name, content in (CONTENTS | {"backup_manifest.zst.age": MANIFEST_CONTENT}).items():
        store.put(prefix_of(backup) + name, [content])
    return store


@pytest.fixture
def target(tmp_path: Path) -> FileStore:
    return FileStore.create(tmp_path / "far")


def prefix_of(backup: BackupManifest) -> str:
    return backup_prefix(backup.resource, backup.system_identifier, backup.label)


def copy(backup: BackupManifest, source: FileStore, target: FileStore, listener: Listener | None = None):
    listener = listener or Listener()
    return copy_backup_objects(backup, source, target, progress=listener, cancellation=listener)


def names_in(store: FileStore) -> set[str]:
    return {each.key.rpartition("/")[2] for each in store.list()}


def test_everything_but_the_signed_manifest_is_copied_and_a_second_time_only_compared(backup, source, target):
    first = copy(backup, source, target)
    assert (first.objects, first.already_there) == (4, 0)
    assert names_in(target) == {*CONTENTS, "backup_manifest.zst.age", SUMS_NAME}
    assert b"".join(target.read(prefix_of(backup) + SUMS_NAME)) == sums_text(backup.entries)
    again = Listener()
    second = copy(backup, source, target, again)
    assert (second.objects, second.size_bytes, second.already_there) == (0, 0, 4)
    assert again.reports[-1] == (backup.sealed_bytes, backup.sealed_bytes), "what is there already counts, too"


@pytest.mark.parametrize(
    "harm", [lambda content: content[:50_000] + b"!" + content[50_001:], lambda content: content[:-1], lambda content: b""]
)
def test_a_part_that_is_damaged_in_the_source_is_not_copied(backup, source, target, tmp_path, harm):
    name = list(CONTENTS)[1]
    path = tmp_path / "near" / prefix_of(backup) / name
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(GiveUp) as refused:
        copy(backup, source, target)
    assert refused.value.code == "part_corrupt"
    assert name in refused.value.found
    assert names_in(target) == {next(iter(CONTENTS))}


def test_another_content_under_the_same_key_is_refused_and_left_as_it_is(backup, source, target):
    key = prefix_of(backup) + list(CONTENTS)[1]
    target.put(key, [b"what somebody else put there"])
    with pytest.raises(GiveUp) as refused:
        copy(backup, source, target)
    assert refused.value.code == "part_corrupt"
    assert b"".join(target.read(key)) == b"what somebody else put there"
    assert SUMS_NAME not in names_in(target)
