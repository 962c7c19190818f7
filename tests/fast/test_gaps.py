"""What publishers' lines lose is told once, and what is asked for again still finds its place."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sfu.fast import Forwarder
from sfu.fast.records import Gap
from tests.fast.oracle_red import Block, build_red
from tests.fast.peer import FRAME_TICKS, PAYLOAD_TYPE, TALK, Talker, batch_of, drained
from tests.fast.stage import FRAME_S, NOW, Stage

RED = 63
FIRST = 1_000


class Lossy(Stage):
    """A talker with a slot who repeats packets; `lost` are those that did not get through."""

    def __init__(self, **source: int) -> None:
        super().__init__()
        self.talker = Talker(5, self.forwarder, repeats=True, **source)
        self.forwarder.assign(self.slot, self.talker.source, NOW)
        self.lost: dict[int, bytes] = {}
        for _ in range(3):
            self.send(self.talker.talk())

    def lose(self, count: int = 1) -> None:
        """So many packets do not arrive, and time passes."""
        for _ in range(count):
            number = self.talker.sequence
            self.lost[number] = self.talker.talk()
            self.now += FRAME_S

    def say(self) -> list[tuple[bytes, bytes]]:
        """The next packet; what comes out."""
        return self.send(self.talker.talk())

    def missing(self, *sequences: int) -> list[int]:
        """Which of them are worth asking for."""
        source = self.talker.source
        return self.forwarder.missing(source, self.talker.ssrc, list(sequences))


def test_nothing_is_missing_on_a_good_line() -> None:
    assert Lossy().forwarder.gaps() == []


def test_a_gap_is_told_once_with_when_the_packet_before_it_came() -> None:
    stage = Lossy()
    before_at = stage.now
    stage.lose(2)
    stage.say()
    sequences = [FIRST + 3, FIRST + 4]
    told = stage.forwarder.gaps()
    assert told == [Gap(stage.talker.source, stage.talker.ssrc, before_at, sequences)]
    stage.say()
    assert stage.forwarder.gaps() == []


def test_gaps_of_one_batch_are_told_together() -> None:
    stage = Lossy()
    stage.lose()
    first = stage.talker.talk()
    stage.lose()
    stage.send(first, stage.talker.talk())
    assert [gap.sequences for gap in stage.forwarder.gaps()] == [[FIRST + 3, FIRST + 5]]


def test_who_does_not_repeat_is_not_told_of(stage: Stage) -> None:
    stage.send(stage.talker.talk())
    stage.talker.talk()
    stage.send(stage.talker.talk())
    assert stage.forwarder.gaps() == []


def test_who_is_not_heard_is_not_told_of() -> None:
    """Without a slot, muted, or at the anchor: what is missing would have no place."""
    stage = Lossy()
    hidden: list[Callable[[], None]] = [
        lambda: stage.forwarder.assign(stage.slot, -1, stage.now),
        lambda: stage.forwarder.set_audible(stage.talker.source, False),
    ]
    for hide in hidden:
        hide()
        stage.lose()
        stage.say()
        assert stage.forwarder.gaps() == []
        stage.forwarder.assign(stage.slot, -1, stage.now)
        stage.forwarder.assign(stage.slot, stage.talker.source, stage.now)
        stage.forwarder.set_audible(stage.talker.source, True)
        stage.lose()
        stage.say()
        assert stage.forwarder.gaps() == [], "what comes before the anchor is too late"


@pytest.mark.parametrize(("lost", "told"), [(62, 1), (63, 0), (5_000, 0)])
def test_a_leap_is_no_gap(lost: int, told: int) -> None:
    stage = Lossy()
    stage.talker.sequence += lost
    stage.say()
    assert len(stage.forwarder.gaps()) == told


def test_what_red_brings_is_not_missing() -> None:
    stage = Lossy(red_payload_type=RED)
    stage.lose(2)
    blocks = [Block(FRAME_TICKS, TALK), Block(0, TALK)]
    red = build_red(PAYLOAD_TYPE, blocks)
    stage.send(stage.talker.talk(red, payload_type=RED))
    assert [gap.sequences for gap in stage.forwarder.gaps()] == [[FIRST + 3]]
    assert stage.missing(FIRST + 3, FIRST + 4) == [FIRST + 3]


def test_what_came_meanwhile_is_not_asked_for() -> None:
    stage = Lossy()
    stage.lose(2)
    stage.say()
    assert stage.missing(FIRST + 3, FIRST + 4) == [FIRST + 3, FIRST + 4]
    stage.send(stage.lost[FIRST + 3])
    assert stage.missing(FIRST + 3, FIRST + 4) == [FIRST + 4]


def test_what_has_no_place_any_more_is_not_asked_for() -> None:
    """Muted, without the slot, of another SSRC, never sent, before the anchor."""
    stage = Lossy()
    stage.lose()
    stage.say()
    lost = FIRST + 3
    assert stage.missing(lost + 1, lost + 2, lost - 64) == []
    assert stage.forwarder.missing(stage.talker.source, 1, [lost]) == []
    stage.forwarder.set_audible(stage.talker.source, False)
    assert stage.missing(lost) == []
    stage.forwarder.set_audible(stage.talker.source, True)
    assert stage.missing(lost) == []
    stage.say()
    assert stage.missing(lost) == []
    stage.forwarder.assign(stage.slot, -1, stage.now)
    assert stage.missing(lost) == []


@pytest.mark.parametrize("segmented", [False, True])
def test_what_was_asked_for_reaches_listeners_in_its_place(segmented: bool) -> None:
    stage = Lossy()
    if segmented:
        audience = stage.forwarder.add_audience()
        slot = stage.forwarder.add_slot(audience)
        stage.forwarder.set_segmented(audience, True)
        stage.forwarder.assign(stage.slot, -1, stage.now)
        stage.forwarder.assign(slot, stage.talker.source, stage.now)
        stage.forwarder.subscribe(stage.listener.egress, stage.forwarder.slot_stream(slot))
        stage.say()
    heard = [stage.listener.hear(data) for data, _ in stage.say()]
    missing = stage.talker.sequence
    stage.lose()
    for _ in range(9):
        heard += [stage.listener.hear(data) for data, _ in stage.say()]
    assert stage.missing(missing) == [missing]
    late = [stage.listener.hear(data) for data, _ in stage.send(stage.lost[missing])]
    assert [one.sequence for one in late] == [heard[0].sequence + 1]
    assert [one.timestamp for one in late] == [heard[0].timestamp + FRAME_TICKS]
    assert stage.forwarder.counters()["repaired"] == 1
    assert stage.dropped() == {}


def test_what_was_asked_for_stays_lost_in_the_report() -> None:
    """The publisher is told what its line loses, not what was made good."""
    stage = Lossy()
    stage.lose(2)
    stage.say()
    before = stage.forwarder.source_stats(stage.talker.source)
    assert stage.missing(FIRST + 3)
    stage.now += 0.2
    stage.send(stage.lost[FIRST + 3])
    assert stage.forwarder.source_stats(stage.talker.source) == before
    stage.send(stage.lost[FIRST + 4])
    after = stage.forwarder.source_stats(stage.talker.source)
    assert after.packets == before.packets + 1 and after.jitter_ticks > before.jitter_ticks


def test_a_departed_source_is_told_of_no_more() -> None:
    """Nor is whoever has its row next."""
    stage = Lossy()
    stage.lose()
    stage.say()
    stage.forwarder.remove_transport(stage.talker.transport)
    newcomer = Talker(6, stage.forwarder, repeats=True)
    assert newcomer.source == stage.talker.source
    assert stage.forwarder.gaps() == []
    with pytest.raises(KeyError):
        stage.forwarder.missing(99, 1, [5])


def test_each_of_several_sources_is_told() -> None:
    forwarder = Forwarder()
    talkers = [Talker(10 + number, forwarder, repeats=True) for number in range(3)]
    for talker in talkers:
        forwarder.assign(forwarder.add_slot(), talker.source, NOW)
    for skip in (0, 1):
        for talker in talkers:
            talker.sequence += skip
        packets = [(talker.talk(), talker.address) for talker in talkers]
        forwarder.receive(batch_of(*packets), NOW)
        drained(forwarder)
    assert {gap.source for gap in forwarder.gaps()} == {talker.source for talker in talkers}
