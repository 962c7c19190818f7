"""What a listener's feedback tells of stamped packets, against a plain reading of it."""

from __future__ import annotations

import random

import pytest

from sfu.fast import Delivery
from tests.fast.oracle_told import build_told, parse_told
from tests.fast.peer import PAYLOAD_TYPE, TALK, drained
from tests.fast.stage import NOW
from tests.fast.stamped import CC_ID, Room

SIZE = 12 + 4 + 8 + len(TALK) + 16 + 28  # header, CSRC, extension, payload, tag, IP and UDP
TICK_S = 250e-6
WEEK_S = 7 * 86_400


class Told(Room):
    """A listener that is stamped, and has been sent something."""

    def __init__(self, ticks: int = 1, talkers: int = 1) -> None:
        super().__init__(talkers)
        self.stamp()
        for _ in range(ticks):
            self.tick()

    def tell(self, feedback: bytes) -> list[Delivery]:
        """What it is understood to say."""
        return self.forwarder.deliveries(self.listener.transport, feedback, self.now)

    def deaf(self, feedback: bytes) -> bool:
        """Whether it is counted as malformed, and says nothing."""
        before = self.forwarder.counters()["feedback_malformed"]
        told = self.tell(feedback)
        assert not told or self.forwarder.counters()["feedback_malformed"] == before
        return self.forwarder.counters()["feedback_malformed"] == before + 1


@pytest.mark.parametrize("form", ["one", "two", "run"])
def test_feedback_tells_when_each_packet_left_and_came(form: str) -> None:
    room = Told(5)
    told = room.tell(build_told(0, [400, 480, None, 500, 501], form=form))
    assert [one.sent_at for one in told] == pytest.approx([NOW + 0.02 * n for n in range(1, 6)])
    arrived = [None if one.arrived_at is None else one.arrived_at / TICK_S for one in told]
    assert arrived == [400, 480, None, 500, 501]
    assert {one.size for one in told} == {SIZE}
    counters = room.forwarder.counters()
    assert (counters["stamped_arrived"], counters["stamped_lost"]) == (4, 1)


def test_packets_that_overtook_each_other_came_earlier() -> None:
    room = Told(3)
    told = room.tell(build_told(0, [4_000, 3_900, 4_700]))
    assert [one.arrived_at for one in told] == [1.0, 0.975, 1.175]


def test_a_packet_is_told_of_once() -> None:
    room = Told(4)
    assert len(room.tell(build_told(0, [10, None]))) == 2
    told = room.tell(build_told(0, [10, 30, 40]))
    assert [one.arrived_at for one in told] == [0.01]
    assert room.tell(build_told(0, [10, 30, 40])) == []


def test_a_packet_that_left_twice_counts_as_lost() -> None:
    """Nobody can tell which of both came; it was asked for because the first had not."""
    room = Told(8)
    last = room.forwarder.egress_stats(room.egresses[0]).last_sequence
    assert room.forwarder.resend(room.egresses[0], [last - 1], room.now) == 1
    drained(room.forwarder)
    told = room.tell(build_told(5, [10, 20, 30]))
    assert [one.arrived_at for one in told] == [10 * TICK_S, None, 30 * TICK_S]


def test_numbers_wrap() -> None:
    room = Told(0)
    stream = room.forwarder.egress_stream(room.egresses[0])
    for step in range(65_540):
        room.now = NOW + 0.02 * step
        room.forwarder.push(stream, b"\xf8\xff\xfe", room.now)
        drained(room.forwarder)
    told = room.tell(build_told(65_534, [1, 2, 3, 4]))
    assert [room.now - one.sent_at for one in told] == pytest.approx([0.10, 0.08, 0.06, 0.04])


def test_the_clock_of_the_receiver_goes_on_when_its_field_wraps() -> None:
    """24 bits of 64 ms are twelve days; feedback may come in another order than it was made."""
    room = Told(4)
    span = 2**24 * 256
    arrivals = [span - 300, span + 40, span - 20, span + 900]
    told = [
        room.tell(build_told(number, [arrival % span]))[0].arrived_at
        for number, arrival in enumerate(arrivals)
    ]
    assert told == [arrival * TICK_S for arrival in arrivals]


def test_what_is_older_than_the_memory_is_told_of_no_more() -> None:
    room = Told(0)
    stream = room.forwarder.egress_stream(room.egresses[0])
    for step in range(600):
        room.now = NOW + 0.01 * step
        room.forwarder.push(stream, b"\xf8\xff\xfe", NOW + 0.02 * step)
        drained(room.forwarder)
    assert len(room.tell(build_told(0, [None] * 600, form="run"))) == 512


def test_what_left_more_than_ten_seconds_ago_is_told_of_no_more() -> None:
    room = Told(2)
    room.now += 9.99
    assert [one.arrived_at for one in room.tell(build_told(0, [1, 2]))] == [2 * TICK_S]


def test_nothing_is_known_of_a_time_without_numbers() -> None:
    room = Told(3)
    room.stamp(False)
    assert room.tell(build_told(0, [1, 2, 3])) == []
    room.tick()
    room.stamp()
    room.tick()
    assert [one.arrived_at for one in room.tell(build_told(0, [1, 2, 3, 4]))] == [4 * TICK_S]
    assert room.forwarder.counters()["feedback_malformed"] == 0


