"""What a repository holds counts by its bytes, not by its names: real stores and spools, no server."""

import pytest

from tests.repository.sample_keys import fresh_keys
from understudy.adapters.age import choose_sealer
from understudy.adapters.clock.system import SystemClock
from understudy.adapters.files import FileStore
from understudy.adapters.postgres.database import PostgresDatabase
from understudy.adapters.postgres.receiver import PostgresWalReceiver, ReceiverOptions
from understudy.adapters.postgres.spool import WalSpool
from understudy.repository.catalog import Repository
from understudy.repository.tail_cover import cover_of
from understudy.steps.spooled_wal import spooled_wal
from understudy.steps.wal_shipping import WalShipper, forget_shipped
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import ResourceName, SystemIdentifier
from understudy.vocabulary.secret import Secret
from understudy.vocabulary.wal import Timeline, WalSegment

SIZE = 2**20
SYSTEM, ORDERS, CONTROLLER = SystemIdentifier("7400000000000000001"), ResourceName("orders"), "the-test"
FORK = b"1\t0/300000\tno recovery target specified\n"


def segment(number, timeline=1):
    return WalSegment(Timeline(timeline), number, SIZE)


def one_history(number):
    return bytes([number]) * SIZE


def another(number):
    """The same as ``one_history`` up to byte 1000."""
    return one_history(number)[:1000] + b"\xee" * (SIZE - 1000)


class Estate:
    def __init__(self, directory):
        nowhere, clock = Secret("host=/nonexistent"), SystemClock()
        options = ReceiverOptions("slot", directory / "spool", 2**30, "receiver")
        self.receiver = PostgresWalReceiver(nowhere, lambda: PostgresDatabase(nowhere, clock), clock, options)
        self.spool = WalSpool(directory / "spool")
        self.spool.prepare(SYSTEM, SIZE)
        self.store = FileStore.create(directory / "store")
        self.keys = fresh_keys()
        self.repository = Repository(self.store, choose_sealer(), self.keys)
        self.repository.claim_epoch(CONTROLLER, clock.now())
        self.archive = self.repository.wal(ORDERS, SYSTEM, SIZE)

    def shipper(self, compared=None):
        claim = self.repository.own_claim(CONTROLLER, SystemClock())
        return WalShipper(self.receiver, self.repository.wal(ORDERS, SYSTEM, SIZE), claim, compared)

    def spooled(self, number, content):
        """As the receiver does: another file under the name."""
        unfinished = self.spool.wal / f"{segment(number).name}.new"
        unfinished.write_bytes(content)
        unfinished.replace(self.spool.wal / segment(number).name)
        self.partial_path(number).unlink(missing_ok=True)

    def partial(self, number, content):
        """In place, as the receiver does when it begins the segment again."""
        path = self.partial_path(number)
        path.touch()
        with path.open("r+b") as file:
            file.write(content)
            file.truncate(SIZE)

    def partial_path(self, number):
        return self.spool.wal / f"{segment(number).name}.partial"

    def names(self):
        return sorted(path.name for path in self.spool.wal.iterdir())


@pytest.fixture
def estate(tmp_path):
    return Estate(tmp_path)


def code_of(call):
    with pytest.raises(GiveUp) as refused:
        call()
    return refused.value.code


@pytest.mark.parametrize("same_shipper", [True, False], ids=["the same shipper", "another shipper"])
def test_a_segment_of_another_history_under_a_name_that_is_stored_is_a_conflict_and_stays(estate, same_shipper):
    first = estate.shipper()
    for number in (3, 4):
        estate.spooled(number, one_history(number))
    first.ship_once()
    shipper = first if same_shipper else estate.shipper()
    estate.spooled(4, another(4))
    estate.spooled(5, another(5))
    assert code_of(shipper.ship_once) == "wal_conflict"
    assert not estate.archive.contents().holds(segment(5)), "nothing is put behind another history"
    assert forget_shipped(estate.receiver, [shipper]) == 1, "only what was compared"
    assert estate.names() == [segment(4).name, segment(5).name]
    assert b"".join(estate.archive.fetch_segment(segment(4))) == one_history(4)


