"""``backup.json`` is read strictly: nothing missing, nothing unknown, nothing that contradicts itself."""

import json
from datetime import datetime

import pytest

from tests.repository.sample_backups import sample_backup, sample_part
from understudy.repository.layout import is_part_name, is_server_manifest_name, part_name
from understudy.repository.manifests import BackupManifest, sums_text
from understudy.vocabulary.errors import GiveUp, Refusal
from understudy.vocabulary.identifiers import BackupKind, BackupOrigin
from understudy.vocabulary.sealing import Sealing


def as_stored(backup):
    return json.loads(json.dumps(backup.to_json()))


def test_a_manifest_comes_back_as_it_was():
    full = sample_backup()
    assert BackupManifest.from_json(as_stored(full)) == full
    incremental = sample_backup("20261123-030000F_20261124-030000I", "20261123-030000F")
    assert BackupManifest.from_json(as_stored(incremental)) == incremental
    assert (full.kind, incremental.kind) == (BackupKind.FULL, BackupKind.INCREMENTAL)
    assert (full.server_major, full.plain_bytes, full.sealed_bytes) == (18, 10_000, 2010)


@pytest.mark.parametrize("field", sorted(sample_backup().to_json()))
def test_a_missing_field_is_refused(field):
    document = as_stored(sample_backup())
    del document[field]
    with pytest.raises(GiveUp) as refused:
        BackupManifest.from_json(document)
    assert refused.value.code == "document_malformed"
    assert field in refused.value.found


@pytest.mark.parametrize("field", sorted(sample_backup().to_json()))
def test_a_field_of_another_type_is_refused(field):
    document = as_stored(sample_backup()) | {field: {"surprise": 1}}
    with pytest.raises(GiveUp) as refused:
        BackupManifest.from_json(document)
    assert refused.value.code == "document_malformed"


@pytest.mark.parametrize(
    "change",
    [
        {"unknown": 1},
        {"document": "understudy/other"},
        {"kind": "incremental"},
        {"label": "yesterday"},
        {"timeline": True},
        {"timeline": -1},
        {"start_lsn": "2000028"},
        {"start_time": "2026-11-23T03:00:00"},
        {"stop_lsn": "0/1"},
        {"sums_sha256": "00" * 32},
        {"parent": "20261101-030000F"},
        {"tablespaces": []},
        {"parts": []},
        {"parts": [sample_part().to_json() | {"more": 1}]},
        {"parts": [sample_part("../../etc/passwd").to_json()]},
    ],
)
def test_what_contradicts_itself_is_refused(change):
    with pytest.raises(GiveUp) as refused:
        BackupManifest.from_json(as_stored(sample_backup()) | change)
    assert refused.value.code == "document_malformed"


def test_a_newer_format_is_refused_with_what_to_do():
    with pytest.raises(Refusal) as refused:
        BackupManifest.from_json(as_stored(sample_backup()) | {"format_version": 2, "unknown": "x"})
    assert refused.value.code == "format_newer"
    assert "newer Understudy" in refused.value.hint


def test_an_impossible_manifest_cannot_be_made():
    with pytest.raises(ValueError, match="parent"):
        sample_backup(parent="20261122-030000F")
    with pytest.raises(ValueError, match="offset"):
        sample_backup(start_time=datetime(2026, 11, 23))  # noqa: DTZ001


def test_the_sums_name_every_part_and_the_server_s_manifest():
    names = [line.split("  ")[1] for line in sums_text(sample_backup().entries).decode().splitlines()]
    assert names == ["base-7f3a-0001.tar.zst.age", "16385-7f3a-0002.tar.zst.age", "backup_manifest.zst.age"]


def test_part_names_tell_the_tablespace():
    assert part_name("7f3a", 1, sealing=Sealing.AGE) == "base-7f3a-0001.tar.zst.age"
    assert part_name("7f3a", 12, 16385, sealing=Sealing.AGE) == "16385-7f3a-0012.tar.zst.age"
    assert part_name("7f3a", 1, sealing=Sealing.GPG) == "base-7f3a-0001.tar.zst.gpg"
    assert is_part_name("base-7f3a-0001.tar.zst.gpg", None) and is_server_manifest_name("backup_manifest.zst.gpg")
    assert is_part_name(part_name("a-b", 1, 5, sealing=Sealing.AGE), 5)
    assert not is_part_name(part_name("a-b", 1, 5, sealing=Sealing.AGE), None)
    assert not is_part_name("base-7f3a-0001.tar.zst.age/../x", None)
    with pytest.raises(ValueError, match="not an attempt"):
        part_name("../x", 1, sealing=Sealing.AGE)


def test_a_manifest_may_say_who_asked_for_the_backup_and_need_not():
    for origin in (None, *BackupOrigin):
        told = sample_backup(origin=origin)
        assert BackupManifest.from_json(as_stored(told)) == told
        assert ("origin" in told.to_json()) == (origin is not None)
    with pytest.raises(GiveUp) as refused:
        BackupManifest.from_json({**as_stored(sample_backup()), "origin": "nobody"})
    assert refused.value.code == "document_malformed"
