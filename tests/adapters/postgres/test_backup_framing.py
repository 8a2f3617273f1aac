"""How PostgreSQL 13 and 14 frame a base backup: a COPY for each archive and one for the manifest.

No server of these versions is to be had here. So the answers are scripted, after the manual of 14, "Streaming Replication
Protocol" → ``BASE_BACKUP``, and after what ``pg_basebackup.c`` of 14 expects: a COPY for each tablespace in the order in which
they were named, the data directory's last, none with the two zero blocks that end a tar; then the manifest's; then a row with the
position that closes the backup, and the end of the command. A COPY that fails ends like any other; the error comes next.
"""

import contextlib
import io
import tarfile
from dataclasses import dataclass

import psycopg
import pytest
from psycopg import pq

from understudy.adapters.postgres.backup_framing import ArchiveBegins, ManifestBegins, events
from understudy.adapters.postgres.base_backup import ProtocolBaseBackup
from understudy.ports.database import BackupStart, BackupStop, Tablespace
from understudy.vocabulary.wal import Lsn, Timeline

END_OF_TAR = bytes(1024)
STOP = BackupStop(Lsn.parse("0/3000100"), Timeline(7))
FIRST, SECOND = 16400, 16390


@dataclass
class Answer:
    """A result of libpq's; of one that opens a COPY, what is copied."""

    status: pq.ExecStatus
    rows: tuple[tuple[bytes | None, ...], ...] = ()
    copied: tuple[bytes, ...] = ()

    @property
    def ntuples(self):
        return len(self.rows)

    @property
    def nfields(self):
        return len(self.rows[0]) if self.rows else 0

    def get_value(self, row, column):
        return self.rows[row][column]


class ScriptedCopies:
    """A ``CopyStream`` that gives the answers of a script, and raises the errors in it."""

    def __init__(self, *script):
        self._left = list(script)
        self._pieces = iter(())

    def result(self):
        if next(self._pieces, None) is not None:
            raise AssertionError("a result was asked for before the COPY was read to its end")
        answer = self._left.pop(0) if self._left else None
        if isinstance(answer, psycopg.Error):
            raise answer
        self._pieces = iter(answer.copied if answer is not None else ())
        return answer

    def piece(self):
        piece = next(self._pieces, None)
        return None if piece is None else memoryview(piece)

    def finish(self):
        while self.result() is not None:
            pass


def copy_of(*pieces):
    return Answer(pq.ExecStatus.COPY_OUT, copied=pieces)


def closing(position=(b"0/3000100", b"7")):
    return Answer(pq.ExecStatus.TUPLES_OK, rows=(position,)), Answer(pq.ExecStatus.COMMAND_OK)