def test_the_same_segment_again_is_held_once_it_was_compared_and_only_then_forgotten(estate):
    for number in (3, 4, 5, 6):
        estate.spooled(number, one_history(number))
    estate.shipper().ship_once()
    other = estate.shipper()
    other.ship_once(compare_from=segment(5))
    assert forget_shipped(estate.receiver, [other]) == 2, "the third was not compared, the sixth is the newest"
    assert estate.names() == [segment(3).name, segment(6).name]
    other.compare_once()
    assert forget_shipped(estate.receiver, [other]) == 1


def test_who_needs_only_what_follows_still_sees_that_what_is_before_is_of_another_history(estate):
    for number in (3, 4):
        estate.spooled(number, one_history(number))
    estate.shipper().ship_once()
    for number in (4, 5):
        estate.spooled(number, another(number))
    assert code_of(lambda: estate.shipper().ship_once(compare_from=segment(5))) == "wal_conflict"
    assert not estate.archive.contents().holds(segment(5))


def test_what_one_shipper_compared_the_next_need_not_read_again_unless_the_store_has_lost_it(estate):
    compared = {}
    for number in (3, 4):
        estate.spooled(number, one_history(number))
    estate.shipper(compared).ship_once()
    assert set(compared) == {segment(3), segment(4)}
    for path in estate.spool.wal.iterdir():
        path.write_bytes(path.read_bytes()[:10])  # whoever reads it fails
    known = dict(compared)
    for path in estate.spool.wal.iterdir():
        known[WalSegment.parse(path.name, SIZE)] = estate.receiver.spool().versions[WalSegment.parse(path.name, SIZE)]
    estate.shipper(known).ship_once()
    following = estate.shipper(known)
    assert forget_shipped(estate.receiver, [following]) == 0, "it has not looked yet what is there"
    for key in [found.key for found in estate.store.list("postgres/") if segment(4).name in found.key]:
        estate.store.delete(key)
    assert code_of(following.ship_once) == "segment_damaged", "it is not there any more, so it is shipped again"


@pytest.mark.parametrize("same_shipper", [True, False], ids=["the same shipper", "another shipper"])
@pytest.mark.parametrize("complete", [True, False], ids=["complete", "unfinished"])
def test_an_unfinished_segment_of_another_history_is_not_put_behind_the_tails_that_are_stored(estate, same_shipper, complete):
    first = estate.shipper()
    estate.partial(3, one_history(3)[:2000])
    first.ship_once()
    estate.partial(3, one_history(3)[:3000])
    first.ship_once()
    shipper = first if same_shipper else estate.shipper()
    if complete:
        estate.spooled(3, another(3))
    else:
        estate.partial(3, another(3)[:4000])
    assert code_of(shipper.ship_once) == "wal_conflict"
    assert b"".join(estate.archive.fetch_segment(segment(3))).rstrip(b"\0") == one_history(3)[:3000]
    assert not estate.archive.contents().holds(segment(3))


@pytest.mark.parametrize("same_shipper", [True, False], ids=["the same shipper", "another shipper"])
def test_less_of_an_unfinished_segment_than_is_stored_counts_only_once_it_is_as_much(estate, same_shipper):
    """A server that was set back, or the same one of which the receiver writes the segment again: nobody can tell yet."""
    first = estate.shipper()
    estate.partial(3, one_history(3)[:3000])
    first.ship_once()
    shipper = first if same_shipper else estate.shipper()
    estate.partial_path(3).unlink()
    estate.partial(3, another(3)[:2000])
    shipped = shipper.ship_once()
    assert (shipped.doubtful, shipped.safe) == (segment(3), segment(3).start)
    shipped = shipper.ship_once(with_tail=False)
    assert (shipped.doubtful, shipped.safe) == (segment(3), segment(3).start)
    estate.partial(3, one_history(3)[:3000])
    shipped = shipper.ship_once()
    assert (shipped.doubtful, shipped.safe) == (None, segment(3).start + 3000)
    estate.partial(3, another(3)[:3000])
    assert code_of(estate.shipper().ship_once) == "wal_conflict", "also where nothing follows on what is stored"


