"""What every ``WalReceiver`` promises."""

from collections.abc import Callable

import pytest

from tests.servers.processes import wait_until
from understudy.ports.wal_receiver import WalReceiver
from understudy.vocabulary.errors import GiveUp


class WalReceiverContract:
    """Inherit, and supply ``receiver``, not started yet, and ``write_segments(count)``, which completes so many on its server."""

    @pytest.fixture
    def receiver(self) -> WalReceiver:
        raise NotImplementedError

    @pytest.fixture
    def write_segments(self) -> Callable[[int], None]:
        raise NotImplementedError

    @pytest.fixture
    def segments(self, receiver, write_segments):
        """Three complete ones, ascending; the receiver runs."""
        receiver.ensure_running()
        write_segments(3)
        wait_until(lambda: len(receiver.spool().segments) >= 3, "three complete segments")
        return receiver.spool().segments

    def test_before_it_was_started_nothing_runs_and_nothing_is_spooled(self, receiver):
        assert not receiver.facts().running
        assert receiver.spool().segments == ()
        assert receiver.spool().partial is None
        receiver.stop()

    def test_starting_twice_is_starting_once(self, receiver):
        first = receiver.ensure_running()
        assert first.running
        assert receiver.ensure_running().pid == first.pid == receiver.facts().pid

    def test_stopped_it_is_gone_and_can_be_started_again(self, receiver):
        first = receiver.ensure_running()
        receiver.stop()
        receiver.stop()
        assert not receiver.facts().running
        assert receiver.ensure_running().pid != first.pid

    def test_complete_segments_ascend_without_a_hole_and_are_of_their_size(self, receiver, segments):
        numbers = [segment.number for segment in segments]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        for segment in segments:
            assert receiver.read_segment(segment).size_bytes == segment.size_bytes

    def test_the_stream_goes_on_without_a_hole_after_a_stop(self, receiver, segments, write_segments):
        receiver.stop()
        write_segments(2)
        receiver.ensure_running()
        wait_until(lambda: len(receiver.spool().segments) >= len(segments) + 2, "the segments written meanwhile")
        numbers = [segment.number for segment in receiver.spool().segments]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))

    def test_the_tail_of_a_complete_segment_is_its_content_up_to_the_zeros(self, receiver, segments):
        content = b"".join(receiver.read_segment(segments[0]))
        tail = b"".join(receiver.read_tail(segments[0], 1000))
        assert tail[-1] != 0
        assert content[1000:] == tail.ljust(len(content) - 1000, b"\0")
        assert b"".join(receiver.read_tail(segments[0], 1000 + len(tail))) == b""

    def test_forgetting_everything_leaves_the_newest_complete_segment(self, receiver, segments):
        receiver.stop()
        complete = receiver.spool().segments
        receiver.forget(complete)
        receiver.forget(complete)
        assert receiver.spool().segments == complete[-1:]
        assert receiver.spool().size_bytes < len(complete) * segments[0].size_bytes

    def test_a_forgotten_segment_cannot_be_read(self, receiver, segments):
        receiver.forget(segments[:1])
        for read in (lambda: b"".join(receiver.read_segment(segments[0])), lambda: b"".join(receiver.read_tail(segments[0], 0))):
            with pytest.raises(GiveUp) as refused:
                read()
            assert refused.value.code == "segment_missing"

    def test_quarantined_segments_are_moved_not_removed(self, receiver, segments):
        place = receiver.quarantine(segments, "a test of it")
        assert set(segments).isdisjoint(receiver.spool().segments)
        assert place
        assert not receiver.facts().running
