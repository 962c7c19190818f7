"""What waits for a slow reader."""

from __future__ import annotations

from control.outbox import WRITE_BYTES, Outbox


class Transport:
    """Takes bytes, and blocks its outbox after `room` writes, from inside write as asyncio does."""

    def __init__(self, room: int = 1_000_000) -> None:
        self.room = room
        self.written: list[bytes] = []
        self.outbox = Outbox(self.write, bytes_max=10)

    def write(self, data: bytes) -> None:
        """Keep it."""
        self.written.append(data)
        self.room -= 1
        if self.room == 0:
            self.outbox.block()


def test_frames_go_out_in_order_and_together() -> None:
    """Small ones share a write."""
    transport = Transport()
    for frame in (b"a", b"b", b"c"):
        assert transport.outbox.put(frame)
    assert transport.outbox.waiting_bytes == 3
    transport.outbox.flush()
    assert transport.written == [b"abc"] and transport.outbox.waiting_bytes == 0


def test_one_write_is_bounded() -> None:
    """A large frame goes alone."""
    transport = Transport()
    big = b"x" * (WRITE_BYTES + 1)
    for frame in (b"a", big, b"b"):
        transport.outbox.put(frame)
    transport.outbox.flush()
    assert transport.written == [b"a", big, b"b"]


def test_a_blocked_transport_gets_no_more_until_it_is_unblocked() -> None:
    """What was not written keeps its order."""
    transport = Transport(room=1)
    big = b"x" * WRITE_BYTES
    transport.outbox.put(big)
    transport.outbox.put(b"later")
    transport.outbox.flush()
    assert transport.written == [big]
    transport.outbox.flush()
    assert transport.written == [big]
    transport.outbox.unblock()
    assert transport.written == [big, b"later"]


def test_the_limit_is_told() -> None:
    """Exactly at the limit is still well."""
    transport = Transport()
    assert transport.outbox.put(b"x" * 10)
    assert not transport.outbox.put(b"x")


def test_the_last_word_goes_out_though_blocked() -> None:
    """After what waits, in one write, and nothing is left."""
    transport = Transport()
    transport.outbox.block()
    transport.outbox.put(b"a")
    transport.outbox.finish(b"bye")
    assert transport.written == [b"abye"] and transport.outbox.waiting_bytes == 0
