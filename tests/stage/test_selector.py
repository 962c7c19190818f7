"""Who holds the slots: the rules one by one, and the measured behaviour of synthetic speech."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from itertools import chain, cycle, dropwhile, islice, repeat

import pytest

from sfu.stage.selector import CHALLENGERS_MAX, Loudness, Selector
from tests.stage import speech
from tests.stage.harness import STEP_S, Stage

LOUD = Loudness(level_db=-20.0, bonus_db=0.0, voiced_age_s=0.0, frame_ms=20.0)


class Bench:
    """A selector and the loudness of everybody, by hand."""

    def __init__(self, slots: int) -> None:
        self.selector = Selector(slots)
        self.now = 0.0
        self.loudness: dict[int, Loudness] = {}

    def of(self, source: int) -> Loudness:
        return self.loudness.get(source, LOUD)

    def challenge(self, source: int, *, after_s: float = 0.02) -> int | None:
        self.now += after_s
        return self.selector.challenge(source, self.of(source), self.now, self.of)

    def fill(self) -> None:
        """Sources 0.. take all slots and hold them for longer than the minimum."""
        for source in range(len(self.selector.slots)):
            assert self.challenge(source) == source
        self.now += 1.0

    def packets_until_seated(self, source: int, *, limit: int = 1000) -> int:
        for packet in range(1, limit + 1):
            if self.challenge(source, after_s=self.of(source).frame_ms / 1000) is not None:
                return packet
        raise AssertionError("never seated")


def test_first_voiced_packet_takes_the_lowest_empty_slot() -> None:
    bench = Bench(3)
    assert [bench.challenge(source) for source in (7, 8, 9)] == [0, 1, 2]
    bench.selector.release(8)
    assert bench.challenge(10) == 1


def test_holder_keeps_its_index() -> None:
    bench = Bench(2)
    bench.fill()
    assert bench.challenge(1) == 1
    bench.selector.release(0)
    assert bench.challenge(1) == 1


@pytest.mark.parametrize(("silent_s", "is_free"), [(0.28, False), (0.3, True), (math.inf, True)])
def test_slot_is_free_once_its_holder_was_silent_for_300_ms(silent_s: float, is_free: bool) -> None:
    bench = Bench(2)
    bench.fill()
    bench.loudness[1] = LOUD._replace(voiced_age_s=silent_s)
    assert bench.challenge(5) == (1 if is_free else None)


def test_longest_silent_holder_goes_first() -> None:
    bench = Bench(3)
    bench.fill()
    bench.loudness[0] = LOUD._replace(voiced_age_s=0.5)
    bench.loudness[2] = LOUD._replace(voiced_age_s=0.9)
    assert [bench.challenge(5), bench.challenge(6)] == [2, 0]


def test_louder_challenger_needs_three_packets() -> None:
    bench = Bench(1)
    bench.fill()
    bench.loudness[5] = LOUD._replace(level_db=-13.0)
    assert bench.packets_until_seated(5) == 3


@pytest.mark.parametrize(("frame_ms", "packets"), [(10.0, 6), (20.0, 3), (40.0, 2), (60.0, 2)])
def test_evidence_counts_time_but_never_one_packet(frame_ms: float, packets: int) -> None:
    bench = Bench(1)
    bench.fill()
    bench.loudness[5] = LOUD._replace(level_db=-10.0, frame_ms=frame_ms)
    assert bench.packets_until_seated(5) == packets


def test_margin_is_more_than_6_db() -> None:
    """Exactly 6 dB louder wins nothing until waiting has added to it."""
    bench = Bench(1)
    bench.fill()
    bench.loudness[5] = LOUD._replace(level_db=-14.0, frame_ms=0.001)
    assert [bench.challenge(5) for _ in range(10)] == [None] * 10


def test_holder_is_safe_for_half_a_second() -> None:
    bench = Bench(1)
    assert bench.challenge(0) == 0
    bench.loudness[5] = LOUD._replace(level_db=-5.0)
    taken_at = next(bench.now for _ in repeat(None) if bench.challenge(5) is not None)
    assert taken_at == pytest.approx(0.02 + 0.5, abs=0.021)


def test_interrupted_evidence_drains() -> None:
    """Two loud packets, a pause of three, two more: never three in a row."""
    bench = Bench(1)
    bench.fill()
    bench.loudness[5] = LOUD._replace(level_db=-5.0)
    gaps_s = islice(cycle([0.02, 0.08]), 100)
    assert all(bench.challenge(5, after_s=gap_s) is None for gap_s in gaps_s)


def test_jitter_and_a_lost_packet_do_not_drain_evidence() -> None:
    bench = Bench(1)
    bench.fill()
    bench.loudness[5] = LOUD._replace(level_db=-5.0)
    assert [bench.challenge(5, after_s=gap_s) for gap_s in (0.02, 0.04, 0.005)] == [None, None, 0]


def test_weakest_holder_is_the_one_replaced() -> None:
    bench = Bench(3)
    bench.fill()
    bench.loudness[1] = LOUD._replace(level_db=-35.0)
    bench.packets_until_seated(5)
    assert [slot.holder for slot in bench.selector.slots] == [0, 5, 2]


def test_bonus_defends_a_holder() -> None:
    """A quiet moderator is not the weakest."""
    bench = Bench(2)
    bench.fill()
    bench.loudness[0] = LOUD._replace(level_db=-30.0, bonus_db=12.0)
    bench.loudness[5] = LOUD._replace(level_db=-13.0)
    bench.packets_until_seated(5)
    assert [slot.holder for slot in bench.selector.slots] == [0, 5]


def test_equally_loud_challenger_gets_in_by_waiting() -> None:
    """6 dB at 4 dB a second, and the evidence."""
    bench = Bench(3)
    bench.fill()
    assert bench.packets_until_seated(5) * 0.02 == pytest.approx(1.56, abs=0.04)


def test_waiting_earns_12_db_at_most() -> None:
    bench = Bench(1)
    bench.fill()
    bench.loudness[5] = LOUD._replace(level_db=-26.5)
    assert all(bench.challenge(5) is None for _ in range(1000))
    bench.loudness[5] = LOUD._replace(level_db=-25.5)
    assert bench.packets_until_seated(5) == 3


def test_waiting_is_forgotten_after_a_second_of_silence() -> None:
    bench = Bench(1)
    bench.fill()
    for _ in range(60):
        bench.challenge(5)
    bench.challenge(5, after_s=1.1)
    assert bench.packets_until_seated(5) > 70


def test_released_source_is_forgotten() -> None:
    bench = Bench(1)
    bench.fill()
    bench.challenge(5)
    assert bench.selector.release(5) is None
    assert bench.selector.challenger_count == 0
    assert bench.selector.release(0) == 0


def test_challengers_are_bounded_and_pruned() -> None:
    bench = Bench(1)
    bench.fill()
    for source in range(10, 10 + CHALLENGERS_MAX + 5):
        bench.challenge(source, after_s=0.0)
    assert bench.selector.challenger_count == CHALLENGERS_MAX
    bench.selector.prune(bench.now + 2.0)
    assert bench.selector.challenger_count == 0


def test_resize_keeps_the_holders_that_fit() -> None:
    bench = Bench(3)
    bench.fill()
    bench.selector.resize(2)
    assert [slot.holder for slot in bench.selector.slots] == [0, 1]
    bench.selector.resize(4)
    assert [slot.holder for slot in bench.selector.slots] == [0, 1, None, None]
    assert bench.challenge(5) == 2


# Measured behaviour: a whole room, synthetic speech.


def talkers(count: int, seed: int, *, role: str = "speaker") -> Stage:
    stage = Stage()
    rng = random.Random(seed)
    for index in range(count):
        voice = speech.talk(seed * 100 + index, loudness_db=-22.0 + rng.gauss(0.0, 2.0))
        stage.join(f"talker-{index}", role, voice=voice, lines=0)
    return stage


def replacements(stage: Stage, seconds: float) -> int:
    """How often a slot went from one holder to another."""
    count = 0
    holders = stage.room.holders
    for _ in range(round(seconds / STEP_S)):
        stage.step()
        after = stage.room.holders
        count += sum(1 for a, b in zip(holders, after, strict=True) if a not in (None, b))
        holders = after
    return count


@pytest.mark.parametrize(
    ("count", "least_per_s", "most_per_s"),
    [(3, 0.0, 0.0), (4, 0.8, 3.5), (5, 1.2, 4.5), (8, 1.8, 6.0)],
)
def test_rate_of_replacements(count: int, least_per_s: float, most_per_s: float) -> None:
    """About 0, 2, 3 and 4 a second for 3, 4, 5 and 8 people talking at once: no chopping."""
    rates = [replacements(talkers(count, seed), 20.0) / 20.0 for seed in (1, 2)]
    assert all(least_per_s <= rate <= most_per_s for rate in rates), rates


def onset_s(role: str, seed: int, *, voice: Callable[[int], Iterator[int]]) -> float:
    """How long somebody new talks into a room of three talkers before being heard."""
    stage = talkers(3, seed)
    stage.run(3.0 + seed * 0.037)
    stage.join("late", role, voice=voice(seed), lines=0)
    began = stage.now
    while "late" not in stage.room.holders:
        stage.step()
        assert stage.now - began < 10.0, "starved"
    return stage.now - began - STEP_S


def from_first_word(seed: int) -> Iterator[int]:
    return dropwhile(lambda level: level > 50, speech.talk(seed + 7777))


def test_a_fourth_talker_gets_in() -> None:
    waits_s = sorted(onset_s("speaker", seed, voice=from_first_word) for seed in range(40))
    assert waits_s[20] <= 0.5, waits_s
    assert waits_s[-1] <= 2.5, waits_s


def test_a_moderator_gets_in_at_once() -> None:
    waits_s = sorted(onset_s("moderator", seed, voice=from_first_word) for seed in range(40))
    assert waits_s[20] <= 0.061, waits_s
    assert waits_s[-1] <= 0.16, waits_s


def test_equally_loud_moderator_preempts_within_60_ms() -> None:
    """From silence, against three steady voices that have held for more than half a second."""
    stage = Stage()
    for index in range(3):
        stage.join(f"talker-{index}", "speaker", voice=repeat(22), lines=0)
    stage.run(0.6)
    stage.join("chair", "moderator", voice=repeat(22), lines=0)
    stage.run(0.06)
    assert "chair" in stage.room.holders
    assert [name for _, name in stage.unheard] == ["chair", "chair"]


def test_free_slot_loses_no_packet() -> None:
    stage = talkers(2, 3)
    stage.run(5.0)
    stage.join("late", "speaker", voice=from_first_word(1), lines=0)
    stage.run(5.0)
    assert stage.unheard == []


def test_alternating_turns_do_not_churn() -> None:
    """Three people with 400 ms turns: everybody keeps the slot of the first word."""
    stage = Stage()
    turn = 20
    for index in range(3):
        quiet_before, quiet_after = [70] * (turn * index), [70] * (turn * (2 - index))
        voice = cycle(chain(quiet_before, [22] * turn, quiet_after))
        stage.join(f"talker-{index}", "speaker", voice=voice, lines=0)
    stage.run(2.0)
    holders = stage.room.holders
    assert sorted(holder or "" for holder in holders) == ["talker-0", "talker-1", "talker-2"]
    assert replacements(stage, 20.0) == 0


@pytest.mark.parametrize("loudness_db", [-30.0, -18.0, -10.0])
def test_keyboard_never_takes_a_slot_from_a_talker(loudness_db: float) -> None:
    """Steady talkers leave no free slot, so any change would be a pre-emption."""
    stage = Stage()
    for index in range(3):
        stage.join(f"talker-{index}", "speaker", voice=repeat(24), lines=0)
    stage.run(1.0)
    for index in range(3):
        voice = speech.typing(index, loudness_db=loudness_db)
        stage.join(f"keyboard-{index}", "speaker", voice=voice, lines=0)
    assert replacements(stage, 20.0) == 0


def test_packet_of_sixty_ms_is_not_punished() -> None:
    """Frames of 60 ms win and hold slots as those of 20 ms do."""
    stage = talkers(3, 5)
    stage.run(2.0)
    stage.join("long", "moderator", lines=0)
    began = stage.now
    while "long" not in stage.room.holders:
        stage.run(0.06)
        stage.say("long", 22, frame_ms=60)
        assert stage.now - began < 1.0
    assert stage.now - began <= 0.121


def test_second_packet_of_a_batch_follows_the_first() -> None:
    """Both were challenges when the batch came; the first took the slot."""
    stage = Stage()
    source = stage.join("a", "speaker", lines=0).source
    packets = [stage.forwarder.speak(source, 20, 0.0) for _ in range(2)]
    assert [packet and stage.room.challenge(packet, 0.0) for packet in packets] == [True, True]
    assert len(stage.forwarder.assign_calls) == 1


def test_challenge_of_somebody_muted_meanwhile_is_refused() -> None:
    stage = Stage()
    packet = stage.forwarder.speak(stage.join("a", "speaker", lines=0).source, 20, 0.0)
    stage.room.moderation.set_muted("a", True, 0.0)
    assert packet is not None
    assert not stage.room.challenge(packet, 0.0)
