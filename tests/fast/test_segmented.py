"""Segmented fan-out: the packets of one tick leave together, listener by listener."""

from __future__ import annotations

import pytest

from sfu.fast import Batch, Forwarder
from tests.fast.peer import TALK, Heard, Listener, Talker, batch_of, drained, take_apart

NOW = 10.0
HOLD_S = 0.020


class Room:
    """Slots with a talker each, and listeners that carry all of them; one audience."""

    def __init__(self, talkers: int = 3, listeners: int = 2, *, segmented: bool = True) -> None:
        self.forwarder = Forwarder()
        self.audience = self.forwarder.add_audience()
        self.forwarder.set_segmented(self.audience, segmented)
        self.slots = [self.forwarder.add_slot(self.audience) for _ in range(talkers)]
        self.talkers = [Talker(number + 1, self.forwarder) for number in range(talkers)]
        for slot, talker in zip(self.slots, self.talkers, strict=True):
            self.forwarder.assign(slot, talker.source, NOW)
        self.listeners = [Ear(100 + n, self.forwarder, self.slots) for n in range(listeners)]

    def send(
        self, now: float, *said: tuple[Talker, bytes], outbox: Batch | None = None
    ) -> list[tuple[bytes, bytes]]:
        """What goes out when these packets come in."""
        inbox = batch_of(*((data, talker.address) for talker, data in said))
        self.forwarder.receive(inbox, now)
        return drained(self.forwarder, outbox)

    def flush(self, now: float) -> list[tuple[bytes, bytes]]:
        """What goes out when time passes."""
        self.forwarder.flush(now)
        return drained(self.forwarder)


class Ear(Listener):
    """A client with an egress for each slot."""

    def __init__(self, number: int, forwarder: Forwarder, slots: list[int]) -> None:
        super().__init__(number, forwarder, ssrc=1)
        forwarder.subscribe(self.egress, forwarder.slot_stream(slots[0]))
        for ssrc, slot in enumerate(slots[1:], 2):
            egress = forwarder.add_egress(
                self.transport,
                ssrc=ssrc,
                payload_type=111,
                first_sequence=100,
                first_timestamp=0,
                echo_group=number,
            )
            forwarder.subscribe(egress, forwarder.slot_stream(slot))

    def plain(self, data: bytes) -> tuple[Heard, int]:
        """The packet without its padding, and how much of that there was."""
        plain = self._down.unprotect(data)
        padding = plain[-1] if plain[0] & 0x20 else 0
        return take_apart(bytes([plain[0] & ~0x20]) + plain[1 : len(plain) - padding]), padding


def test_a_complete_tick_leaves_at_once_one_listener_after_the_other() -> None:
    room = Room()
    a, b, c = room.talkers
    for talker in room.talkers:  # everybody has begun to talk
        room.send(NOW, (talker, talker.talk()))
    room.flush(NOW + HOLD_S)
    assert room.send(NOW + 0.020, (a, a.talk())) == []
    assert room.send(NOW + 0.025, (b, b.talk(TALK[:40]))) == []
    sent = room.send(NOW + 0.030, (c, c.talk(TALK[:60])))
    assert [address for _, address in sent] == [
        ear.address for ear in room.listeners for _ in "abc"
    ]
    assert room.forwarder.next_flush() is None
    for ear, part in zip(room.listeners, (sent[:3], sent[3:]), strict=True):
        heard = [ear.plain(data) for data, _ in part]
        assert [packet.payload for packet, _ in heard] == [TALK, TALK[:40], TALK[:60]]
        assert [packet.csrcs for packet, _ in heard] == [(1,), (2,), (3,)]
        assert len(part[0][0]) == len(part[1][0]) > len(part[2][0])
        assert [padding > 0 for _, padding in heard] == [False, True, False]


def test_whoever_talks_alone_does_not_wait() -> None:
    room = Room()
    a = room.talkers[0]
    for step in range(5):
        assert len(room.send(NOW + 0.02 * step, (a, a.talk()))) == len(room.listeners)
    assert room.forwarder.counters()["held_us"] == 0


def test_a_tick_that_stays_incomplete_leaves_after_20_ms() -> None:
    room = Room()
    a, b, _ = room.talkers
    for talker in (a, b):
        room.send(NOW, (talker, talker.talk()))
    room.flush(NOW + HOLD_S)
    assert room.send(NOW + 0.03, (a, a.talk())) == []
    assert room.forwarder.next_flush() == pytest.approx(NOW + 0.03 + HOLD_S)
    assert room.flush(NOW + 0.049) == []
    assert len(room.flush(NOW + 0.05)) == len(room.listeners)
    assert room.forwarder.next_flush() is None


def test_a_due_tick_leaves_before_the_next_datagram_is_looked_at() -> None:
    """Also when nobody called `flush` in time."""
    room = Room()
    a, b, _ = room.talkers
    for talker in (a, b):
        room.send(NOW, (talker, talker.talk()))
    room.flush(NOW + HOLD_S)
    room.send(NOW + 0.02, (a, a.talk()))
    sent = room.send(NOW + 0.045, (a, a.talk()))
    ear = room.listeners[0]
    heard = [ear.plain(data)[0] for data, address in sent if address == ear.address]
    assert [packet.csrcs for packet in heard] == [(1,)]


