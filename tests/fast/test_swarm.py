"""Virtual clients against packets made by hand: what they count, measure and survive."""

from __future__ import annotations

import bisect
import itertools
import os
import random
import socket
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from sfu.fast import DTLS, RTCP, STUN, Swarm
from sfu.fast._swarm import ONSETS_MAX, TRACKS_MAX
from tests.fast.crowd import SSRC, Hall, opened, timed
from tests.fast.peer import FRAME_TICKS

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


@hypothesis_settings(deadline=None, max_examples=40)
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
    hall.poll(5)
    heard = hall.swarm.listener(far.id)
    told = [(o.ssrc, o.csrc, o.sent_ns - sent_ns, o.is_switch) for o in heard.onsets]
    assert told == [(SSRC, 1, 1, True), (SSRC, 2, 3, True), (SSRC, 2, 4, False)]
    assert heard.last_csrc == heard.tracks[0].last_csrc == 2
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


def test_wrong_and_missing_keys_are_counted(hall: Hall) -> None:
    """No track is opened for what does not authenticate; the right keys heal it."""
    far = hall.client(keys=False)
    far.send(1)
    hall.poll(1)
    far.give_keys(number=99)
    for number in range(2, 7):
        far.send(number)
    hall.poll(5)
    assert hall.counted() == {"no_keys": 1, "auth_errors": 5}
    heard = hall.swarm.listener(far.id)
    assert (heard.packets, heard.first_packet_ns, heard.tracks) == (0, 0, ())
    far.give_keys()
    far.send(7)
    hall.poll(1)
    assert hall.swarm.listener(far.id).packets == 1


def test_asides_are_handed_out_in_order(hall: Hall) -> None:
    """STUN, DTLS and RTCP as they came, also with media between them, also more than fit once."""
    far = hall.client()
    wanted = [(STUN, b"\x00\x01stun"), (DTLS, b"\x16dtls"), (RTCP, b"\x80\xc8rtcp"), (STUN, b"\x01")]
    for _, data in wanted:
        far.socket.send(data)
    far.send(1)
    asides = hall.poll(5)
    assert [(aside.client, aside.kind, aside.data) for aside in asides] == [
        (far.id, *entry) for entry in wanted
    ]
    crowd = [hall.client(number) for number in range(2, 52)]
    for number, one in itertools.product(range(100), crowd):
        one.socket.send(b"\x16" + number.to_bytes(2, "big"))
    by_client: dict[int, list[bytes]] = {}
    for aside in hall.poll(5_000):
        by_client.setdefault(aside.client, []).append(aside.data)
    ordered = [b"\x16" + number.to_bytes(2, "big") for number in range(100)]
    assert by_client == {one.id: ordered for one in crowd}


def test_ten_thousand_garbage_datagrams(hall: Hall) -> None:
    """Noise, cut and bent media: everything is counted once, and the next packet is heard."""
    far = hall.client()
    chance = random.Random(7)
    whole = far.protected(1, extension=b"\xbe\xde\x00\x01\x10\x05\x00\x00", csrcs=[1, 2])
    for number in range(10_000):
        if number % 2:
            data = bytearray(whole)
            for _ in range(chance.randrange(1, 6)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            far.socket.send(data[: chance.randrange(len(data) + 1)])
        else:
            far.socket.send(bytes([chance.randrange(256)]) + chance.randbytes(chance.randrange(1500)))
        if number % 50 == 49:
            hall.poll(50)
    # Some were bent back into shape: those are media, and the only ones decrypted.
    counted = hall.counted("decrypted", "untimed")
    assert counted.keys() >= {"malformed", "unknown", "auth_errors", "asides"}
    assert sum(counted.values()) == 10_000
    far.send(1_000, timed(time.time_ns()))
    hall.poll(1)
    assert sum(hall.swarm.take_delays()) == 1


def test_what_the_kernel_cuts_or_drops_is_counted(hall: Hall) -> None:
    """Datagrams longer than any of ours, and a receive buffer that was full."""
    far = hall.client(buffer_bytes=1)
    far.socket.send(b"\x80" + bytes(2_048))
    hall.poll(1)
    assert hall.counted() == {"truncated": 1}
    for number in range(100):
        far.send(number, bytes(800))
    hall.swarm.poll()
    far.send(100)
    hall.poll(1)
    totals = hall.swarm.totals()
    assert totals["socket_drops"] == 101 - totals["received"] > 50
    assert totals["lost"] == totals["socket_drops"]


def test_a_refused_datagram_is_no_end(hall: Hall) -> None:
    """The answer to what nobody received is counted; the client goes on with the next server."""
    far = hall.client()
    port = far.socket.getsockname()
    far.socket.close()
    far.near.send(b"anybody?")
    hall.swarm.poll()
    assert hall.counted() == {"receive_errors": 1}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(port)
        other.connect(far.near.getsockname())
        other.send(far.protected(1))
        hall.poll(1)
    assert hall.swarm.listener(far.id).packets == 1


def test_ids_are_used_again_and_begin_anew(hall: Hall) -> None:
    """What waits for the last owner of an id is not heard by the next one."""
    old = hall.client(1)
    old.send(1)
    hall.poll(1)
    old.send(2)
    hall.swarm.remove_client(old.id)
    new = hall.client(2)
    assert new.id == old.id
    new.send(9, ssrc=5)
    hall.poll(1)
    heard = hall.swarm.listener(new.id)
    assert (heard.packets, heard.onset_count, heard.tracks[0].ssrc) == (1, 1, 5)
    assert hall.swarm.totals()["received"] == 2


def test_unknown_clients_and_a_closed_swarm_are_refused() -> None:
    """Misuse raises, and closing leaves no descriptor and no key behind."""
    before = os.listdir("/proc/self/fd")
    with opened() as hall:
        hall.client()
        for wrong in (-1, 1, 2**31 - 1):
            for call in (hall.swarm.remove_client, hall.swarm.listener, hall.swarm.hush):
                with pytest.raises(KeyError, match="no client"):
                    call(wrong)
        with pytest.raises(OSError, match="cannot watch"):
            hall.swarm.add_client(1_000_000)
        hall.swarm.close()
        hall.swarm.close()
        assert hall.counted() == {}
        assert hall.swarm.totals()["clients"] == 0
        for closed in (hall.swarm.poll, hall.swarm.fileno, lambda: hall.swarm.listener(0)):
            with pytest.raises(ValueError, match="closed"):
                closed()
    assert os.listdir("/proc/self/fd") == before
    for decrypt_every in (0, -1, 1_001):
        with pytest.raises(ValueError, match="decrypt_every"):
            Swarm(decrypt_every)
