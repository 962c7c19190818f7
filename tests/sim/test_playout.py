"""The judge of playout: what was there in time, in which form, and what was not."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from tests.sim import red
from tests.sim.downlink import Heard
from tests.sim.payload import SERVER_SILENCE
from tests.sim.playout import Decoded, decode
from tests.sim.voice import IDENTITY

RED = 63
LATENCY_S = 0.04
BUFFER_S = 0.12


def payload(packet: int) -> bytes:
    """What packet so-and-so of speaker 0 says."""
    return b"\x78" + IDENTITY.pack(0, packet, 0) + bytes(20)


@dataclass
class Line:
    """A track of packets 20 ms apart that come after 40 ms."""

    first_sequence: int = 65_530
    first_time: int = 2**32 - 5_000

    def packet(self, index: int, *, depth: int = 0, late_s: float | None = 0.0) -> Heard:
        """One packet with its copies; `late_s` None for one that never comes."""
        body = payload(index)
        if depth:
            copies = [(960 * back, payload(index - back)) for back in range(depth, 0, -1)]
            body = red.build(111, copies, body)
        header = struct.pack(
            "!BBHII",
            0x80,
            RED if depth else 111,
            (self.first_sequence + index) & 0xFFFF,
            (self.first_time + 960 * index) & 0xFFFFFFFF,
            1,
        )
        heard = Heard(header + body, 1.0 + index * 0.02, RED)
        if late_s is not None:
            heard.delivered = heard.emitted + LATENCY_S + late_s
        return heard


def played(track: list[Heard]) -> Decoded:
    return decode(track, BUFFER_S, 0.0, 100.0)


def test_a_good_line_conceals_nothing_over_every_wrap() -> None:
    assert played([Line().packet(n) for n in range(40)]) == Decoded(original=40)


def test_what_comes_after_its_playout_is_concealed() -> None:
    line = Line()
    late = [line.packet(n, late_s=0.119 if n == 9 else 0.121 if n == 5 else 0.0) for n in range(20)]
    assert played(late) == Decoded(original=19, concealed=1)


def test_a_copy_in_a_later_packet_recovers_what_did_not_come() -> None:
    line = Line()
    lost = {5, 8, 9}
    for depth, recovered in ((0, 0), (1, 2), (2, 3)):
        track = [
            line.packet(n, depth=min(depth, n), late_s=None if n in lost else 0.0)
            for n in range(20)
        ]
        assert played(track) == Decoded(original=17, recovered=recovered, concealed=3 - recovered)


def test_a_copy_that_comes_too_late_recovers_nothing() -> None:
    line = Line()
    track = [line.packet(n, depth=min(1, n)) for n in range(20)]
    track[5].delivered = None
    assert track[6].delivered is not None
    track[6].delivered += 0.11  # in time for itself, 20 ms late for the one before
    assert played(track) == Decoded(original=19, concealed=1)


def test_a_gap_in_the_numbers_is_concealed_and_a_new_talkspurt_is_not() -> None:
    line = Line()
    track = [line.packet(n) for n in range(20) if n not in (5, 6, 12)]
    assert played(track) == Decoded(original=17, concealed=3)
    next(heard for heard in track if heard.packet == 13).marker = 1
    assert played(track) == Decoded(original=17, concealed=2)


def test_what_was_sent_again_in_time_is_counted_apart() -> None:
    line = Line()
    track = [line.packet(n) for n in range(20)]
    for index, after_s in ((5, 0.06), (9, 0.13)):
        again = track[index]
        again.repeats = [again.emitted + after_s]
        again.delivered = again.repeats[0] + LATENCY_S
    assert played(track) == Decoded(original=18, repeated=1, concealed=1)


def test_packets_that_overtake_each_other_stand_in_their_order() -> None:
    line = Line()
    track = [line.packet(n) for n in range(20)]
    track[7], track[8] = track[8], track[7]
    assert played(track) == Decoded(original=20)


def test_only_the_asked_for_time_is_judged() -> None:
    track = [Line().packet(n, late_s=None if n < 10 else 0.0) for n in range(20)]
    assert decode(track, BUFFER_S, 1.199, 100.0) == Decoded(original=10)
    assert decode(track, BUFFER_S, 0.0, 1.19).concealed == 10
    assert decode([], BUFFER_S, 0.0, 1.0) == Decoded()
    assert Decoded().concealment == 0.0


def test_silence_of_the_server_is_a_frame_like_any_other() -> None:
    line = Line()
    track = [line.packet(n) for n in range(10)]
    for heard in track[5:]:
        heard.speaker = SERVER_SILENCE
    assert played(track) == Decoded(original=10)
