"""When publishers are asked for lost packets, and when they are not."""

from __future__ import annotations

import pytest

from sfu.fast.records import Gap
from sfu.transport.repair import AGE_S_MAX, MISSING_MAX, REORDER_S, Repair

SSRC = 7


class Line:
    """What is still missing, and how far away the publisher is."""

    def __init__(self, rtt_s: float | None = 0.08) -> None:
        self.rtt_s = rtt_s
        self.came: set[int] = set()
        self.looked: list[tuple[int, int]] = []
        self.repair = Repair(self, 5)

    def missing(self, source: int, ssrc: int, sequences: list[int], /) -> list[int]:
        """As the forwarder does it."""
        self.looked.append((source, ssrc))
        return [one for one in sequences if one not in self.came]

    def lose(self, *sequences: int, at: float = 1.0, after_at: float | None = None) -> None:
        """A gap shows at a time; by default the packet before it came 20 ms for each before."""
        after_at = at - 0.02 * (len(sequences) + 1) if after_at is None else after_at
        self.repair.note(Gap(5, SSRC, after_at, list(sequences)), self.rtt_s, at)

    def asked(self, until: float = 10.0) -> list[tuple[float, list[int]]]:
        """When it asks for what, from deadline to deadline."""
        found = []
        while (at := self.repair.next_deadline()) is not None and at <= until:
            numbers = self.repair.ask(self.rtt_s, at)
            if numbers:
                found.append((round(at, 3), numbers))
        return found


def test_a_lost_packet_is_asked_for_after_the_margin_and_again_after_a_round_trip() -> None:
    line = Line()
    assert line.repair.next_deadline() is None
    line.lose(10)
    assert line.asked() == [(1.01, [10]), (1.10, [10])]
    assert line.looked == [(5, SSRC), (5, SSRC)]


def test_what_only_came_late_is_not_asked_for() -> None:
    line = Line()
    line.lose(10, 11)
    line.came = {10}
    assert line.asked(until=1.05) == [(1.01, [11])]
    line.came = {11}
    assert line.asked() == [], "what was not missing once is not looked for again"


def test_what_came_on_asking_is_not_asked_for_again() -> None:
    line = Line()
    line.lose(10)
    assert line.asked(until=1.05) == [(1.01, [10])]
    line.came = {10}
    assert line.asked() == []


@pytest.mark.parametrize("rtt_s", [None, 0.2, 1.0])
def test_who_is_far_or_unknown_is_not_asked(rtt_s: float | None) -> None:
    line = Line(rtt_s)
    line.lose(10)
    assert line.asked() == [] and line.looked == []


def test_who_became_far_is_not_asked_again() -> None:
    line = Line()
    line.lose(10)
    line.asked(until=1.05)
    line.rtt_s = 0.25
    assert line.asked() == []


def test_what_is_too_old_is_not_asked_for() -> None:
    line = Line(0.19)
    line.lose(*range(10, 14), at=1.0, after_at=0.85)
    assert line.asked() == [(1.01, [10, 11, 12, 13])], "0.36 s after it was due no more"


def test_after_a_pause_nothing_is_asked_for() -> None:
    """What is missing may be older than the pause."""
    line = Line()
    line.lose(10, at=1.0, after_at=1.0 - AGE_S_MAX - 0.1)
    line.lose(20, at=2.0, after_at=2.0 - AGE_S_MAX + REORDER_S / 2)
    assert line.asked() == []


def test_gaps_in_between_have_times_of_their_own() -> None:
    line = Line()
    line.lose(10, at=1.0)
    line.lose(12, at=1.04)
    assert line.asked() == [(1.01, [10]), (1.05, [12]), (1.10, [10]), (1.14, [12])]


def test_another_ssrc_starts_over() -> None:
    line = Line()
    line.lose(10)
    line.repair.note(Gap(5, 8, 0.98, [3]), 0.08, 1.02)
    assert [numbers for _, numbers in line.asked()] == [[3], [3]]
    assert line.repair.ssrc == 8


def test_there_is_a_limit_to_what_is_missing() -> None:
    line = Line()
    line.lose(*range(100), after_at=0.9)
    ((_, numbers), _) = line.asked()
    assert len(numbers) == MISSING_MAX