@pytest.mark.parametrize("same_shipper", [True, False], ids=["the same shipper", "another shipper"])
def test_tails_of_one_history_go_on_also_while_the_receiver_writes_the_segment_again(estate, same_shipper):
    first = estate.shipper()
    estate.partial(3, one_history(3)[:3000])
    first.ship_once()
    estate.partial_path(3).unlink()
    estate.partial(3, one_history(3)[:1000])
    shipper = first if same_shipper else estate.shipper()
    assert shipper.ship_once().tail_bytes == 0
    estate.partial(3, one_history(3)[:5000])
    assert shipper.ship_once().tail_bytes == 2000
    estate.spooled(3, one_history(3))
    assert shipper.ship_once().segments == 1
    assert b"".join(estate.archive.fetch_segment(segment(3))) == one_history(3)


def test_a_segment_that_is_stored_and_written_again_counts_when_it_is_complete(estate):
    for number in (3, 4):
        estate.spooled(number, one_history(number))
    estate.shipper().ship_once()
    (estate.spool.wal / segment(4).name).unlink()
    estate.partial(4, one_history(4)[:1000])
    shipper = estate.shipper()
    shipped = shipper.ship_once()
    assert (shipped.doubtful, shipped.safe) == (segment(4), segment(4).start)
    estate.spooled(4, one_history(4))
    shipped = shipper.ship_once()
    assert (shipped.doubtful, shipped.safe) == (None, segment(4).end)


def test_two_promotions_to_one_timeline_are_a_conflict(estate):
    estate.spooled(3, one_history(3))
    history = estate.spool.wal / "00000002.history"
    history.write_bytes(FORK)
    estate.shipper().ship_once()
    estate.shipper().ship_once()
    history.write_bytes(FORK.replace(b"300000", b"280000"))
    assert code_of(estate.shipper().ship_once) == "wal_conflict"


def test_a_damaged_copy_is_told_holds_up_nothing_and_keeps_its_segment_in_the_spool(estate, tmp_path):
    for number in (3, 4):
        estate.spooled(number, one_history(number))
    estate.shipper().ship_once()
    sidecar = next((tmp_path / "store").rglob(f"{segment(3).name}.json"))
    sidecar.chmod(0o600)
    sidecar.write_bytes(sidecar.read_bytes().replace(b"segment", b"sogment"))
    estate.spooled(5, one_history(5))
    shipper = estate.shipper()
    shipped = shipper.ship_once()
    assert set(shipped.damaged) == {segment(3).name}
    assert shipped.fault.code == "wal_corrupt"
    assert segment(3).name in shipped.fault.found and "move" in shipped.fault.hint
    assert (shipped.segments, shipped.safe) == (1, segment(5).end)
    assert estate.archive.contents().holds(segment(5))
    forget_shipped(estate.receiver, [shipper])
    assert estate.names() == [segment(3).name, segment(5).name]
    other = estate.shipper()
    assert other.compare_once().code == "wal_corrupt"
    assert forget_shipped(estate.receiver, [other]) == 0
    sidecar.unlink()  # as the hint says
    shipped = shipper.ship_once()
    assert (shipped.segments, shipped.fault) == (1, None)
    assert b"".join(estate.archive.fetch_segment(segment(3))) == one_history(3)