def unended_tar(name, content):
    """As these servers send it: each member padded, no zero blocks behind the last one."""
    whole = io.BytesIO()
    member = tarfile.TarInfo(name)
    member.size = len(content)
    with tarfile.open(fileobj=whole, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        tar.addfile(member, io.BytesIO(content))
    return whole.getvalue()[: 512 + len(content) + -len(content) % 512]


def backup(copies, *oids):
    start = BackupStart(
        Lsn.parse("0/3000028"), Timeline(7), tuple(Tablespace(oid, f"space{oid}", f"/srv/{oid}") for oid in oids), None
    )
    return ProtocolBaseBackup(start, events(copies, 140011, oids), contextlib.nullcontext())


def taken(stream):
    archives = [(each.tablespace_oid, b"".join(each.chunks)) for each in stream.archives()]
    return archives, b"".join(stream.manifest()), stream.stop()


def test_archives_come_as_the_server_named_their_tablespaces_then_the_data_directory_the_manifest_and_the_stop():
    sent = {oid: unended_tar(f"of-{oid}", b"x" * 700) for oid in (FIRST, SECOND, None)}
    copies = ScriptedCopies(
        copy_of(sent[FIRST][:100], sent[FIRST][100:]),
        copy_of(sent[SECOND]),
        copy_of(*(sent[None][at : at + 512] for at in range(0, len(sent[None]), 512))),
        copy_of(b'{ "PostgreSQL-Backup-', b'Manifest-Version": 1 }'),
        *closing(),
    )
    stream = backup(copies, FIRST, SECOND)
    archives, manifest, stop = taken(stream)
    assert [oid for oid, _ in archives] == [FIRST, SECOND, None]
    assert {oid: content.removesuffix(END_OF_TAR) for oid, content in archives} == sent
    for oid, content in archives:
        with tarfile.open(fileobj=io.BytesIO(content), ignore_zeros=False) as tar:
            assert tar.getnames() == [f"of-{oid}"]
    assert manifest == b'{ "PostgreSQL-Backup-Manifest-Version": 1 }'
    assert stop == STOP
    assert stream.ended


def test_the_end_that_each_tar_lacks_is_supplied_once_also_for_an_empty_tablespace():
    copies = ScriptedCopies(copy_of(), copy_of(b"the data directory"), copy_of(b"manifest"), *closing())
    archives, _, _ = taken(backup(copies, FIRST))
    assert archives == [(FIRST, END_OF_TAR), (None, b"the data directory" + END_OF_TAR)]


def test_a_cluster_without_tablespaces_is_one_archive():
    copies = ScriptedCopies(copy_of(b"tar"), copy_of(b"manifest"), *closing())
    kinds = [event if not isinstance(event, memoryview) else bytes(event) for event in events(copies, 130000, ())]
    assert kinds == [ArchiveBegins(None), b"tar", END_OF_TAR, ManifestBegins(), b"manifest", STOP]


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_an_error_within_a_copy_is_raised_and_what_it_cut_short_never_looks_complete(failing):
    """A tar that was cut short and ended all the same would be blamed for the fault instead of the server's own words."""
    fault = psycopg.errors.ObjectNotInPrerequisiteState("the standby was promoted during online backup")
    script = [copy_of(b"of a tablespace"), copy_of(b"of the data directory"), copy_of(b"of the manifest")]
    copies = ScriptedCopies(*script[: failing + 1], fault)
    seen = []
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
        _collect(events(copies, 140011, [FIRST]), seen)
    assert sum(isinstance(event, memoryview) and event == END_OF_TAR for event in seen) == failing
    assert not any(isinstance(event, BackupStop) for event in seen)
    assert bytes(seen[-1]) == script[failing].copied[-1]


def _collect(incoming, seen):
    for event in incoming:
        seen.append(event)


def test_an_error_behind_the_last_archive_of_a_whole_piece_reaches_whoever_reads_it_as_itself():
    """Pieces are put together to 1 MiB: the one that gets full with the end of the tar must not be handed on before the error."""
    fault = psycopg.errors.ObjectNotInPrerequisiteState("the standby was promoted during online backup")
    copies = ScriptedCopies(copy_of(bytes(2**20 - 1024)), fault)
    stream = backup(copies)
    archive = next(stream.archives())
    chunks = []
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState):
        _collect(archive.chunks, chunks)
    assert chunks == []
    assert not stream.ended


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ([Answer(pq.ExecStatus.COMMAND_OK)], "COMMAND_OK where COPY_OUT belongs"),
        ([copy_of(b"tar")], "nothing where COPY_OUT belongs"),
        ([copy_of(b"tar"), copy_of(b"manifest")], "nothing where TUPLES_OK belongs"),
        ([copy_of(b"tar"), copy_of(b"manifest"), copy_of(b"?")], "COPY_OUT where TUPLES_OK belongs"),
    ],
    ids=["no copy", "no manifest", "no stop", "one copy too many"],
)
def test_an_answer_out_of_turn_is_told_with_what_belongs_there(script, words):
    with pytest.raises(psycopg.OperationalError, match=words):
        list(events(ScriptedCopies(*script), 140011, []))


def test_an_error_that_closes_the_command_is_not_lost_behind_the_stop():
    stop, _ = closing()
    copies = ScriptedCopies(
        copy_of(b"tar"), copy_of(b"manifest"), stop, psycopg.errors.DataCorrupted("checksum verification failure")
    )
    with pytest.raises(psycopg.errors.DataCorrupted):
        list(events(copies, 140011, []))


def test_a_message_of_a_kind_that_nobody_knows_ends_a_backup_of_15_and_newer():
    copies = ScriptedCopies(copy_of(b"nbase.tar\0\0", b"dtar", b"x?"))
    seen = []
    with pytest.raises(psycopg.OperationalError, match="unknown kind 0x78"):
        _collect(events(copies, 150001, []), seen)
    assert seen[0] == ArchiveBegins(None)
    assert bytes(seen[1]) == b"tar"
