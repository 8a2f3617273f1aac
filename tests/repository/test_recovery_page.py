"""RECOVERY.md, followed literally with a shell and stock tools: every row back, and every kind of damage refused."""

import ast
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.by_hand import commands_of, follow_the_page, needs_stock_tools
from tests.repository.packing_world import Listener
from tests.repository.sample_keys import fresh_keys, gpg_keys
from tests.servers.flavours import Flavour, run_as_owner
from tests.servers.processes import wait_until
from understudy.adapters.age import choose_sealer
from understudy.adapters.clock.system import SystemClock
from understudy.adapters.files import FileStore
from understudy.adapters.postgres.database import PostgresDatabase
from understudy.ports.database import BaseBackupRequest
from understudy.repository.catalog import Repository
from understudy.repository.layout import backup_prefix
from understudy.repository.manifests import BackupManifest, sums_digest
from understudy.repository.packing import pack_base_backup
from understudy.repository.part_uploads import PackingPlace
from understudy.repository.recovery_page import recovery_page
from understudy.vocabulary.identifiers import BackupLabel, ResourceName, RunId
from understudy.vocabulary.sealing import Sealing
from understudy.vocabulary.secret import Secret
from understudy.vocabulary.wal import WalSegment, is_segment_name

pytestmark = needs_stock_tools
ORDERS = ResourceName("orders")
FULL, INCREMENTAL = BackupLabel("20261123-030000F"), BackupLabel("20261123-030000F_20261124-030000I")
NOW = datetime(2026, 11, 23, 3, tzinfo=UTC)
KEYS = fresh_keys()


