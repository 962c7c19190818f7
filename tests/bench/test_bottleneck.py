"""Narrow lines, and what clients behind them report."""

from __future__ import annotations

import struct

import pytest

from bench.bottleneck import DATAGRAM_BYTES, Bottleneck
from bench.feedback import Arrivals, sequence_of
from bench.narrow import FEEDBACK_NS_MAX, FEEDBACK_NS_MIN, feedback_wait_ns

MS = 1_000_000


def test_a_datagram_takes_the_time_that_its_bits_take() -> None:
    line = Bottleneck(80_000, 0.3)
    assert line.put(b"a", 100, 0)
    assert line.put(b"b", 100, 0)
    assert line.take(9 * MS) == []
    assert line.take(10 * MS) == [(10 * MS, b"a")]
    assert line.take(50 * MS) == [(20 * MS, b"b")]
    assert line.put(b"c", 200, 50 * MS)
    assert line.take(70 * MS) == [(70 * MS, b"c")]
    assert line.passed_bytes == 400


def test_what_the_queue_cannot_take_is_dropped_and_told() -> None:
    line = Bottleneck(80_000, 0.3)
    room = 3_000 + DATAGRAM_BYTES
    taken = sum(line.put(b"x", 100, 5) for _ in range(100))
    assert taken == room // 100
    assert line.drops_ns == [5] * (100 - taken)
    line.take(10 * MS + 5)
    assert line.put(b"x", 100, 10 * MS + 5)
    assert not line.put(b"x", 100, 10 * MS + 5)


def test_a_line_that_opens_lets_everything_through_at_once() -> None:
    line = Bottleneck(8_000, 1.0)
    for _ in range(5):
        line.put(b"x", 100, 0)
    line.take(100 * MS)
    line.open()
    assert len(line.take(101 * MS)) == 4
    assert all(line.put(b"x", 1_000, 102 * MS) for _ in range(1_000))
    assert not line.drops_ns
    assert len(line.take(103 * MS)) == 1_000
    line.narrow()
    assert line.put(b"x", 100, 200 * MS)
    assert line.take(299 * MS) == []
    assert line.take(300 * MS) == [(300 * MS, b"x")]


def decoded(packet: bytes) -> tuple[int, list[int | None]]:
    """The first number and when each packet came, in ms: read by the format's own rules."""
    first, kind, words = struct.unpack_from("!BBH", packet)
    assert (first & 0xC0, first & 0x1F, kind) == (0x80, 15, 205)
    assert len(packet) == 4 * (words + 1)
    end = len(packet) - (packet[-1] if first & 0x20 else 0)
    base, count = struct.unpack_from("!HH", packet, 12)
    at_ms = int.from_bytes(packet[16:19], "big") * 64.0
    statuses: list[int] = []
    position = 20
    while len(statuses) < count:
        (chunk,) = struct.unpack_from("!H", packet, position)
        assert chunk >> 14 == 3
        statuses += [chunk >> shift & 3 for shift in range(12, -2, -2)]
        position += 2
    came: list[int | None] = []
    for status in statuses[:count]:
        if status == 0:
            came.append(None)
            continue
        (delta,) = struct.unpack_from("!B" if status == 1 else "!h", packet, position)
        position += status
        at_ms += delta / 4
        came.append(round(at_ms))
    assert position == end
    return base, came


def test_feedback_tells_when_each_packet_came_and_which_did_not() -> None:
    arrivals = Arrivals()
    for sequence, at_ms in ((65_534, 1_000), (65_535, 1_020), (1, 1_400), (2, 1_395)):
        arrivals.note(sequence, at_ms * MS)
    assert decoded(arrivals.report(1, 2)) == (65_534, [1_000, 1_020, None, 1_400, 1_395])
    arrivals.note(1, 1_410 * MS)  # told already
    assert arrivals.report(1, 2) == b""
    for sequence in range(4, 24):
        arrivals.note(sequence, (1_500 + sequence) * MS)
    base, came = decoded(arrivals.report(1, 2))
    assert base == 3
    assert came == [None, *(1_500 + sequence for sequence in range(4, 24))]


def rtp(*elements: bytes) -> bytes:
    extension = b"".join(elements)
    extension += bytes(-len(extension) % 4)
    head = struct.pack("!BBHIII", 0x91, 111, 7, 8, 9, 10)
    return head + b"\xbe\xde" + struct.pack("!H", len(extension) // 4) + extension + b"sealed"


def test_the_number_is_read_where_it_was_negotiated_to_be() -> None:
    level, stamp = b"\x10\x05", b"\x31\x12\x34"
    assert sequence_of(rtp(level, stamp), 3) == 0x1234
    assert sequence_of(rtp(stamp, b"\x00", level), 3) == 0x1234
    assert sequence_of(rtp(level), 3) is None
    assert sequence_of(rtp(level, stamp), 4) is None
    assert sequence_of(b"\x80\xc8" + rtp(stamp)[2:], 3) is None
    assert sequence_of(rtp(stamp)[:18], 3) is None


@pytest.mark.parametrize(
    ("received_bytes", "wait_ns"),
    [(0, FEEDBACK_NS_MAX), (1_700, 80 * MS), (100, FEEDBACK_NS_MAX), (100_000, FEEDBACK_NS_MIN)],
)
def test_reports_take_a_twentieth_of_what_comes(received_bytes: int, wait_ns: int) -> None:
    assert feedback_wait_ns(received_bytes, 100 * MS) == wait_ns
