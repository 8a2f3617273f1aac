"""A backup's manifest for tests that need one, in a form that its own checks accept."""

from dataclasses import replace
from datetime import UTC, datetime

from understudy.ports.database import Tablespace
from understudy.repository.manifests import BackupManifest, PartEntry, sums_digest
from understudy.vocabulary.identifiers import BackupLabel, ResourceName, RunId, SystemIdentifier
from understudy.vocabulary.wal import Lsn, Timeline


def sample_part(name="base-7f3a-0001.tar.zst.age", tablespace_oid=None, sealed_sha256="ab" * 32):
    return PartEntry(name, 1000, sealed_sha256, 5000, tablespace_oid, 3)


def sample_backup(label="20261123-030000F", parent=None, **changes):
    parts = (sample_part(), sample_part("16385-7f3a-0002.tar.zst.age", 16385, "cd" * 32))
    own = PartEntry("backup_manifest.zst.age", 10, "ef" * 32, 100, None, 1)
    manifest = BackupManifest(
        label=BackupLabel(label),
        resource=ResourceName("orders"),
        system_identifier=SystemIdentifier("7400000000000000001"),
        server_version_number=180004,
        timeline=Timeline(1),
        start_lsn=Lsn.parse("0/2000028"),
        stop_lsn=Lsn.parse("0/2000158"),
        start_time=datetime(2026, 11, 23, 3, tzinfo=UTC),
        stop_time=datetime(2026, 11, 23, 3, 5, tzinfo=UTC),
        parent=None if parent is None else BackupLabel(parent),
        tablespaces=(Tablespace(16385, "fast", "/srv/fast"),),
        segment_bytes=16 * 1024 * 1024,
        data_checksums=True,
        parts=parts,
        backup_manifest=own,
        sums_sha256=sums_digest((*parts, own)),
        compression="zstd-3",
        stack_digest="0" * 64,
        understudy_version="0.1.0",
        run=RunId("run-1"),
    )
    return replace(manifest, **changes) if changes else manifest
