"""What virtual clients count and measure, by packets made by hand."""

from __future__ import annotations

import bisect
import itertools
import random
import socket
import sys
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sfu.fast import Swarm
from sfu.fast._swarm import ONSETS_MAX, TRACKS_MAX
from tests.fast.crowd import SSRC, Hall, opened, timed
from tests.fast.peer import FRAME_TICKS

UDP_SEGMENT = 103  # linux/udp.h
EDGES_US = Swarm.delay_edges_us()


@pytest.fixture
def hall() -> Iterator[Hall]:
    """A swarm that decrypts everything."""
    with opened() as made:
        yield made


def delivered(hall: Hall, order: list[int], first: int) -> dict[str, int]:
    """Protect packets `first`, `first + 1`... in order, deliver those of `order`; the totals."""
    far = hall.client()
    packets = [far.protected(first + n) for n in range(max(order) + 1)]
    for number in order:
        far.socket.send(packets[number])
    hall.poll(len(order))
    return hall.swarm.totals()


def expected(order: list[int]) -> dict[str, int]:
    """What the same order amounts to, counted with sets."""
    seen: set[int] = set()
    counts = dict.fromkeys(("received", "lost", "reordered", "duplicates", "too_old"), 0)
    for number in order:
        newest = max(seen, default=number)
        if newest - number >= 64:
            counts["too_old"] += 1
        elif number in seen:
            counts["duplicates"] += 1
        else:
            counts["received"] += 1
            counts["reordered"] += number < newest
            seen.add(number)
    counts["lost"] = max(seen) - order[0] + 1 - len([n for n in seen if n >= order[0]])
    return counts


@pytest.mark.parametrize("decrypt_every", [1, 3, 1000])
@pytest.mark.parametrize("first", [100, 65_533])
@pytest.mark.parametrize(
    ("order", "counts"),
    [
        ([0, 1, 2, 3, 4, 5], (6, 0, 0, 0, 0)),
        ([0, 1, 5], (3, 3, 0, 0, 0)),
        ([0, 2, 1, 3], (4, 0, 1, 0, 0)),
        ([0, 4, 1, 2, 5], (5, 1, 2, 0, 0)),
        ([0, 1, 1, 2, 0], (3, 0, 0, 2, 0)),
        ([2, 1, 0, 3, 1], (4, 0, 2, 1, 0)),  # what came before the first was never lost
        ([0, 63, 0, 1, 1], (3, 61, 1, 2, 0)),
        ([0, 70, 1, 6, 7], (3, 68, 1, 0, 2)),
    ],
)
def test_loss_reordering_and_duplicates(
    decrypt_every: int, first: int, order: list[int], counts: tuple[int, ...]
) -> None:
    """Also over a wrap of the sequence number, and whether packets are decrypted or not."""
    with opened(decrypt_every) as hall:
        totals = delivered(hall, order, first)
        names = ("received", "lost", "reordered", "duplicates", "too_old")
        assert tuple(totals[name] for name in names) == counts
        assert totals["auth_errors"] == 0
        heard = hall.swarm.listener(0)
        assert (heard.packets, heard.lost, heard.reordered, heard.duplicates) == counts[:4]
        (track,) = heard.tracks
        assert (track.packets, track.lost, track.reordered, track.duplicates) == counts[:4]
        assert track.too_old == counts[4]
        assert track.highest_sequence == first + max(order)


@hypothesis_settings(max_examples=40)
@given(
    st.lists(st.integers(0, 150), min_size=1, max_size=120),
    st.sampled_from([1, 4]),
    st.booleans(),
)
def test_any_order_of_delivery_adds_up(order: list[int], decrypt_every: int, wraps: bool) -> None:
    """A count with sets agrees with the windows of bits."""
    if wraps:  # SRTP has to be told the first packet before a wrap
        order = [0, *order]
    with opened(decrypt_every) as hall:
        totals = delivered(hall, order, 65_480 if wraps else 100)
        assert {name: totals[name] for name in expected(order)} == expected(order)


