"""Transport-wide numbers: who carries them, and that nothing else changes by them."""

from __future__ import annotations

import random

import pytest
from pylibsrtp import Policy, Session

from tests.fast.crowded import EVENTS, CrowdedRoom
from tests.fast.peer import GCM, PAYLOAD_TYPE, TALK, Heard, Listener, Talker, drained
from tests.fast.stage import NOW
from tests.fast.stamped import CC_ID, Room


def number_of(packet: Heard, identifier: int = CC_ID) -> int | None:
    """The transport-wide number that a packet carries."""
    values = [value for element, value in packet.elements if element == identifier]
    return int.from_bytes(values[0], "big") if values else None


@pytest.mark.parametrize("segmented", [False, True])
def test_one_sequence_runs_through_all_tracks_of_a_transport(segmented: bool) -> None:
    room = Room(segmented=segmented)
    room.stamp()
    numbers = [
        number_of(room.listener.hear(data)) if not data[0] & 0x20 else int_in_clear(data)
        for _ in range(10)
        for data in room.tick()
    ]
    assert len(numbers) >= 27
    assert numbers == list(range(len(numbers)))
    assert room.forwarder.counters()["stamped"] == len(numbers)


def int_in_clear(data: bytes) -> int:
    """The number in a packet whose extension has nothing else."""
    at = 12 + 4 * (data[0] & 0x0F)
    assert data[at : at + 4] == b"\xbe\xde\x00\x01" and data[at + 4] == CC_ID << 4 | 1
    return int.from_bytes(data[at + 5 : at + 7], "big")


def test_a_packet_without_a_number_is_as_long_as_if_none_had_been_agreed_on() -> None:
    agreed, without = (
        Room(1, level_extension=1),
        Room(1, level_extension=1, transport_cc_extension=0),
    )
    for _ in range(3):
        [[one], [other]] = agreed.tick(), without.tick()
        assert one == other
    agreed.stamp()
    without.stamp()
    [[one], [other]] = agreed.tick(), without.tick()
    assert len(one) == len(other) + 4
    assert number_of(without.listener.hear(other)) is None
    assert without.forwarder.counters()["stamped"] == 0
    agreed.stamp(False)
    [[one], [other]] = agreed.tick(), without.tick()
    assert one == other


@pytest.mark.parametrize("level", [0, 1, 20])
@pytest.mark.parametrize("mid", [b"", b"0", b"sixteen bytes 16"])
@pytest.mark.parametrize("identifier", [5, 14, 16, 255])
def test_the_number_stands_beside_level_and_mid_in_either_form(
    level: int, mid: bytes, identifier: int
) -> None:
    room = Room(
        1,
        level_extension=level,
        mid_extension=4 if mid else 0,
        mid=mid,
        transport_cc_extension=identifier,
    )
    [plain] = room.tick()
    room.stamp()
    for number in range(2):
        [data] = room.tick()
        packet, elements = room.listener.hear(data), []
        if level:
            elements.append((level, b"\x94"))
        if mid:
            elements.append((4, mid))
        assert packet.elements == (*elements, (identifier, number.to_bytes(2, "big")))
        assert packet.payload == TALK
        assert packet.profile == (0x1000 if max(level, identifier) > 14 else 0xBEDE)
    before = room.listener.hear(plain)
    assert before.elements == tuple(elements)
    if elements:
        assert before.profile == (0x1000 if level > 14 else 0xBEDE)


def test_numbers_wrap_after_65536_packets() -> None:
    room = Room(1)
    room.stamp()
    stream = room.forwarder.egress_stream(room.egresses[0])
    sent: list[tuple[bytes, bytes]] = []
    for step in range(65_540):
        assert room.forwarder.push(stream, b"\xf8\xff\xfe", NOW + 0.02 * step)
        sent = [*sent[-5:], *drained(room.forwarder)]
    assert [int_in_clear(data) for data, _ in sent] == [65_534, 65_535, 0, 1, 2, 3]


def test_numbers_go_on_after_a_while_without() -> None:
    room = Room(1)
    room.stamp()
    room.tick()
    room.tick()
    room.stamp(False)
    [data] = room.tick()
    assert number_of(room.listener.hear(data)) is None
    room.stamp()
    [data] = room.tick()
    assert number_of(room.listener.hear(data)) == 2


def test_what_could_not_be_encrypted_uses_no_number_up() -> None:
    """A receiver would think it lost."""
    room = Room(1)
    room.stamp()
    room.tick()
    receive, send = room.listener.server_sessions()
    policy = Policy(key=bytes(64), ssrc_type=Policy.SSRC_SPECIFIC, ssrc_value=1, srtp_profile=GCM)
    room.forwarder.set_keys(room.listener.transport, receive, Session(policy))
    assert room.tick() == []
    assert room.forwarder.counters()["protect_errors"] == 1
    room.forwarder.set_keys(room.listener.transport, receive, send)
    [data] = room.tick()
    assert int_in_clear(data) == 1