def test_an_outage_may_be_told_of_at_once() -> None:
    """Many packets were lost: of those that are remembered it is said."""
    room = Told(0)
    stream = room.forwarder.egress_stream(room.egresses[0])
    for step in range(8_192):
        room.now = NOW + 0.02 * step
        room.forwarder.push(stream, b"\xf8\xff\xfe", room.now)
        drained(room.forwarder)
    told = room.tell(build_told(0, [None] * 8_191 + [400], form="run"))
    assert len(told) == 501, "those of the last ten seconds"
    assert [one.arrived_at for one in told][-2:] == [None, 0.1]


GOOD = build_told(0, [400, 480, None])


@pytest.mark.parametrize(
    "feedback",
    [
        b"",
        GOOD[:7],
        b"\x00\x00\x00\x00" + GOOD[4:],  # of no packet
        b"\x00\x00\x20\x01" + GOOD[4:8] + b"\x1f\xff\x00\x02",  # of more than 8,192
        GOOD[:8],
        GOOD[:9],
        GOOD[:8] + b"\x00\x00" + GOOD[8:],  # a run of none
        GOOD[:8] + b"\xf0\x00" + bytes(4),  # a reserved status
        GOOD[:8] + b"\x60\x03" + bytes(4),
        GOOD[:11],  # a time is missing
        GOOD + bytes(4),  # more than padding behind the last
        build_told(0, [1, 2, 3, 4]),  # of what was never sent
        build_told(3, [1]),
        build_told(40_000, [1], form="run")[:2] + build_told(0, [1])[2:] + bytes(8),
    ],
)
def test_what_is_malformed_is_counted_and_says_nothing(feedback: bytes) -> None:
    room = Told(3)
    assert room.deaf(feedback)
    assert len(room.tell(GOOD)) == 3, "nothing of it was taken"


def test_numbers_long_gone_are_not_malformed() -> None:
    """Those half a sequence back cannot be told from what was sent before."""
    room = Told(3)
    assert not room.deaf(build_told(65_000, [1, 2]))


class Borrowing(Told):
    """Its first track borrows the extension, its second has it."""

    def __init__(self, ticks: int) -> None:
        super().__init__(ticks=0, talkers=2)
        self.forwarder.remove_egress(self.egresses[0])
        self.egresses[0] = self.forwarder.add_egress(
            self.listener.transport,
            ssrc=0xC000,
            payload_type=PAYLOAD_TYPE,
            first_sequence=7,
            first_timestamp=0,
            echo_group=9,
            transport_cc_extension=CC_ID,
            transport_cc_borrowed=True,
        )
        self.forwarder.subscribe(self.egresses[0], self.forwarder.slot_stream(self.slots[0]))
        for _ in range(ticks):
            self.tick()


def test_until_one_has_come_packets_with_a_borrowed_number_are_not_lost() -> None:
    """A client may read numbers only where they were agreed on."""
    room = Borrowing(6)
    assert [one.arrived_at for one in room.tell(build_told(0, [None, 4, None, 8]))] == [
        0.001,
        0.002,
    ]
    assert [one.arrived_at for one in room.tell(build_told(4, [11, 12]))] == [0.00275, 0.003]
    assert [one.arrived_at for one in room.tell(build_told(6, [None, None]))] == [None, None]


def test_who_never_tells_of_borrowed_numbers_gets_no_more_of_them() -> None:
    room = Borrowing(520)
    assert room.forwarder.counters()["stamped"] == 512 + 520
    room.tell(build_told(1_031, [5]))
    room.tick()
    assert room.forwarder.counters()["stamped"] == 512 + 521


def test_who_tells_of_one_gets_them_for_good() -> None:
    room = Borrowing(2)
    room.tell(build_told(0, [5]))
    for _ in range(600):
        room.tick()
    assert room.forwarder.counters()["stamped"] == 2 * 602
    room.stamp(False)
    room.stamp()
    room.tick()
    assert len(room.tell(build_told(1_204, [None, 5]))) == 2


def test_an_unknown_transport_is_refused() -> None:
    with pytest.raises(KeyError):
        Told().forwarder.deliveries(99, GOOD, NOW)


@pytest.mark.parametrize("seed", range(20))
def test_random_feedback_says_what_a_plain_reading_of_it_says(seed: int) -> None:
    rng = random.Random(seed)
    room = Told(0, talkers=3)
    sent: list[float] = []
    told: set[int] = set()
    for _ in range(120):
        room.tick()
        sent += [room.now] * 3
        if rng.random() < 0.5:
            continue
        feedback = random_feedback(rng, len(sent))
        expected = [
            (sent[number], ticks)
            for number, ticks in parse_told(feedback) or ()
            if number not in told and not told.add(number)  # type: ignore[func-returns-value]
        ]
        found = [
            (one.sent_at, None if one.arrived_at is None else round(one.arrived_at / TICK_S))
            for one in room.tell(feedback)
        ]
        assert found == expected
    assert len(told) > 100


def random_feedback(rng: random.Random, sent: int) -> bytes:
    """Of some of the packets that were sent lately, in any form."""
    base = max(0, sent - rng.randrange(1, 60))
    count = rng.randrange(1, sent - base + 1)
    form = rng.choice(("one", "two", "run"))
    clock, arrivals = 4_000 * sent, []
    for _ in range(count):
        clock += rng.randrange(256) if form == "one" else rng.choice((0, 80, 255, 256, -90, 9_000))
        arrivals.append(clock if rng.random() < 0.8 else None)
        if arrivals[-1] is None and form == "one":
            clock = max((one for one in arrivals if one is not None), default=4_000 * sent)
    return build_told(base, arrivals, form=form)