def test_many_wraps_lose_nothing() -> None:
    """The extended sequence number goes on over 16 bits, also where leaps are large."""
    with opened() as hall:
        far = hall.client()
        for sequence in range(60_000, 400_000, 20_000):
            far.send(sequence)
            hall.poll(1)
        (track,) = hall.swarm.listener(far.id).tracks
        assert track.highest_sequence == 380_000
        assert track.lost == 320_000 - 16


def in_buckets(times_ns: list[int]) -> list[int]:
    """Counts by the edges that the swarm tells."""
    counts = [0] * len(EDGES_US)
    for time_ns in times_ns:
        counts[bisect.bisect(EDGES_US, time_ns / 1e3) - 1] += 1
    return counts


def test_delays_are_counted_in_the_right_bucket(hall: Hall) -> None:
    """Each between the edges, from microseconds to beyond the last; taking them empties them."""
    far = hall.client()
    for number in range(ONSETS_MAX):
        delay_ns = round(10 ** random.Random(number).uniform(3, 10.3))
        far.send(number, timed(time.time_ns() - delay_ns), marker=True)
        hall.poll(1)
    onsets = hall.swarm.listener(far.id).onsets
    wanted = in_buckets([onset.arrival_ns - onset.sent_ns for onset in onsets])
    assert hall.swarm.take_delays() == wanted
    assert sum(wanted) == ONSETS_MAX
    assert sum(hall.swarm.take_delays()) == 0
    worst_us = hall.swarm.listener(far.id).worst_delay_us
    assert worst_us == max((o.arrival_ns - o.sent_ns) / 1e3 for o in onsets)


def test_the_edges_of_the_buckets() -> None:
    """Increasing, none wider than 5 % from 1 us to 10 s, one to catch the rest."""
    assert EDGES_US[:2] == [0.0, 1.0]
    assert EDGES_US[-1] >= 10e6
    assert all(low < high <= 1.05 * low for low, high in itertools.pairwise(EDGES_US[1:]))


def test_what_cannot_be_a_delay_is_counted_apart(hall: Hall) -> None:
    """No send time, one of another world, and one that is still to come."""
    far = hall.client()
    far.send(1, b"\xff" * 40)
    far.send(2, b"\x78short")
    far.send(3, timed(time.time_ns() - 61 * 10**9))
    far.send(4, timed(time.time_ns() + 10**9))
    hall.poll(4)
    assert hall.counted() == {"received": 4, "decrypted": 4, "untimed": 3, "negative_delays": 1}
    assert hall.swarm.take_delays()[0] == 1


def test_padding_is_removed_before_the_send_time(hall: Hall) -> None:
    """RTP padding of segmented sends; a count beyond the payload leaves nothing to read."""
    far = hall.client()
    for number, padding in enumerate((1, 7, 8, 200, 255)):
        far.send(number, timed(time.time_ns()), padding=padding)
    far.send(5, bytes(20) + b"\xff", extension=b"")
    hall.poll(6)
    assert sum(hall.swarm.take_delays()) == 5
    assert hall.counted()["untimed"] == 1
    beyond = bytearray(far.protected(6))
    plain = b"\xa0" + bytes(beyond[1:12]) + bytes(9) + b"\xc8"
    far.socket.send(far._down.protect(plain[:2] + b"\x00\x07" + plain[4:]))
    hall.poll(1)
    assert hall.counted()["untimed"] == 2
    assert sum(hall.swarm.take_delays()) == 0


def test_segments_of_one_send_are_packets_of_their_own(hall: Hall) -> None:
    """Padded to one size, the last one shorter; the kernel's arrival time is on each."""
    far = hall.client()
    sizes = [(30, 60), (60, 30), (90, 0), (20, 0)]
    packets = [
        far.protected(number, bytes(size) + timed(time.time_ns()), ssrc=number, padding=padding)
        for number, (size, padding) in enumerate(sizes)
    ]
    segment = len(packets[0])
    assert [len(packet) for packet in packets[1:3]] == [segment, segment]
    control = [(socket.SOL_UDP, UDP_SEGMENT, segment.to_bytes(2, sys.byteorder))]
    far.socket.sendmsg(packets, control)
    hall.poll(4)
    assert hall.counted() == {"received": 4, "decrypted": 4}
    assert sum(hall.swarm.take_delays()) == 4
    assert hall.swarm.listener(far.id).worst_delay_us < 1e6


