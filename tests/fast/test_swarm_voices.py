"""Virtual clients that talk: what they send, when, and that a real forwarder passes it on."""

from __future__ import annotations

import itertools
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from sfu.fast import Batch, Forwarder, Mmsg
from sfu.fast._swarm import SEND_TIME_BYTES, STEP_NS, VOICE_STEPS_MAX, VOICES_MAX
from sfu.transport.address import pack_address
from tests.fast.crowd import HOST, Far, Hall, join, opened, step
from tests.fast.peer import LEVEL_ID, PAYLOAD_TYPE, Peer

CATCH_UP_STEPS = 5
START_NS = 1_700_000_000_000_000_000
DTX = (b"", 127)
TALK_STEP = (step(), 20)


@pytest.fixture
def hall() -> Iterator[Hall]:
    """A swarm that decrypts everything."""
    with opened() as made:
        yield made


def talk(far: Far, voice: int, **settings: Any) -> None:
    """Let a client talk with common settings."""
    common: dict[str, Any] = {
        "ssrc": 0xABCDEF01,
        "payload_type": PAYLOAD_TYPE,
        "level_extension": LEVEL_ID,
        "first_sequence": 65_534,
        "first_timestamp": 2**32 - 960,
        "start_ns": START_NS,
    }
    far.swarm.talk(far.id, voice=voice, **(common | settings))


