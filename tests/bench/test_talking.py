"""Who speaks when, and what is known of it: over real sockets, with a virtual clock."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator

import pytest
from pylibsrtp import Policy, Session

from bench import speech
from bench.talking import STEP_NS, Heard, Microphone, Phrasebook, Turn
from sfu.fast import Swarm
from sfu.fast.measured import Onset

KEY = bytes(range(28))
START_NS = 1_000 * STEP_NS


@pytest.fixture(scope="module")
def book() -> Phrasebook:
    """Two short voices with pauses."""
    one = Phrasebook(5, "speech", 0)
    one.add(speech.voice(5, 0, "speech", 6.0))
    return one


@pytest.fixture
def wire() -> Iterator[tuple[Swarm, int, socket.socket]]:
    """A swarm with one client that may send, and the socket that gets it."""
    with (
        Swarm() as swarm,
        socket.socket(type=socket.SOCK_DGRAM) as mine,
        socket.socket(type=socket.SOCK_DGRAM) as theirs,
    ):
        theirs.bind(("127.0.0.1", 0))
        theirs.setblocking(False)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        mine.setblocking(False)
        mine.connect(theirs.getsockname())
        client = swarm.add_client(mine.fileno())
        profile = Policy.SRTP_PROFILE_AEAD_AES_128_GCM
        swarm.set_keys(
            client,
            Session(Policy(KEY, Policy.SSRC_ANY_INBOUND, srtp_profile=profile)),
            Session(Policy(KEY, Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile)),
        )
        yield swarm, client, theirs


def received(theirs: socket.socket) -> list[tuple[int, int, int]]:
    """(sequence, timestamp, payload bytes) of every packet."""
    policy = Policy(KEY, Policy.SSRC_ANY_INBOUND, srtp_profile=Policy.SRTP_PROFILE_AEAD_AES_128_GCM)
    session = Session(policy)
    packets: list[tuple[int, int, int]] = []
    while True:
        try:
            plain = session.unprotect(theirs.recv(2_000))
        except BlockingIOError:
            return packets
        words = int.from_bytes(plain[14:16], "big") if plain[0] & 0x10 else -1
        packets.append(
            (
                int.from_bytes(plain[2:4], "big"),
                int.from_bytes(plain[4:8], "big"),
                len(plain) - 12 - (4 + 4 * words if words >= 0 else 0),
            )
        )


def test_a_microphone_goes_on_where_it_stopped_and_counts(
    book: Phrasebook, wire: tuple[Swarm, int, socket.socket]
) -> None:
    """Sequence without a hole, time with the pause in it, and a sender report's numbers that are
    those of the packets that were sent.
    """
    swarm, client, theirs = wire
    microphone = Microphone(swarm, client, book, book.give(swarm), random.Random(3))
    packets: list[tuple[int, int, int]] = []
    for first_ns in (START_NS, START_NS + 100 * STEP_NS):
        microphone.open(first_ns, ssrc=9, payload_type=111, level_extension=1)
        for step in range(60):
            swarm.tick(first_ns + step * STEP_NS)
        packets += received(theirs)
        told = microphone.sent(first_ns + 59 * STEP_NS + 1)
        assert (told.packets, told.octets) == (len(packets), sum(size for *_, size in packets))
        assert microphone.close() == first_ns + 60 * STEP_NS
        told = microphone.sent(first_ns + 61 * STEP_NS)
        assert (told.packets, told.octets) == (len(packets), sum(size for *_, size in packets))
    sequences = [sequence for sequence, *_ in packets]
    assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))
    # Whole steps since the first packet's: the second opening came 100 steps after the first.
    offsets = [((stamp - packets[0][1]) & 0xFFFFFFFF) / 960 for _, stamp, _ in packets]
    assert all(offset == int(offset) for offset in offsets) and offsets == sorted(offsets)
    assert 100 <= max(offsets) < 160 and not [one for one in offsets if 60 <= one < 100]


def onset(sent_ms: float, arrival_ms: float) -> Onset:
    """A voice that began at a listener, in ms."""
    return Onset(1, 5, round(arrival_ms * 1e6), round(sent_ms * 1e6), True)


def test_a_turn_is_found_by_the_time_of_sending() -> None:
    """Packets of the turn before, late as they may arrive, are not of this one."""
    heard = Heard()
    turn = Turn("b", round(1_000e6), round(2_600e6))
    heard.take(turn, [onset(990, 1_001), onset(1_000.4, 1_001.5), onset(1_500, 1_501)])
    assert heard.switch_ms == [1.5] and heard.lost_ms == [0.0] and heard.missed == 0


def test_a_clipped_beginning_is_told_in_steps() -> None:
    """The third packet was the first that arrived: 40 ms of sound are lost."""
    heard = Heard()
    heard.take(Turn("b", round(1_000e6), round(2_600e6)), [onset(1_041.2, 1_042)])
    assert heard.lost_ms == [40.0]
    assert heard.switch_ms == [42.0]


def test_a_turn_that_nobody_heard_is_missed() -> None:
    """And makes no percentile better."""
    heard = Heard()
    heard.take(Turn("b", round(1_000e6), round(2_600e6)), [onset(2_600, 2_601), onset(900, 901)])
    assert (heard.switch_ms, heard.missed) == ([], 1)
    heard.clear()
    assert heard.missed == 0