def test_excess_gaps(hall: Hall) -> None:
    """Arrival spacing beyond RTP time spacing, to the nanosecond; not over markers and voices."""
    far = hall.client()
    arrivals, ticks = [], [0, 1, 2, 3, 3 + 50 * FRAME_TICKS]
    for number, timestamp in enumerate(ticks):
        far.send(number, timestamp=timestamp, csrcs=[5])
        hall.poll(1)
        arrivals.append(hall.swarm.listener(far.id).tracks[0].last_arrival_ns)
    steps = zip(itertools.pairwise(arrivals), itertools.pairwise(ticks), strict=True)
    gaps = [max(0, b - a - (end - start) * 62_500 // 3) for (a, b), (start, end) in steps]
    assert hall.swarm.listener(far.id).worst_gap_us == max(gaps) / 1e3 > 0
    assert gaps[-1] == 0
    assert hall.swarm.take_gaps() == in_buckets(gaps)
    far.send(5, timestamp=10**6, csrcs=[6])
    far.send(6, timestamp=10**6 + 1, csrcs=[6], marker=True)
    far.send(7, timestamp=10**6, csrcs=[6])  # time does not go on: says nothing
    hall.poll(3)
    assert sum(hall.swarm.take_gaps()) == 0


def test_onsets_tell_who_spoke_since_when(hall: Hall) -> None:
    """The first packet, another CSRC and the marker; a late packet changes no voice."""
    far = hall.client()
    sent_ns = time.time_ns()
    late = far.protected(0, csrcs=[1])
    for number, (csrc, marker) in enumerate([(1, False), (1, False), (2, False), (2, True)], 1):
        far.send(number, timed(sent_ns + number), csrcs=[csrc], marker=marker)
    far.socket.send(late)
    far.send(9, timed(sent_ns), ssrc=SSRC + 1)
    hall.poll(6)
    heard = hall.swarm.listener(far.id)
    told = [(o.ssrc, o.csrc, o.sent_ns - sent_ns, o.is_switch) for o in heard.onsets]
    assert told == [
        (SSRC, 1, 1, True),
        (SSRC, 2, 3, True),
        (SSRC, 2, 4, False),
        (SSRC + 1, 0, 0, True),
    ]
    assert (heard.last_csrc, heard.tracks[0].last_csrc, heard.tracks[1].last_csrc) == (0, 2, 0)
    assert heard.first_packet_ns == heard.onsets[0].arrival_ns
    assert time.time_ns() >= heard.last_packet_ns >= heard.onsets[-1].arrival_ns


def test_onsets_and_tracks_are_bounded(hall: Hall) -> None:
    """The newest onsets stay, in order; a further SSRC is counted, not followed."""
    far = hall.client()
    for number in range(ONSETS_MAX + 10):
        far.send(number, csrcs=[number])
    hall.poll(ONSETS_MAX + 10)
    heard = hall.swarm.listener(far.id)
    assert heard.onset_count == ONSETS_MAX + 10
    assert [onset.csrc for onset in heard.onsets] == list(range(10, ONSETS_MAX + 10))
    for number in range(TRACKS_MAX + 5):
        far.send(1, ssrc=1_000 + number)
    hall.poll(TRACKS_MAX + 5)
    assert len(hall.swarm.listener(far.id).tracks) == TRACKS_MAX
    assert hall.counted()["untracked"] == 6


def test_of_each_track_every_nth_packet_is_decrypted() -> None:
    """And the first, and every onset; the others are counted all the same."""
    with opened(4) as hall:
        far = hall.client()
        for number in range(21):
            far.send(number, timed(time.time_ns()), ssrc=1)
            far.send(number, timed(time.time_ns()), ssrc=2, csrcs=[number // 7])
        hall.poll(42)
        totals = hall.swarm.totals()
        assert (totals["received"], totals["lost"]) == (42, 0)
        # 0, 4, 8, 12, 16, 20 of one; 0, 4, 7, 11, 14, 18 of the other.
        assert totals["decrypted"] == sum(hall.swarm.take_delays()) == 12