@pytest.mark.parametrize("datagrams", [1, 2, 5])
def test_what_listeners_hear_is_what_they_hear_without(datagrams: int) -> None:
    """Same packets, same numbers, whatever the size of the outbox."""
    heard = []
    for segmented in (False, True):
        room = Room(segmented=segmented)
        sent: list[tuple[bytes, bytes]] = []
        for step in range(30):
            now = NOW + 0.02 * step
            for index, talker in enumerate(room.talkers):
                if step % 7 != index:  # somebody always misses a step
                    data = talker.talk(TALK[: 20 + 7 * ((step * 5 + index) % 9)])
                    outbox = Batch(datagrams, 4096)
                    sent += room.send(now + 0.004 * index, (talker, data), outbox=outbox)
                else:
                    talker.timestamp += 960
        sent += room.flush(NOW + 1.0)
        heard.append(
            [
                sorted(
                    (packet.ssrc, packet.sequence, packet.timestamp, packet.csrcs, packet.payload)
                    for data, address in sent
                    if address == ear.address
                    for packet in [ear.plain(data)[0]]
                )
                for ear in room.listeners
            ]
        )
    assert heard[0] == heard[1]
    assert len(heard[0][0]) > 70


def test_nobody_gets_an_own_packet_back() -> None:
    room = Room()
    a, b, _ = room.talkers
    egress = room.forwarder.add_egress(
        a.transport, ssrc=9, payload_type=111, first_sequence=1, first_timestamp=0, echo_group=1
    )
    room.forwarder.subscribe(egress, room.forwarder.slot_stream(room.slots[0]))
    room.send(NOW, (a, a.talk()), (b, b.talk()))
    assert a.address not in [address for _, address in room.flush(NOW + HOLD_S)]


def test_a_slot_that_goes_takes_what_it_held_with_it() -> None:
    room = Room()
    a, b, _ = room.talkers
    for talker in (a, b):
        room.send(NOW, (talker, talker.talk()))
    room.flush(NOW + HOLD_S)
    room.send(NOW + 0.02, (a, a.talk()))
    room.forwarder.remove_slot(room.slots[0])
    assert room.forwarder.next_flush() is None
    assert room.flush(NOW + 1.0) == []


def test_switching_it_off_sends_what_was_held() -> None:
    room = Room()
    a, b, _ = room.talkers
    for talker in (a, b):
        room.send(NOW, (talker, talker.talk()))
    room.flush(NOW + HOLD_S)
    room.send(NOW + 0.02, (a, a.talk()))
    room.forwarder.set_segmented(room.audience, False)
    assert len(drained(room.forwarder)) == len(room.listeners)
    assert len(room.send(NOW + 0.04, (a, a.talk()))) == len(room.listeners)


def test_a_burst_beyond_the_limit_is_not_held() -> None:
    room = Room()
    a, b, _ = room.talkers
    for talker in (a, b):
        room.send(NOW, (talker, talker.talk()))
    room.flush(NOW + HOLD_S)
    burst = []
    for _ in range(33):
        burst.append((a, a.talk(b"\x80" + bytes(30))))  # 2.5 ms each
        a.timestamp -= 960 - 120
    assert len(room.send(NOW + 0.02, *burst)) == 32 * len(room.listeners)


def test_many_audiences_are_due_in_the_order_they_began() -> None:
    forwarder = Forwarder()
    rooms = []
    for number in range(5):
        audience = forwarder.add_audience()
        forwarder.set_segmented(audience, True)
        slots = [forwarder.add_slot(audience) for _ in range(2)]
        talkers = [Talker(10 * number + side, forwarder) for side in (1, 2)]
        for slot, talker in zip(slots, talkers, strict=True):
            forwarder.assign(slot, talker.source, NOW)
        ear = Ear(1_000 + number, forwarder, slots)
        rooms.append((talkers, ear))
        forwarder.receive(batch_of(*((t.talk(), t.address) for t in talkers)), NOW)
        drained(forwarder)
    forwarder.flush(NOW + HOLD_S)
    drained(forwarder)
    order = [3, 0, 4, 1, 2]
    for step, number in enumerate(order):
        talker = rooms[number][0][0]
        forwarder.receive(batch_of((talker.talk(), talker.address)), NOW + 0.03 + step / 1000)
        assert drained(forwarder) == []
    for step, number in enumerate(order):
        due = forwarder.next_flush()
        assert due is not None and due == pytest.approx(NOW + 0.05 + step / 1000)
        forwarder.flush(due)
        assert [address for _, address in drained(forwarder)] == [rooms[number][1].address]
    assert forwarder.next_flush() is None


def test_an_audience_with_slots_is_not_removed() -> None:
    room = Room()
    with pytest.raises(ValueError):
        room.forwarder.remove_audience(room.audience)
    for slot in room.slots:
        room.forwarder.remove_slot(slot)
    room.forwarder.remove_audience(room.audience)
    assert room.forwarder.sizes()["audiences"] == 0
    with pytest.raises(KeyError):
        room.forwarder.set_segmented(room.audience, True)


def test_what_is_held_goes_to_those_who_listened_when_it_came() -> None:
    """Whoever begins to carry a stream hears it from the next packet on, as without segments."""
    room = Room(talkers=2, listeners=1)
    a, b = room.talkers
    ear = room.listeners[0]
    stream = room.forwarder.slot_stream(room.slots[0])
    room.forwarder.subscribe(ear.egress, -1)
    for talker in room.talkers:
        room.send(NOW, (talker, talker.talk()))
    room.flush(NOW + HOLD_S)
    assert room.send(NOW + 0.02, (a, a.talk(TALK[:40]))) == []  # waits for the other
    room.forwarder.subscribe(ear.egress, stream)
    sent = room.send(NOW + 0.02, (b, b.talk()))
    assert [ear.plain(data)[0].ssrc for data, _ in sent] == [2]
    assert room.send(NOW + 0.04, (a, a.talk(TALK[:60]))) == []
    sent = room.send(NOW + 0.04, (b, b.talk()))
    heard = [ear.plain(data)[0] for data, _ in sent]
    assert [(packet.ssrc, packet.payload) for packet in heard] == [(1, TALK[:60]), (2, TALK)]
