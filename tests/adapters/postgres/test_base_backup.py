import io
import json
import tarfile
import time
from dataclasses import dataclass
from operator import methodcaller

import google_crc32c
import pytest

from tests.servers.flavours import Flavour
from tests.servers.processes import wait_until
from understudy.adapters.clock.system import SystemClock
from understudy.adapters.postgres.backup_framing import command
from understudy.adapters.postgres.database import PostgresDatabase
from understudy.ports.database import BackupStart, BackupStop, BaseBackupRequest
from understudy.vocabulary.errors import GiveUp, TryAgain
from understudy.vocabulary.secret import Secret


@dataclass(frozen=True)
class Taken:
    start: BackupStart
    stop: BackupStop
    archives: dict[int | None, bytes]
    manifest: bytes

    def files(self) -> dict[str, bytes]:
        """Contents by path as the manifest names them."""
        found = {}
        for oid, archive in self.archives.items():
            with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
                for member in tar:
                    if member.isreg():
                        path = member.name.removeprefix("./") if oid is None else f"pg_tblspc/{oid}/{member.name}"
                        found[path] = tar.extractfile(member).read()
        return found


def database(server):
    return PostgresDatabase(Secret(server.replication_url), SystemClock())


def take(asked, **options) -> Taken:
    with asked.base_backup(BaseBackupRequest('understudy\'s "label"', **options)) as stream:
        archives = {each.tablespace_oid: b"".join(each.chunks) for each in stream.archives()}
        manifest = b"".join(stream.manifest())
        return Taken(stream.start, stream.stop(), archives, manifest)


def walsenders(server) -> int:
    return server.sql("select count(*) from pg_stat_activity where backend_type = 'walsender'")[0][0]


def assert_agrees_with_its_manifest(taken: Taken) -> None:
    files = taken.files()
    listed = {entry["Path"]: entry for entry in json.loads(taken.manifest)["Files"]}
    assert set(files) == set(listed)
    for path, entry in listed.items():
        assert len(files[path]) == entry["Size"], path
        checksum = google_crc32c.value(files[path]).to_bytes(4, "little").hex()
        assert checksum == entry["Checksum"], path


