"""Whatever a listener sends as transport-wide feedback: it is read as a plain reader would."""

from __future__ import annotations

from collections.abc import Iterable

from sfu.fast import Delivery
from tests.fast.oracle_told import build_told, parse_told
from tests.fast.test_deliveries import TICK_S, Told
from tests.fuzz.mutations import mutations, truncations

SENT = 100
SAMPLES = [
    build_told(0, [4 * step for step in range(40)], form="one"),
    build_told(60, [None, 900, 700, None, None, 9_000, 9_001, 9_002, 40_000]),
    build_told(20, [None] * 30 + [500, 501, 502], form="run"),
    build_told(90, [2**32 - 300 + 60 * step for step in range(10)]),
]


def suffer(samples: Iterable[bytes]) -> tuple[int, int]:
    """How many were malformed, and how many packets the others told of."""
    malformed = told = 0
    room = Told(SENT)
    for number, feedback in enumerate(samples):
        if number % 20 == 0:
            room = Told(SENT)
        expected = parse_told(feedback)
        if expected and any(SENT <= one[0] < SENT + 2**15 for one in expected):
            expected = None  # of what was never sent
        before = room.forwarder.counters()["feedback_malformed"]
        found = room.tell(feedback)
        is_malformed = room.forwarder.counters()["feedback_malformed"] > before
        assert is_malformed == (expected is None), feedback.hex()
        assert_told(found, expected or [])
        malformed += is_malformed
        told += len(found)
    return malformed, told


def assert_told(found: list[Delivery], expected: list[tuple[int, int | None]]) -> None:
    """Each is among what a plain reading says, in that order, its clock apart."""
    places = iter(expected)
    for one in found:
        assert any(
            (one.arrived_at is None) == (ticks is None)
            and (ticks is None or round(one.arrived_at / TICK_S - ticks) % (2**24 * 256) == 0)  # type: ignore[operator]
            for _, ticks in places
        )


def test_every_truncation_of_feedback_is_survived() -> None:
    malformed, _ = suffer(truncations(SAMPLES))
    assert malformed > 50


def test_ten_thousand_mutations_of_feedback_are_survived() -> None:
    """Seeded, so that a failure repeats."""
    malformed, told = suffer(mutations(SAMPLES, seed="told"))
    assert malformed > 3_000
    assert told > 1_000
