import threading

import pytest

from understudy.repository.handoff import Handoff, ReceiverGone


def in_thread(action):
    """Start it; the result is a call that waits for its end and raises what it raised."""
    outcome: list[BaseException] = []

    def run():
        try:
            action()
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()

    def joined():
        thread.join(timeout=30)
        assert not thread.is_alive()
        if outcome:
            raise outcome[0]

    return joined


def test_everything_arrives_in_order_and_ends():
    handoff, taken = Handoff(10), []
    receiver = in_thread(lambda: taken.extend(handoff))
    for number in range(200):
        handoff.send(bytes([number]) * 7)
    handoff.close()
    receiver()
    assert taken == [bytes([number]) * 7 for number in range(200)]


def test_a_sender_waits_when_the_bytes_that_wait_reach_the_limit():
    handoff = Handoff(10)
    handoff.send(b"x" * 10)
    sender = in_thread(lambda: handoff.send(b"y"))
    pieces = iter(handoff)
    assert next(pieces) == b"x" * 10
    sender()
    assert next(pieces) == b"y"


def test_a_sender_that_waits_is_woken_when_the_receiver_is_gone():
    handoff = Handoff(1)
    handoff.send(b"x")
    sender = in_thread(lambda: handoff.send(b"y"))
    handoff.abandon()
    with pytest.raises(ReceiverGone):
        sender()


def test_a_receiver_that_waits_sees_the_senders_failure():
    handoff = Handoff(10)
    receiver = in_thread(lambda: list(handoff))
    handoff.fail(ValueError("broken"))
    with pytest.raises(ValueError, match="broken"):
        receiver()


def test_after_a_failure_nothing_is_taken_for_the_whole():
    handoff = Handoff(10)
    handoff.send(b"half")
    handoff.fail(ValueError("broken"))
    with pytest.raises(ValueError, match="broken"):
        list(handoff)
