import hashlib
import json

import google_crc32c
import pytest

from tests.repository.archives_on_disk import base_backup
from tests.servers.flavours import Flavour
from understudy.repository.server_manifest import ManifestFile, parse_server_manifest
from understudy.repository.tar_stream import MemberKind, read_members
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.wal import Lsn, Timeline


def signed(text: str) -> bytes:
    """The text with the last line that makes it a manifest."""
    return f'{text}"Manifest-Checksum": "{hashlib.sha256(text.encode()).hexdigest()}"}}\n'.encode()


def manifest_of(*files: dict[str, object], version: int = 2) -> bytes:
    lines = ",\n".join(json.dumps({"Last-Modified": "2026-11-24 02:40:06 GMT"} | file) for file in files)
    identifier = '"System-Identifier": 7711562261374655478,\n' if version == 2 else ""
    ranges = '"WAL-Ranges": [\n{ "Timeline": 1, "Start-LSN": "0/A000028", "End-LSN": "0/A000120" }\n]'
    return signed(f'{{ "PostgreSQL-Backup-Manifest-Version": {version},\n{identifier}"Files": [\n{lines}\n],\n{ranges},\n')


FILE = {"Path": "base/1/1259", "Size": 8192, "Checksum-Algorithm": "CRC32C", "Checksum": "983f89eb"}


@pytest.mark.parametrize("flavour", list(Flavour))
def test_what_a_server_lists_is_what_it_sends(postgres_servers, flavour):
    server = postgres_servers(flavour)
    location = server.new_directory("space")
    server.sql(f"create tablespace space location '{location}'")
    server.sql("create table t tablespace space as select generate_series(1, 1000) id")
    stream = base_backup(server, "full")
    manifest = parse_server_manifest(b"".join(stream.manifest()))
    found = {}
    for archive in stream.archives():
        prefix = "" if archive.tablespace_oid is None else f"pg_tblspc/{archive.tablespace_oid}/"
        for member, content in read_members(archive.chunks):
            if member.kind is MemberKind.FILE:
                bytes_ = b"".join(content)
                found[prefix + member.path] = ManifestFile(len(bytes_), google_crc32c.value(bytes_))
    manifest.compare(found)
    assert {"backup_label", "tablespace_map", "global/pg_control"} <= found.keys()
    identifier = str(server.sql("select system_identifier from pg_control_system()")[0][0])
    assert manifest.system_identifier == (identifier if flavour.major >= 17 else None)
    assert manifest.version == (2 if flavour.major >= 17 else 1)
    (wal,) = manifest.wal_ranges
    assert wal.timeline == 1
    assert wal.start < wal.end


def test_paths_that_are_not_utf8_keep_their_bytes():
    encoded = {"Encoded-Path": b"base/\xff".hex()} | {key: value for key, value in FILE.items() if key != "Path"}
    manifest = parse_server_manifest(manifest_of(FILE, encoded, version=1))
    assert list(manifest.files) == ["base/1/1259", "base/\udcff"]
    assert manifest.files["base/1/1259"] == ManifestFile(8192, 0xEB893F98)
    assert manifest.wal_ranges[0].start == Lsn.parse("0/A000028")
    assert manifest.wal_ranges[0].timeline == Timeline(1)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no manifest at all",
        manifest_of(FILE)[:-60],
        manifest_of(FILE).replace(b"8192", b"8193"),
        manifest_of(FILE, FILE),
        manifest_of(FILE | {"Checksum": "98"}),
        manifest_of(FILE | {"Path": "base/../../evil"}),
        manifest_of(FILE | {"Path": "/etc/passwd"}),
        signed('{"Files": [],\n'),
        signed("[1,\n"),
    ],
)
def test_a_damaged_manifest_is_refused(content):
    with pytest.raises(GiveUp, match="manifest_corrupt"):
        parse_server_manifest(content)


@pytest.mark.parametrize("content", [manifest_of(FILE, version=3), manifest_of(FILE | {"Checksum-Algorithm": "SHA256"})])
def test_another_version_or_algorithm_is_refused(content):
    with pytest.raises(GiveUp, match="manifest_unsupported"):
        parse_server_manifest(content)


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ({}, "backup_file_missing"),
        ({"base/1/1259": ManifestFile(8191, 0xEB893F98)}, "backup_file_differs"),
        ({"base/1/1259": ManifestFile(8192, 0xEB893F99)}, "backup_file_differs"),
        ({"base/1/1259": ManifestFile(8192, 0xEB893F98), "extra": ManifestFile(0, 0)}, "backup_file_unexpected"),
    ],
)
def test_a_file_that_is_missing_changed_or_surplus_is_named(found, code):
    with pytest.raises(GiveUp, match=code):
        parse_server_manifest(manifest_of(FILE)).compare(found)


def test_a_hundred_thousand_files_are_read_in_bounded_memory():
    import tracemalloc

    content = manifest_of(*(FILE | {"Path": f"base/16384/{number}"} for number in range(100_000)))
    tracemalloc.start()
    manifest = parse_server_manifest(content)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(manifest.files) == 100_000
    assert peak_bytes < 80_000_000