@pytest.mark.parametrize("flavour", list(Flavour))
def test_a_backup_holds_what_pg_basebackup_copies(postgres_servers, flavour):
    server = postgres_servers(flavour, settings={"autovacuum": "off"})
    server.sql("create table t as select generate_series(1, 50000) as id; checkpoint")
    taken = take(database(server))
    assert taken.start.timeline == taken.stop.timeline == 1
    assert taken.start.lsn < taken.stop.lsn
    assert taken.start.estimated_bytes > 10_000_000
    assert_agrees_with_its_manifest(taken)
    server.program("pg_basebackup", "-D", str(server.directory / "copy"), "-X", "none", "-c", "fast", "--no-sync")
    copy = server.directory / "copy"
    theirs = {str(path.relative_to(copy)): path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    ours = taken.files()
    differ_by_time = {"backup_label", "backup_manifest", "global/pg_control"}
    assert ours.pop("tablespace_map") == b""  # sent with every tar, like pg_basebackup -Ft
    assert set(ours) | {"backup_manifest"} == set(theirs)
    assert [path for path in ours if path not in differ_by_time and ours[path] != theirs[path]] == []


def test_two_tablespaces_come_in_one_stream(postgres_servers):
    server = postgres_servers()
    places = {name: server.new_directory(name) for name in ("first", "second")}
    for name, place in places.items():
        server.sql(f"create tablespace {name} location '{place}'")
        server.sql(f"create table in_{name} tablespace {name} as select 1 as id")
    taken = take(database(server))
    assert {(each.name, each.location) for each in taken.start.tablespaces} == {(n, str(p)) for n, p in places.items()}
    assert set(taken.archives) == {None, *(each.oid for each in taken.start.tablespaces)}
    assert_agrees_with_its_manifest(taken)
    assert str(places["first"]) in taken.files()["tablespace_map"].decode()


def test_chunks_are_large_whatever_the_server_sends(postgres_servers):
    server = postgres_servers()
    with database(server).base_backup(BaseBackupRequest("x")) as stream:
        sizes = [len(chunk) for chunk in next(stream.archives()).chunks]
    assert all(1_000_000 <= size < 1_200_000 for size in sizes[:-1])


def test_a_backup_over_tls(postgres_servers):
    server = postgres_servers(Flavour.DEBIAN_15, tls=True)
    server.sql("create table t as select generate_series(1, 500000) as id")
    assert_agrees_with_its_manifest(take(database(server)))


def test_a_backup_from_a_standby(postgres_servers):
    server = postgres_servers()
    standby = server.make_standby()
    taken = take(database(standby))
    assert "BACKUP FROM: standby" in taken.files()["backup_label"].decode()
    assert_agrees_with_its_manifest(taken)


def test_an_incremental_backup_is_smaller_and_names_its_parent(postgres_servers):
    server = postgres_servers(Flavour.WHEEL_18)
    server.sql("create table t as select generate_series(1, 200000) as id")
    full = take(database(server))
    server.sql("insert into t values (0)")
    pieces = [full.manifest[offset : offset + 1000] for offset in range(0, len(full.manifest), 1000)]
    incremental = take(database(server), incremental=True, parent_manifest=pieces)
    files = incremental.files()
    assert "INCREMENTAL FROM LSN" in files["backup_label"].decode()
    assert any("/INCREMENTAL." in path for path in files)
    assert sum(map(len, files.values())) < sum(map(len, full.files().values())) / 2
    assert_agrees_with_its_manifest(incremental)


def refusal_of_incremental(server, manifest: bytes) -> GiveUp:
    with pytest.raises(GiveUp) as refused:
        take(database(server), incremental=True, parent_manifest=[manifest])
    assert refused.value.code == "incremental_refused"
    return refused.value


def test_an_incremental_backup_is_refused_with_the_servers_words(postgres_servers):
    server = postgres_servers(Flavour.WHEEL_18)
    manifest = take(database(server)).manifest
    assert "manifest" in refusal_of_incremental(server, b"nonsense" * 100_000).found
    other = postgres_servers(Flavour.WHEEL_18, fresh=True)
    assert "system identifier" in refusal_of_incremental(other, manifest).found
    server.sql("alter system set summarize_wal = off")
    server.settings["summarize_wal"] = "off"
    server.restart()
    assert "summar" in refusal_of_incremental(server, manifest).found
    wait_until(lambda: walsenders(server) == 0, "the refused backups' connections to end")


@pytest.mark.parametrize("flavour", [Flavour.DEBIAN_15, Flavour.WHEEL_16])
def test_an_incremental_backup_of_an_older_major_is_refused(postgres_servers, flavour):
    assert "PostgreSQL" in refusal_of_incremental(postgres_servers(flavour), b"{}").found


def test_a_rate_that_was_asked_for_is_not_exceeded(postgres_servers):
    server = postgres_servers()
    begun = time.monotonic()
    taken = take(database(server), max_rate_kilobytes=16384)
    seconds = time.monotonic() - begun
    size_bytes = sum(map(len, taken.archives.values()))
    assert size_bytes > 16_000_000
    # The server looks eight times a second (basebackup_throttle.c): it waits for the last eighth no more.
    assert seconds >= size_bytes / (16384 * 1024) - 1 / 8


def test_leaving_early_ends_the_backup_on_the_server(postgres_servers):
    server = postgres_servers()
    with database(server).base_backup(BaseBackupRequest("x", max_rate_kilobytes=1024)) as stream:
        chunks = next(stream.archives()).chunks
        next(chunks)
        assert walsenders(server) == 1
    assert walsenders(server) == 0
    assert "database system" not in server.log_text().rpartition("ready to accept")[2]


def test_a_fault_of_the_consumer_ends_the_backup_on_the_server(postgres_servers):
    server = postgres_servers()
    with pytest.raises(ZeroDivisionError), database(server).base_backup(BaseBackupRequest("x")):
        1 / 0  # noqa: B018
    assert walsenders(server) == 0


@pytest.mark.parametrize("end", [methodcaller("kill_everything"), methodcaller("stop", "immediate")], ids=["kill", "stop"])
def test_a_server_that_ends_in_the_middle_is_a_passing_fault(postgres_servers, end):
    server = postgres_servers()
    with (
        pytest.raises(TryAgain) as broken,
        database(server).base_backup(BaseBackupRequest("x", max_rate_kilobytes=1024)) as stream,
    ):
        for archive in stream.archives():
            for _ in archive.chunks:
                end(server)
    assert broken.value.code == "database_unreachable"


def test_a_standby_promoted_in_the_middle_is_a_passing_fault(postgres_servers):
    standby = postgres_servers().make_standby()
    promoted = False
    with pytest.raises(TryAgain) as broken, database(standby).base_backup(BaseBackupRequest("x")) as stream:
        for archive in stream.archives():
            for _ in archive.chunks:
                if not promoted:
                    standby.promote()
                    promoted = True
        b"".join(stream.manifest())
    assert broken.value.code == "backup_interrupted"
    assert "promoted" in broken.value.found


def test_a_standby_whose_primary_writes_no_full_pages_is_refused_with_the_servers_own_advice(postgres_servers):
    """Trying again would be of no use: nothing changes unless somebody changes the primary."""
    primary = postgres_servers(settings={"full_page_writes": "off"})
    standby = primary.make_standby()
    primary.sql("create table t as select generate_series(1, 1000) as id; checkpoint")
    [(flushed,)] = primary.sql("select pg_current_wal_flush_lsn()::text")
    replayed = f"select pg_last_wal_replay_lsn() >= '{flushed}'"
    wait_until(lambda: standby.sql(replayed) == [(True,)], "the standby to have it")
    standby.sql("checkpoint")
    with pytest.raises(GiveUp) as refused:
        take(database(standby))
    assert refused.value.code == "backup_refused"
    assert "full_page_writes" in refused.value.found
    assert "full_page_writes" in refused.value.hint


def test_a_page_with_a_wrong_checksum_fails_the_backup_and_names_the_file(postgres_servers):
    server = postgres_servers()
    server.sql("create table t as select generate_series(1, 10000) as id; checkpoint")
    relation = server.sql("select pg_relation_filepath('t')")[0][0]
    server.stop()
    path = server.data / relation
    content = bytearray(path.read_bytes())
    content[8192 + 4000] ^= 1
    path.write_bytes(content)
    server.start()
    with pytest.raises(GiveUp) as corrupt:
        take(database(server))
    assert corrupt.value.code == "source_corrupt"
    assert relation in corrupt.value.found


def test_the_command_of_majors_before_15_has_their_grammar():
    request = BaseBackupRequest("it's", max_rate_kilobytes=100)
    assert command(request, 140010) == (
        "BASE_BACKUP LABEL 'it''s' PROGRESS FAST NOWAIT MAX_RATE 100 TABLESPACE_MAP MANIFEST 'yes' MANIFEST_CHECKSUMS 'CRC32C'"
    )
    assert "CHECKPOINT 'fast'" in command(request, 150001)
