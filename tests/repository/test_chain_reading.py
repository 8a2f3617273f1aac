"""The next backup of a chain is opened while the one before is unpacked, and a fault in it counts when it is its turn."""

import threading

import pytest

from tests.repository.packing_world import Interrupted, PackingWorld
from tests.repository.synthetic_backup import SyntheticBackup
from tests.repository.test_packing import LARGE, MEGABYTE
from tests.servers.processes import wait_until
from understudy.repository.chain_reading import ChainReader
from understudy.repository.restore_target import RestoreTarget
from understudy.vocabulary.errors import GiveUp

FIRST = {"PG_VERSION": b"18\n", "backup_label": b"first"}
SECOND = LARGE | {"backup_label": b"second"}


class Chain:
    """Two backups in one repository, and the order in which they were opened."""

    def __init__(self, directory):
        self.world = PackingWorld(directory)
        self.backups = {
            label: self.world.sealed(self.world.pack(SyntheticBackup(members), label), label)
            for label, members in (("first", FIRST), ("second", SECOND))
        }
        self.opened = []
        self.fault = None
        (directory / "target").mkdir(mode=0o700)
        self.target = RestoreTarget(directory / "target")

    def open(self, label):
        self.opened.append(label)
        if label == "second" and self.fault is not None:
            raise self.fault
        return label, self.backups[label]

    def unpack(self, reader, label, **options):
        found, backup = reader.take(label)
        assert found == label
        return self.world.unpack(backup, self.target, **options)

    def content(self):
        return {path: (self.target.directory / path).read_bytes() for path in SECOND}


@pytest.fixture
def chain(tmp_path):
    return Chain(tmp_path)


def threads_ahead():
    return [thread for thread in threading.enumerate() if thread.name.startswith("next-backup")]


def test_the_next_backup_is_opened_before_the_one_before_it_is_in_and_comes_in_whole(chain):
    with ChainReader(chain.open) as reader:
        chain.unpack(reader, "first", last_begun=lambda: reader.begin("second"))
        wait_until(lambda: chain.opened == ["first", "second"], "the second to be opened")
        chain.unpack(reader, "second")
    assert chain.opened == ["first", "second"], "each once"
    assert chain.content() == SECOND
    assert threads_ahead() == []


def test_more_than_may_wait_is_read_when_there_is_room(chain):
    with ChainReader(chain.open, ahead_bytes=MEGABYTE) as reader:
        reader.begin("second")
        chain.unpack(reader, "second")
    assert chain.content() == SECOND


def test_a_fault_in_the_next_backup_is_raised_when_it_is_its_turn(chain):
    chain.fault = GiveUp("backup_missing", found="nothing")
    with ChainReader(chain.open) as reader:
        chain.unpack(reader, "first", last_begun=lambda: reader.begin("second"))
        with pytest.raises(GiveUp, match="backup_missing"):
            reader.take("second")


def test_damage_to_what_is_read_ahead_is_noticed_like_any_other(chain):
    part = chain.world.path("second", chain.backups["second"].parts[0].name)
    content = bytearray(part.read_bytes())
    content[-100] ^= 1
    part.chmod(0o600)
    part.write_bytes(content)
    with ChainReader(chain.open) as reader:
        chain.unpack(reader, "first", last_begun=lambda: reader.begin("second"))
        with pytest.raises(GiveUp, match="part_corrupt"):
            chain.unpack(reader, "second")
    assert threads_ahead() == []


def test_what_was_begun_for_nothing_ends_with_the_chain(chain):
    with pytest.raises(Interrupted), ChainReader(chain.open, ahead_bytes=MEGABYTE) as reader:
        reader.begin("second")
        wait_until(lambda: chain.opened == ["second"], "the second to be opened")
        raise Interrupted
    assert threads_ahead() == []


def test_nothing_is_begun_while_parts_of_the_one_before_wait_for_a_worker(chain):
    """A stream that is opened hours before it is read on would have to be held open for so long."""
    done, told = [], []
    backup = chain.world.sealed(chain.world.pack(SyntheticBackup(LARGE), "several", part_bytes=2 * MEGABYTE), "several")
    assert len(backup.parts) >= 4
    chain.world.unpack(
        backup, chain.target, part_done=lambda name, _: done.append(name), last_begun=lambda: told.append(len(done)), workers=2
    )
    assert len(told) == 1
    assert told[0] >= len(backup.parts) - 2