@pytest.mark.parametrize("stamped", [False, True])
def test_a_packet_comes_again_as_it_was_whatever_is_stamped_by_now(stamped: bool) -> None:
    room = Room(1)
    room.stamp(stamped)
    [first] = [room.tick() for _ in range(8)][-1]
    room.stamp(not stamped)
    room.tick()
    asked = [int.from_bytes(first[2:4], "big")]
    assert room.forwarder.resend(room.egresses[0], asked, room.now) == 1
    assert [data for data, _ in drained(room.forwarder)] == [first]
    [data] = room.tick()
    assert (number_of(room.listener.hear(data)) is None) == stamped


def test_what_comes_again_uses_no_number_up() -> None:
    room = Room(1)
    room.stamp()
    for _ in range(8):
        [last] = room.tick()
    assert room.forwarder.resend(room.egresses[0], [int.from_bytes(last[2:4], "big")], room.now)
    drained(room.forwarder)
    [data] = room.tick()
    assert int_in_clear(data) == int_in_clear(last) + 1


@pytest.mark.parametrize("levels", [(0, 0, 0), (1, 0, 1)])
def test_the_packets_of_a_tick_stay_equally_long(levels: tuple[int, ...]) -> None:
    """Tracks may have agreed on other extensions: what one lacks is padded."""
    room = Room(3, segmented=True)
    room.stamp()
    for _ in range(3):
        room.tick()
    sizes = [len(data) for data in room.tick(TALK[:30], TALK, TALK[:60])]
    assert len(sizes) == 3
    assert sizes[0] == sizes[1] >= sizes[2]


def test_a_tick_keeps_one_length_where_some_tracks_agreed_on_numbers_and_others_did_not() -> None:
    room = Room(2, segmented=True)
    other = Talker(20, room.forwarder)
    slot = room.forwarder.add_slot(room.audience)
    room.forwarder.assign(slot, other.source, NOW)
    egress = room.forwarder.add_egress(
        room.listener.transport,
        ssrc=0xB000,
        payload_type=PAYLOAD_TYPE,
        first_sequence=7,
        first_timestamp=0,
        echo_group=9,
    )
    room.forwarder.subscribe(egress, room.forwarder.slot_stream(slot))
    room.talkers.append(other)
    room.stamp()
    for _ in range(3):
        sent = room.tick()
    assert len(sent) == 3
    assert len({len(data) for data in sent[:2]}) == 1 and len(sent[2]) <= len(sent[0])


class StampedRoom(CrowdedRoom):
    """A crowded room in which numbers come and go."""

    def _listener(self, number: int) -> Listener:
        listener = super()._listener(number)
        egress = self.forwarder.add_egress(
            listener.transport,
            ssrc=0xF000 + number,
            payload_type=PAYLOAD_TYPE,
            first_sequence=1,
            first_timestamp=0,
            echo_group=number,
            red_payload_type=63,
            repeats=True,
            level_extension=1,
            transport_cc_extension=CC_ID,
        )
        self.egresses[0xF000 + number] = egress
        return listener

    def stamp(self) -> None:
        """A listener's packets are stamped from now on, or not."""
        listener = self.rng.choice(self.listeners)
        self.forwarder.set_stamped(listener.transport, self.rng.random() < 0.6)


@pytest.mark.parametrize("segmented", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_nothing_leaves_twice_under_one_number_in_two_texts(seed: int, segmented: bool) -> None:
    """Numbers come and go while forms, slots, routes and voices change and packets are repeated."""
    room = StampedRoom(random.Random(f"stamps {seed}"), segmented=segmented)
    events = [*EVENTS, *[StampedRoom.stamp] * 6]
    for _ in range(1_500):
        room.rng.choice(events)(room)
    counters = room.forwarder.counters()
    assert room.again == counters["resent"] > 50
    assert counters["stamped"] > 100
    assert counters["protect_errors"] == 0


def test_bytes_on_the_wire_are_counted_with_all_headers() -> None:
    room = Room(1)
    transport = room.listener.transport
    assert room.forwarder.wire_bytes(transport) == 0
    sent = [data for _ in range(8) for data in room.tick()]
    expected = sum(len(data) + 28 for data in sent)
    assert room.forwarder.wire_bytes(transport) == expected
    asked = [int.from_bytes(sent[-1][2:4], "big")]
    assert room.forwarder.resend(room.egresses[0], asked, room.now) == 1
    drained(room.forwarder)
    expected += len(sent[-1]) + 28
    assert room.forwarder.wire_bytes(transport) == expected
    address = b"\x20\x01\x0d\xb8" + bytes(11) + b"\x01\x4e\x20"
    room.forwarder.allow(transport, address)
    room.forwarder.route(transport, address)
    [data] = room.tick()
    assert room.forwarder.wire_bytes(transport) == expected + len(data) + 48


def test_another_transport_in_the_same_row_begins_anew() -> None:
    room = Room(1)
    room.stamp()
    room.tick()
    room.forwarder.remove_transport(room.listener.transport)
    assert room.forwarder.add_transport() == room.listener.transport
    assert room.forwarder.wire_bytes(room.listener.transport) == 0
    with pytest.raises(KeyError):
        room.forwarder.set_stamped(99, True)
    with pytest.raises(KeyError):
        room.forwarder.wire_bytes(99)