def test_a_segment_that_grows_in_small_steps_is_read_back_in_few_pieces_and_no_step_lists_what_is_there(estate):
    listings, pieces = [], 70

    class Counted:
        def list(self, prefix=""):
            listings.append(prefix)
            return estate.store.list(prefix)

        def __getattr__(self, name):
            return getattr(estate.store, name)

    estate.repository = Repository(Counted(), choose_sealer(), estate.keys)
    shipper = estate.shipper()
    for number in range(1, pieces + 1):
        estate.partial(3, one_history(3)[: 10 * number])
        if number == 40:
            shipper = estate.shipper()
        shipper.ship_once()
    assert len(listings) < 10, "at its beginning only"
    tails = [tail for tail in estate.archive.contents().tails if tail.segment == segment(3)]
    assert len(tails) == pieces + 2
    assert len(cover_of(tails)) == 2 + pieces % 32
    small = next(found.key for found in estate.store.list("postgres/") if "0000000010-0000000020.zst" in found.key)
    estate.store.delete(small)
    assert b"".join(estate.archive.fetch_segment(segment(3))) == one_history(3)[: 10 * pieces].ljust(SIZE, b"\0")


def test_small_steps_of_another_history_are_a_conflict_also_where_they_were_put_together(estate):
    shipper = estate.shipper()
    for number in range(1, 33):
        estate.partial(3, one_history(3)[: 40 * number])
        shipper.ship_once()
    estate.partial(3, another(3)[:2000])
    assert code_of(estate.shipper().ship_once) == "wal_conflict"


class WithServeBeside:
    """A receiver; right before the first piece of its spool is read, somebody else does something to that."""

    def __init__(self, receiver, beside):
        self._receiver = receiver
        self._beside = [beside]

    def __getattr__(self, name):
        return getattr(self._receiver, name)

    def _meanwhile(self):
        while self._beside:
            self._beside.pop()()

    def read_segment(self, segment):
        self._meanwhile()
        return self._receiver.read_segment(segment)

    def read_tail(self, segment, offset):
        self._meanwhile()
        return self._receiver.read_tail(segment, offset)


def serve_ships_and_forgets(estate):
    serve = estate.shipper()
    serve.ship_once()
    forget_shipped(estate.receiver, [serve])


@pytest.mark.parametrize("use", ["ship", "compare"])
def test_what_serve_has_shipped_and_let_go_of_meanwhile_is_held_and_fails_nothing(estate, use):
    estate.spooled(3, one_history(3))
    estate.shipper().ship_once()
    for number in (4, 5):
        estate.spooled(number, one_history(number))
    receiver = estate.receiver
    estate.receiver = WithServeBeside(receiver, lambda: serve_ships_and_forgets(estate))
    shipper, estate.receiver = estate.shipper(), receiver
    if use == "compare":
        assert shipper.compare_once() is None
    shipped = shipper.ship_once()
    assert (shipped.safe, shipped.segments, shipped.fault) == (segment(5).end, 0, None)
    assert estate.names() == [segment(5).name]


def test_a_segment_that_vanishes_and_is_held_nowhere_is_a_hole(estate):
    for number in (3, 4, 5):
        estate.spooled(number, one_history(number))
    receiver = estate.receiver
    estate.receiver = WithServeBeside(receiver, (estate.spool.wal / segment(4).name).unlink)
    shipper, estate.receiver = estate.shipper(), receiver
    assert code_of(shipper.ship_once) == "wal_hole"
    assert not estate.archive.contents().holds(segment(5))


def test_an_unfinished_segment_that_is_complete_and_let_go_of_meanwhile_is_looked_for_anew(estate):
    estate.partial(3, one_history(3)[:1000])

    def goes_on():
        for number in (3, 4):
            estate.spooled(number, one_history(number))
        serve_ships_and_forgets(estate)

    found = spooled_wal(WithServeBeside(estate.receiver, goes_on), SYSTEM, SIZE)
    assert (found.segments, found.tails) == ((segment(4),), ())