def test_a_voice_is_sent_step_by_step(hall: Hall) -> None:
    """Headers, level, time and payload; numbers wrap; silent steps only let time pass."""
    far = hall.client()
    steps = [(step(bytes([n]) * 30), 128 + n) for n in range(3)]
    voice = hall.swarm.add_voice([*steps, DTX, DTX])
    talk(far, voice)
    assert hall.swarm.tick(START_NS - 1) == 0
    before_ns = time.time_ns()
    sent = [hall.swarm.tick(START_NS + n * STEP_NS) for n in range(7)]
    assert sent == [1, 1, 1, 0, 0, 1, 1]
    heard = far.heard()
    assert [packet.sequence for packet in heard] == [65_534, 65_535, 0, 1, 2]
    ticks = [(packet.timestamp + 960) % 2**32 // 960 for packet in heard]
    assert ticks == [0, 1, 2, 5, 6]
    assert [packet.marker for packet in heard] == [True, False, False, True, False]
    assert {(p.ssrc, p.payload_type, p.csrcs) for p in heard} == {(0xABCDEF01, PAYLOAD_TYPE, ())}
    for packet, (payload, level) in zip(heard, [*steps, *steps[:2]], strict=True):
        assert packet.elements == ((LEVEL_ID, bytes([level])),)
        assert packet.payload[:-SEND_TIME_BYTES] == payload[:-SEND_TIME_BYTES]
        sent_ns = int.from_bytes(packet.payload[-SEND_TIME_BYTES:], "big")
        assert before_ns <= sent_ns <= time.time_ns()
    assert hall.counted() == {"sent": 5, "talkers": 1}


def test_without_a_level_extension_there_is_none(hall: Hall) -> None:
    """Id 0 leaves the extension out; the voice may begin anywhere."""
    far = hall.client()
    voice = hall.swarm.add_voice([DTX, (step(b"\x01" * 20), 1), (step(b"\x02" * 20), 2)])
    talk(far, voice, level_extension=0, first_step=2)
    assert hall.swarm.tick(START_NS) == 1
    (packet,) = far.heard()
    assert (packet.profile, packet.elements) == (0, ())
    assert packet.payload[3:23] == b"\x02" * 20


def test_who_is_late_catches_up_or_skips(hall: Hall) -> None:
    """A few steps follow at once; of a longer stall only the newest are sent, in their place."""
    far = hall.client()
    talk(far, hall.swarm.add_voice([TALK_STEP]), first_sequence=0, first_timestamp=0)
    assert hall.swarm.tick(START_NS + (CATCH_UP_STEPS - 1) * STEP_NS) == CATCH_UP_STEPS
    assert "skipped_steps" not in hall.counted()
    stalled_ns = START_NS + 104 * STEP_NS
    assert hall.swarm.tick(stalled_ns) == CATCH_UP_STEPS
    assert hall.counted()["skipped_steps"] == 100 - CATCH_UP_STEPS
    heard = far.heard()
    assert [packet.sequence for packet in heard] == list(range(2 * CATCH_UP_STEPS))
    assert [packet.timestamp // 960 for packet in heard] == [0, 1, 2, 3, 4, 100, 101, 102, 103, 104]
    assert [packet.marker for packet in heard] == [True, *[False] * 4, True, *[False] * 4]
    assert hall.swarm.next_due_ns() == stalled_ns + STEP_NS


def test_lateness_is_measured_when_a_packet_is_built(hall: Hall) -> None:
    """By the clock, not by what the caller says it is."""
    far = hall.client()
    start_ns = time.time_ns() - 30 * 10**6
    talk(far, hall.swarm.add_voice([TALK_STEP, DTX]), start_ns=start_ns)
    hall.swarm.tick(start_ns)
    latest_us = (time.time_ns() - start_ns) / 1e3
    counts = hall.swarm.take_lateness()
    (bucket,) = [n for n, count in enumerate(counts) if count]
    edges = hall.swarm.delay_edges_us()
    assert edges[bucket + 1] > 30_000
    assert edges[bucket] <= latest_us
    assert hall.swarm.totals()["late_sends"] == 1
    assert sum(hall.swarm.take_lateness()) == 0


def test_a_talker_goes_on_where_it_stopped(hall: Hall) -> None:
    """`hush` tells where; SRTP goes on, and others keep talking meanwhile."""
    one, other, last = (hall.client(number) for number in (1, 2, 3))
    voice = hall.swarm.add_voice([(step(bytes([n]) * 30), n) for n in range(4)])
    for delay, far in enumerate((one, other, last)):
        talk(far, voice, start_ns=START_NS + delay)
    assert hall.swarm.next_due_ns() == START_NS
    assert hall.swarm.tick(START_NS + STEP_NS) == 4
    position = hall.swarm.hush(one.id)
    assert position is not None
    assert position == (0, 960, 2)
    assert hall.swarm.hush(one.id) is None
    assert hall.swarm.next_due_ns() == START_NS + STEP_NS + 1
    assert hall.swarm.tick(START_NS + STEP_NS + 9) == 2
    talk(
        one,
        voice,
        first_sequence=position.sequence,
        first_timestamp=position.timestamp,
        first_step=position.step,
        start_ns=START_NS + 2 * STEP_NS,
    )
    assert hall.swarm.tick(START_NS + 2 * STEP_NS) == 1
    assert [packet.sequence for packet in one.heard()] == [65_534, 65_535, 0]
    assert [len(far.heard()) for far in (other, last)] == [2, 2]
    hall.swarm.remove_client(other.id)
    assert hall.swarm.totals()["talkers"] == 2
    hall.swarm.hush(last.id)
    hall.swarm.remove_client(one.id)
    assert (hall.swarm.tick(START_NS + 10**9), hall.swarm.next_due_ns()) == (0, None)


def test_each_talker_is_stopped_for_itself(hall: Hall) -> None:
    """In whatever order: each tells its own place, and the others are heard."""
    for order in itertools.permutations(range(3)):
        crowd = [hall.client(number) for number in range(3)]
        voice = hall.swarm.add_voice([TALK_STEP])
        for number, far in enumerate(crowd):
            talk(far, voice, first_sequence=100 * number)
        for rank, number in enumerate(order):
            assert hall.swarm.tick(START_NS + rank * STEP_NS) == 3 - rank
            position = hall.swarm.hush(crowd[number].id)
            assert position is not None
            assert position.sequence == 100 * number + rank + 1
        assert [len(crowd[number].heard()) for number in order] == [1, 2, 3]


def test_a_server_that_is_gone_is_no_error(hall: Hall) -> None:
    """The kernel's answer to an earlier packet costs no later one."""
    far = hall.client()
    far.socket.close()
    talk(far, hall.swarm.add_voice([TALK_STEP]), start_ns=START_NS - 3 * STEP_NS)
    assert hall.swarm.tick(START_NS - STEP_NS) == 3
    assert hall.counted() == {"sent": 3, "talkers": 1}
    hall.swarm.remove_client(far.id)


def test_a_socket_that_cannot_send_is_told(hall: Hall) -> None:
    """The voice goes on, the errors are counted."""
    far = hall.client()
    talk(far, hall.swarm.add_voice([TALK_STEP]))
    far.near.shutdown(socket.SHUT_WR)
    assert hall.swarm.tick(START_NS) == 0
    assert hall.counted() == {"send_errors": 1, "talkers": 1}


@pytest.mark.parametrize(
    ("payload", "level", "reason"),
    [
        (b"\x78" + bytes(50), 20, "padding"),
        (b"\x7b\x41\x07" + bytes(50), 20, "padding"),
        (b"\x7b\x41\xff", 20, "20 ms"),
        (b"\x7b\x42\x08" + bytes(48), 20, "20 ms"),
        (b"\x73\x41\x08" + bytes(48), 20, "20 ms"),
        (b"\x7b", 20, "20 ms"),
        (step(bytes(1_270)), 20, "at most"),
        (step(), 256, "level"),
        (step(), -1, "level"),
    ],
)
def test_a_step_that_is_no_speech_is_refused(
    hall: Hall, payload: bytes, level: int, reason: str
) -> None:
    """Nothing is sent that a decoder would not take, or that has no room for the time."""
    with pytest.raises(ValueError, match=reason):
        hall.swarm.add_voice([TALK_STEP, (payload, level)])


def test_long_padding_is_padding(hall: Hall) -> None:
    """The two-byte form, which a large send would need to reach an equal size."""
    payload = b"\x7b\x41\xff\x01" + bytes(20) + bytes(255)
    assert hall.swarm.add_voice([(payload, 1), (step(b""), 1)]) == 0


def test_limits_and_misuse(hall: Hall) -> None:
    """Each is refused with a reason and changes nothing."""
    far = hall.client(keys=False)
    with pytest.raises(ValueError, match="steps"):
        hall.swarm.add_voice([])
    with pytest.raises(ValueError, match="steps"):
        hall.swarm.add_voice([DTX] * (VOICE_STEPS_MAX + 1))
    for number in range(VOICES_MAX):
        assert hall.swarm.add_voice([TALK_STEP]) == number
    with pytest.raises(OverflowError, match="voices"):
        hall.swarm.add_voice([TALK_STEP])
    with pytest.raises(ValueError, match="keys"):
        talk(far, 0)
    far.give_keys()
    for wrong, error in (
        ({"payload_type": 128}, ValueError),
        ({"level_extension": 15}, ValueError),
        ({"first_step": 1}, ValueError),
        ({"first_step": -1}, ValueError),
        ({"start_ns": -1}, ValueError),
        ({"start_ns": 2**63 - 1}, ValueError),
        ({"first_sequence": 65_536}, OverflowError),
    ):
        with pytest.raises(error):
            talk(far, 0, **wrong)
    for voice in (-1, VOICES_MAX):
        with pytest.raises(KeyError, match="no voice"):
            talk(far, voice)
    for now_ns in (-1, 2**63 - 1):
        with pytest.raises(ValueError, match="now_ns"):
            hall.swarm.tick(now_ns)
    assert hall.counted() == {}


class Room:
    """A forwarder on a socket, with two talkers' slots and listeners of both, all in one swarm."""

    def __init__(self, hall: Hall, server: socket.socket, listeners: int) -> None:
        self.hall = hall
        self.forwarder = Forwarder()
        self._mmsg = Mmsg(server.fileno(), -1)
        self._server = server
        self._inbox, self._outbox = Batch(), Batch()
        self._slots = [self.forwarder.add_slot() for _ in range(2)]
        self.talkers = [self._join(number) for number in (1, 2)]
        self.sources = [self._source(*talker, number) for number, talker in enumerate(self.talkers)]
        self.listeners = [self._join(number) for number in range(3, 3 + listeners)]
        for number, (_, transport) in enumerate(self.listeners):
            self._subscribe(transport, number)

    def _join(self, number: int) -> tuple[Far, int]:
        far, peer = self.hall.client(number, keys=False), Peer(number)
        far.near.connect(self._server.getsockname())
        peer.address = pack_address(*far.near.getsockname())
        join(peer, far.swarm, far.id)
        return far, peer.join(self.forwarder)

    def _source(self, far: Far, transport: int, number: int) -> int:
        source = self.forwarder.add_source(
            transport,
            csrc=100 + number,
            echo_group=far.number,
            payload_type=PAYLOAD_TYPE,
            level_extension=LEVEL_ID,
        )
        self.forwarder.set_audible(source, True)
        self.forwarder.assign(self._slots[number], source, 0.0)
        return source

    def _subscribe(self, transport: int, number: int) -> None:
        for track, slot in enumerate(self._slots):
            egress = self.forwarder.add_egress(
                transport,
                ssrc=1_000 + 10 * number + track,
                payload_type=PAYLOAD_TYPE,
                first_sequence=32_700,
                first_timestamp=0,
                echo_group=1_000 + number,
            )
            self.forwarder.subscribe(egress, self.forwarder.slot_stream(slot))

    def swap(self, now: float) -> None:
        """Each talker takes the other's slot."""
        for slot in self._slots:
            self.forwarder.assign(slot, -1, now)
        for slot, source in zip(self._slots, reversed(self.sources), strict=True):
            self.forwarder.assign(slot, source, now)

    def step(self, now_ns: int) -> None:
        """One step of both talkers through the forwarder to all listeners."""
        assert self.hall.swarm.tick(now_ns) == 2
        while self._mmsg.counters()["received"] < self.hall.swarm.totals()["sent"]:
            self._mmsg.receive(self._server.fileno(), self._inbox)
            self.forwarder.receive(self._inbox, now_ns / 1e9)
            more = True
            while more:
                self._outbox.clear()
                more = self.forwarder.drain(self._outbox)
                self._mmsg.send(self._outbox)
        self.hall.poll(2 * len(self.listeners))


def test_a_real_forwarder_between_talkers_and_listeners(hall: Hall) -> None:
    """Nothing is lost or late in either direction, and a change of slots is seen by everybody."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((HOST, 0))
        server.setblocking(False)
        room = Room(hall, server, listeners=5)
        voice = hall.swarm.add_voice([TALK_STEP])
        began_ns = time.time_ns()
        for number, (far, _) in enumerate(room.talkers):
            talk(far, voice, ssrc=5 + number)
        for number in range(100):
            if number == 50:
                room.swap((START_NS + number * STEP_NS) / 1e9)
            room.step(START_NS + number * STEP_NS)
        assert room.forwarder.counters()["forwarded"] == 100 * 2 * 5
        assert hall.counted() == {"sent": 200, "received": 1_000, "decrypted": 1_000, "talkers": 2}
        for far, _ in room.listeners:
            heard = hall.swarm.listener(far.id)
            assert [track.packets for track in heard.tracks] == [100, 100]
            switches = [(o.ssrc % 10, o.csrc) for o in heard.onsets if o.is_switch]
            assert switches == [(0, 100), (1, 101), (1, 100), (0, 101)]
            assert all(began_ns < o.sent_ns < o.arrival_ns for o in heard.onsets)
        longest_us = (time.time_ns() - began_ns) / 1e3
        delays, edges = hall.swarm.take_delays(), hall.swarm.delay_edges_us()
        assert sum(delays) == 1_000
        assert all(edges[n] < longest_us for n, count in enumerate(delays) if count)
        assert sum(hall.swarm.take_gaps()) == 1_000 - 5 * 4
