"""What sealed digests cannot tell: parts that are as stored, but not what the server's own manifest lists."""

import struct
from dataclasses import replace

import pytest

from tests.repository.packing_world import Listener, PackingWorld
from tests.repository.sample_backups import sample_backup
from tests.repository.synthetic_backup import SyntheticBackup
from understudy.repository.backup_checks import check_backup
from understudy.repository.layout import SUMS_NAME, backup_prefix
from understudy.repository.manifests import sums_digest, sums_text
from understudy.repository.packing import pack_base_backup
from understudy.repository.part_uploads import PackingPlace
from understudy.repository.unpacking import SealedBackup
from understudy.repository.wal_checks import decode_segment
from understudy.vocabulary.identifiers import SystemIdentifier
from understudy.vocabulary.wal import Timeline, WalSegment

FILES = {"PG_VERSION": b"18\n", "base/1/1259": b"page" * 5000}
SYSTEM = SystemIdentifier("7400000000000000001")
SEGMENT = WalSegment(Timeline(1), 3)


class Stored:
    """A packed backup in a repository, and the check of it."""

    def __init__(self, directory):
        world = PackingWorld(directory)
        template = sample_backup(tablespaces=(), parts=(), sums_sha256=sums_digest((sample_backup().backup_manifest,)))
        prefix = backup_prefix(template.resource, template.system_identifier, template.label)
        place = PackingPlace(world.store, world.sealer, [world.recipient], prefix, "a1")
        listener = Listener()
        packed = pack_base_backup(SyntheticBackup(FILES), place, progress=listener, cancellation=listener, part_bytes=10_000)
        world.store.put(prefix + SUMS_NAME, [sums_text((*packed.parts, packed.server_manifest))])
        digest = sums_digest((*packed.parts, packed.server_manifest))
        self.store = world.store
        self.backup = replace(template, parts=packed.parts, backup_manifest=packed.server_manifest, sums_sha256=digest)
        self.opened = SealedBackup(world.store, world.sealer, world.identity, prefix, packed.parts, packed.manifest)

    def codes(self, **listed):
        files = {**self.opened.manifest.files, **listed}
        manifest = replace(self.opened.manifest, files={path: each for path, each in files.items() if each is not None})
        checked = check_backup(self.store, self.backup, lambda _: None, replace(self.opened, manifest=manifest))
        return [fault.code for fault in checked.faults]


@pytest.fixture
def stored(tmp_path):
    return Stored(tmp_path)


def test_files_that_are_what_the_server_listed_are_in_order(stored):
    assert stored.codes() == []


def test_a_file_that_differs_from_the_servers_manifest_is_found(stored):
    listed = stored.opened.manifest.files["PG_VERSION"]
    assert stored.codes(PG_VERSION=replace(listed, crc32c=listed.crc32c ^ 1)) == ["backup_file_differs"]


def test_a_file_that_is_listed_and_did_not_come_is_found(stored):
    assert stored.codes(absent=stored.opened.manifest.files["PG_VERSION"]) == ["backup_file_missing"]


def test_a_file_that_came_and_is_not_listed_is_found(stored):
    assert stored.codes(PG_VERSION=None) == ["backup_file_unexpected"]


def test_a_part_with_fewer_files_than_the_signed_manifest_says_is_found(stored):
    first, *others = stored.backup.parts
    stored.backup = replace(stored.backup, parts=(replace(first, files=first.files + 1), *others))
    assert stored.codes() == ["part_incomplete"]


class OneSegment:
    """The one question that decoding asks of an archive."""

    def __init__(self, content):
        self._content = content

    def fetch_segment(self, segment):
        return [self._content.ljust(segment.size_bytes, b"\0")]


def first_page(address=SEGMENT.start.position, system=int(SYSTEM), segment_bytes=SEGMENT.size_bytes):
    return struct.pack("<HHIQI4xQII", 0xD118, 2, 1, address, 0, system, segment_bytes, 8192)


def test_a_segment_whose_first_page_is_of_its_place_decodes():
    assert decode_segment(OneSegment(first_page()), SEGMENT, SYSTEM) is None


@pytest.mark.parametrize("wrong", [{"address": 0}, {"system": 1}, {"segment_bytes": 2**20}])
def test_wal_of_another_place_or_cluster_is_found(wrong):
    fault = decode_segment(OneSegment(first_page(**wrong)), SEGMENT, SYSTEM)
    assert fault is not None
    assert fault.code == "wal_of_another"
