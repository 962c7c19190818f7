"""Transport-wide feedback as bytes, and what a client tells in it."""

from __future__ import annotations

import random
import struct

import pytest

from tests.sim.transport_cc import CLOCK_WRAPS_S, Arrivals, build_feedback

Told = dict[int, float]


def read(data: bytes) -> tuple[int, list[float | None]]:
    """First number, and arrivals in seconds since the reference time's zero; written anew."""
    assert data[0] & 0xDF == 0x8F and data[1] == 205
    assert len(data) == 4 + 4 * int.from_bytes(data[2:4], "big")
    body = data[: len(data) - data[-1]] if data[0] & 0x20 else data
    first, count = struct.unpack_from("!HH", body, 12)
    at = int.from_bytes(body[16:19], "big") * 0.064
    symbols: list[int] = []
    place = 20
    while len(symbols) < count:
        chunk = int.from_bytes(body[place : place + 2], "big")
        place += 2
        if not chunk & 0x8000:
            symbols += [chunk >> 13] * (chunk & 0x1FFF)
        elif chunk & 0x4000:
            symbols += [chunk >> shift & 3 for shift in range(12, -1, -2)]
        else:
            symbols += [chunk >> shift & 1 for shift in range(13, -1, -1)]
    arrivals: list[float | None] = []
    for symbol in symbols[:count]:
        if symbol == 0:
            arrivals.append(None)
            continue
        width = symbol
        delta = int.from_bytes(body[place : place + width], "big", signed=width == 2)
        place += width
        at += delta * 0.00025
        arrivals.append(at)
    assert place == len(body)
    return first, arrivals


def test_feedback_is_as_the_draft_draws_it() -> None:
    data = build_feedback(1, 2, 7, 65_535, [0.064, None, 0.0645, 0.0, 0.2])
    assert data[:4] == struct.pack("!BBH", 0x8F, 205, 6)
    assert data[4:16] == struct.pack("!IIHH", 1, 2, 65_535, 5)
    assert data[16:20] == struct.pack("!I", 1 << 8 | 7)
    # Small, lost, small, large (backwards), large: a vector of two bits each.
    assert data[20:22] == struct.pack("!H", 0b11_01_00_01_10_10_00_00)
    assert data[22:] == struct.pack("!BBhh", 0, 2, -258, 800)
    # Padded to whole words, which the header tells.
    padded = build_feedback(1, 2, 7, 0, [0.064])
    assert padded[:4] == struct.pack("!BBH", 0xAF, 205, 5) and padded[-2:] == b"\x00\x01"


@pytest.mark.parametrize("seed", range(20))
def test_whatever_came_is_told(seed: int) -> None:
    rng = random.Random(seed)
    at = rng.uniform(0.0, 1e5)
    arrivals: list[float | None] = [at]
    for _ in range(rng.randrange(1, 200)):
        at += rng.choice((0.0, 0.02, 0.3)) * rng.random()
        arrivals.append(None if rng.random() < rng.choice((0.0, 0.3, 0.9)) else at)
    first, told = read(build_feedback(1, 2, 0, 9, arrivals))
    assert first == 9
    for came, read_back in zip(arrivals, told, strict=True):
        assert (came is None) == (read_back is None)
        if came is not None:
            assert read_back == pytest.approx(came, abs=0.000_126)


def test_long_losses_are_one_run() -> None:
    data = build_feedback(1, 2, 0, 0, [1.0, *[None] * 5_000, 1.5])
    assert len(data) < 40
    assert read(data)[1][1:-1] == [None] * 5_000


def test_a_client_tells_each_arrival_once_and_what_it_missed() -> None:
    arrivals = Arrivals(100.0)
    for number, now in ((65_534, 1.0), (65_535, 1.02), (1, 1.06), (1, 1.07)):
        arrivals.note(number, now)
    first, told = read(arrivals.take(1, 2))
    assert first == 65_534
    assert told == [pytest.approx(101.0), pytest.approx(101.02), None, pytest.approx(101.06)]
    assert arrivals.take(1, 2) == b""
    arrivals.note(2, 1.08)
    first, told = read(arrivals.take(1, 2))
    assert first == 2 and told == [pytest.approx(101.08)]


def test_one_that_was_overtaken_is_told_with_those_after_it() -> None:
    arrivals = Arrivals(0.0)
    for number, now in ((5, 1.0), (7, 1.04)):
        arrivals.note(number, now)
    arrivals.take(1, 2)
    arrivals.note(6, 1.1)
    first, told = read(arrivals.take(1, 2))
    assert first == 6 and told == [pytest.approx(1.1), pytest.approx(1.04)]


def test_the_clock_of_a_client_comes_round() -> None:
    arrivals = Arrivals(CLOCK_WRAPS_S - 1.0)
    arrivals.note(0, 0.5)
    arrivals.note(1, 1.5)
    _, told = read(arrivals.take(1, 2))
    assert told[0] is not None and told[0] == pytest.approx(CLOCK_WRAPS_S - 0.5)
    arrivals.note(2, 2.0)
    assert read(arrivals.take(1, 2))[1] == [pytest.approx(1.0)]