class Shop:
    """A server with a repository beside it, and what a person has who must recover it by hand."""

    def __init__(self, server, keys=KEYS, sealer=None, place="by-hand"):
        self.server, self.keys, self.sealer = server, keys, sealer or choose_sealer()
        self.place = server.new_directory(place)
        self.root = self.place / "repository"
        self.store = FileStore.create(self.root)
        self.repository = Repository(self.store, self.sealer, keys)
        self.repository.create("id-1", NOW)
        self.database = PostgresDatabase(Secret(server.replication_url), SystemClock())
        self.facts = self.database.facts()
        (self.place / "identity.txt").write_text(f"# kept in the safe\n{keys.identity.reveal()}\n")

    def back_up(self, label, parent=None):
        manifest = tuple(self.repository.read_server_manifest(parent)) if parent else ()
        place = PackingPlace(
            self.store, self.sealer, self.keys.recipients, backup_prefix(ORDERS, self.facts.system_identifier, label), "7f3a"
        )
        request = BaseBackupRequest("by hand", incremental=parent is not None, parent_manifest=manifest)
        with self.database.base_backup(request) as stream:
            packed = pack_base_backup(stream, place, progress=Listener(), cancellation=Listener(), part_bytes=4 * 1024 * 1024)
        backup = BackupManifest(
            label=label,
            resource=ORDERS,
            system_identifier=self.facts.system_identifier,
            server_version_number=self.facts.version_number,
            timeline=packed.start.timeline,
            start_lsn=packed.start.lsn,
            stop_lsn=packed.stop.lsn,
            start_time=NOW,
            stop_time=NOW,
            parent=parent.label if parent else None,
            tablespaces=packed.start.tablespaces,
            segment_bytes=self.facts.segment_bytes,
            data_checksums=self.facts.data_checksums,
            parts=packed.parts,
            backup_manifest=packed.server_manifest,
            sums_sha256=sums_digest((*packed.parts, packed.server_manifest)),
            compression="zstd-3",
            stack_digest="0" * 64,
            understudy_version="test",
            run=RunId("run"),
        )
        self.repository.write_backup_manifest(backup)
        return backup

    def ship_wal(self, first, timeline=1):
        """What is complete as segments, the newest as tails: as a receiver would have it at the disaster.

        The first two were stored again as one, so that nobody needs them any more: of one of them the data is gone.
        """
        archive = self.repository.wal(ORDERS, self.facts.system_identifier, self.facts.segment_bytes)
        names = sorted(path.name for path in (self.server.data / "pg_wal").glob(f"{timeline:08X}*") if is_segment_name(path.name))
        current = self.server.sql("select pg_walfile_name(pg_current_wal_flush_lsn())")[0][0]
        for name in names:
            segment = WalSegment.parse(name, self.facts.segment_bytes)
            content = (self.server.data / "pg_wal" / name).read_bytes()
            if segment.end <= first or name > current:
                continue
            if name < current:
                archive.put_segment(segment, content)
                continue
            tail = content.rstrip(b"\0")
            quarter, half = len(tail) // 4, len(tail) // 2
            for start, stop in ((0, quarter), (quarter, half), (0, half), (half, len(tail))):
                archive.put_tail(segment, start, tail[start:stop])
            for small in (self.root / "postgres/orders").glob(f"*/wal/*/{name}.tail/{0:010d}-{quarter:010d}.zst.*"):
                small.unlink()

    def remove_from_wal(self, name):
        """The sidecar, and all that it stands for."""
        for path in (self.root / "postgres/orders").glob(f"*/wal/*/{name}*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def held_segments(self):
        """Of the complete ones and of tails, the names, oldest first."""
        found = (self.root / "postgres/orders").glob("*/wal/*/*")
        return sorted({path.name.partition(".")[0] for path in found}, key=lambda name: name[8:])

    def follow_the_page(self, labels, *, before_start="", **changes):
        page = b"".join(self.store.read("RECOVERY.md")).decode()
        filled_in = {
            "REPOSITORY": self.root,
            "IDENTITY": self.place / "identity.txt",
            "SYSTEM": self.facts.system_identifier,
            "LABELS": '"' + " ".join(str(label) for label in labels) + '"',
            "TARGET": self.place / "recovered",
            "WORK": self.place / "work",
            "PROGRAMS": self.server.programs,
            **changes,
        }
        return follow_the_page(page, self.place, filled_in, before_start=before_start)

    def stop_recovered(self):
        subprocess.run(
            [str(self.server.programs / "pg_ctl"), "-D", str(self.place / "recovered"), "-m", "immediate", "-w", "stop"],
            check=True, stdout=subprocess.DEVNULL, **run_as_owner(),
        )  # fmt: skip

    def ask_recovered(self, sql):
        return self.server.program(
            "psql", "-X", "-A", "-t", "-h", str(self.place / "work"), "-p", "5432", "-c", sql, "postgres"
        ).stdout.split()


@pytest.fixture
def shop(postgres_servers):
    # No receiver takes the WAL here: without wal_keep_size it is gone with the next checkpoint, once it is summarized.
    server = postgres_servers(Flavour.WHEEL_18, settings={"summarize_wal": "on", "wal_keep_size": "1GB"})
    space = server.new_directory("space")
    server.sql(f"create tablespace space location '{space}'")
    server.sql("create table a as select generate_series(1, 50000) id; create table b (id int) tablespace space")
    return Shop(server)


@pytest.mark.parametrize("with_incremental", [False, True])
def test_every_row_comes_back_with_stock_tools_alone(shop, with_incremental):
    server = shop.server
    backup = shop.back_up(FULL)
    labels = [FULL]
    server.sql("insert into b select generate_series(1, 1000); update a set id = id + 1 where id < 1000")
    if with_incremental:
        backup = shop.back_up(INCREMENTAL, parent=backup)
        labels.append(INCREMENTAL)
    server.sql("select pg_switch_wal(); insert into b select generate_series(1001, 2000); checkpoint")
    server.sql("insert into a values (0), (0), (0)")
    shop.ship_wal(backup.start_lsn)
    server.kill_everything()
    server.destroy()

    done = shop.follow_the_page(labels)
    assert done.returncode == 0, done.stdout
    try:
        wait_until(lambda: shop.ask_recovered("select pg_is_in_recovery()") == ["f"], "the end of the recovery")
        assert shop.ask_recovered("select (select count(*) from a), (select sum(id) from b)") == ["50003|2001000"]
        locations = shop.ask_recovered("select pg_tablespace_location(oid) from pg_tablespace where spcname = 'space'")
        assert [Path(location).parent for location in locations] != [Path(server.directory)], "nothing is in the old place"
    finally:
        shop.stop_recovered()


@pytest.mark.skipif(shutil.which("gpg") is None, reason="gpg is not installed")
def test_every_row_comes_back_with_gpg_in_place_of_age(shop):
    shop = Shop(shop.server, *gpg_keys(), place="by-hand-with-gpg")
    backup = shop.back_up(FULL)
    shop.server.sql("select pg_switch_wal(); insert into b select generate_series(1, 10)")
    shop.ship_wal(backup.start_lsn)
    shop.server.kill_everything()
    shop.server.destroy()
    page = b"".join(shop.store.read("RECOVERY.md")).decode()
    assert "age -d" not in page and ".zst.age" not in page and re.search("<<[a-z_]+>>", page) is None

    done = shop.follow_the_page([FULL])
    assert done.returncode == 0, done.stdout
    try:
        wait_until(lambda: shop.ask_recovered("select pg_is_in_recovery()") == ["f"], "the end of the recovery")
        assert shop.ask_recovered("select (select count(*) from a), (select sum(id) from b)") == ["50000|55"]
    finally:
        shop.stop_recovered()


@pytest.mark.parametrize("harm", ["cut", "flipped", "absent", "no manifest"])
def test_a_damaged_backup_is_refused_before_anything_is_unpacked(shop, harm):
    backup = shop.back_up(FULL)
    folder = shop.root / backup_prefix(ORDERS, shop.facts.system_identifier, FULL)
    part = folder / backup.parts[0].name
    content = bytearray(part.read_bytes())
    match harm:
        case "cut":
            part.write_bytes(content[:-1])
        case "flipped":
            content[len(content) // 2] ^= 1
            part.write_bytes(content)
        case "absent":
            part.unlink()
        case "no manifest":
            (folder / "backup.json").unlink()
    done = shop.follow_the_page([FULL])
    assert done.returncode == 1, done.stdout
    assert list((shop.place / "work").iterdir()) == []
    assert not (shop.place / "recovered").exists()


def test_a_damaged_wal_segment_stops_the_recovery(shop):
    backup = shop.back_up(FULL)
    shop.server.sql("select pg_switch_wal(); insert into a values (0)")
    shop.ship_wal(backup.start_lsn)
    segment = sorted((shop.root / "postgres/orders").glob("*/wal/*/*.zst.age"))[0]
    content = bytearray(segment.read_bytes())
    content[-1] ^= 1
    segment.write_bytes(content)
    done = shop.follow_the_page([FULL])
    assert done.returncode == 1, done.stdout
    assert "is damaged" in done.stdout
    assert not (shop.place / "recovered/recovery.signal").exists()


@pytest.fixture
def shop_with_wal(shop):
    """A backup, two complete segments behind it, and a tail."""
    shop.backup = shop.back_up(FULL)
    shop.server.sql("insert into a values (-1)")
    shop.server.sql("select pg_switch_wal()")
    shop.server.sql("insert into a values (-2)")
    shop.server.sql("select pg_switch_wal()")
    shop.server.sql("insert into a values (-3)")
    shop.ship_wal(shop.backup.start_lsn)
    return shop


def assert_not_started(shop, done, words):
    assert done.returncode == 1, done.stdout
    assert words in done.stdout
    assert not (shop.place / "recovered/recovery.signal").exists()


def test_a_hole_in_the_log_is_refused_before_the_server_starts_and_what_lies_before_it_can_be_had(shop_with_wal):
    shop = shop_with_wal
    *before, missing, _ = shop.held_segments()
    shop.remove_from_wal(missing)
    assert_not_started(shop, shop.follow_the_page([FULL]), f"segment {missing} is missing")
    for path in ("work", "recovered"):
        shutil.rmtree(shop.place / path)
    done = shop.follow_the_page([FULL], LAST_SEGMENT=before[-1])
    assert done.returncode == 0, done.stdout
    try:
        wait_until(lambda: shop.ask_recovered("select pg_is_in_recovery()") == ["f"], "the end of the recovery")
        assert shop.ask_recovered("select id from a where id < 0") == ["-1"]
    finally:
        shop.stop_recovered()


def test_the_first_segment_that_is_missing_is_refused_before_the_server_starts(shop_with_wal):
    missing = shop_with_wal.held_segments()[0]
    shop_with_wal.remove_from_wal(missing)
    assert_not_started(shop_with_wal, shop_with_wal.follow_the_page([FULL]), f"segment {missing} is missing")


def test_a_segment_without_its_data_is_refused(shop_with_wal):
    segment = shop_with_wal.held_segments()[1]
    (data,) = (shop_with_wal.root / "postgres/orders").glob(f"*/wal/*/{segment}.zst.age")
    data.unlink()
    assert_not_started(shop_with_wal, shop_with_wal.follow_the_page([FULL]), "is damaged")


def test_a_tail_with_segments_behind_it_is_a_hole(shop_with_wal):
    shop, segment = shop_with_wal, shop_with_wal.held_segments()[1]
    archive = shop.repository.wal(ORDERS, shop.facts.system_identifier, shop.facts.segment_bytes)
    content = b"".join(archive.fetch_segment(WalSegment.parse(segment)))
    shop.remove_from_wal(segment)
    archive.put_tail(WalSegment.parse(segment), 0, content[:8192])
    assert_not_started(shop, shop.follow_the_page([FULL]), f"segment {segment} is not complete")


def test_a_segment_that_vanishes_behind_the_check_stops_the_server_and_is_not_the_end_of_the_log(shop_with_wal):
    segment = shop_with_wal.held_segments()[1]
    done = shop_with_wal.follow_the_page([FULL], before_start=f'rm "$WORK/wal/{segment}"')
    assert done.returncode == 1, done.stdout
    assert "could not restore file" in done.stdout
    control = shop_with_wal.server.program("pg_controldata", str(shop_with_wal.place / "recovered")).stdout
    assert "in archive recovery" in control


def test_the_page_follows_a_promotion_to_another_timeline(shop_with_wal):
    """In the middle of a segment, which is taken from the timeline that goes on."""
    shop, server = shop_with_wal, shop_with_wal.server
    server.stop()
    server.settings |= {"restore_command": "false", "recovery_target_timeline": "current"}
    (server.data / "recovery.signal").touch()
    server.start()
    wait_until(lambda: server.sql("select pg_is_in_recovery()") == [(False,)], "the promotion")
    server.sql("insert into a values (-4)")
    server.sql("select pg_switch_wal()")
    server.sql("insert into a values (-5)")
    archive = shop.repository.wal(ORDERS, shop.facts.system_identifier, shop.facts.segment_bytes)
    archive.put_history(2, (server.data / "pg_wal/00000002.history").read_bytes())
    shop.ship_wal(shop.backup.start_lsn, timeline=2)
    server.kill_everything()
    done = shop.follow_the_page([FULL], TIMELINE="00000002")
    assert done.returncode == 0, done.stdout
    try:
        wait_until(lambda: shop.ask_recovered("select pg_is_in_recovery()") == ["f"], "the end of the recovery")
        assert shop.ask_recovered("select id from a where id < 0 order by id desc") == ["-1", "-2", "-3", "-4", "-5"]
    finally:
        shop.stop_recovered()


def test_the_page_names_no_tool_that_a_rescue_machine_lacks():
    commands = "\n".join(commands_of(recovery_page(Sealing.AGE)))
    assert "understudy" not in commands
    assert "pipefail" not in commands
    assert "python" not in commands.partition("KIND=files")[0]


def test_what_the_page_says_in_python_needs_no_package():
    program = recovery_page(Sealing.AGE).partition("place.py\" << 'END' || exit 1\n")[2].partition("\nEND\n")[0]
    imports = [node for node in ast.walk(ast.parse(program, feature_version=(3, 6))) if isinstance(node, ast.Import)]
    assert {alias.name for node in imports for alias in node.names} <= sys.stdlib_module_names - {"understudy"}
    assert imports
