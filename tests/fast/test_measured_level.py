"""The level that whoever decodes a source has measured counts instead of what packets claim."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fast.peer import TALK, Listener
from tests.fast.stage import Stage

LEVEL_ID = 6


class LoudStage(Stage):
    """A stage whose listener is told levels."""

    def __init__(self) -> None:
        super().__init__()
        self.ear = Listener(8, self.forwarder, level_extension=LEVEL_ID)
        self.forwarder.subscribe(self.ear.egress, self.stream)

    def say(self, payload: bytes = TALK, **fields: Any) -> int:
        """One packet of the talker; the level byte that the listener gets."""
        sent = {to: data for data, to in self.send(self.talker.talk(payload, **fields))}
        [(_, value)] = self.ear.hear(sent[self.ear.address]).elements
        return value[0]


def test_listeners_are_told_what_was_measured_with_the_voice_bit_as_it_came() -> None:
    stage = LoudStage()
    assert stage.say(level=20) == 0x80 | 20
    stage.forwarder.set_measured_level(stage.talker.source, 70)
    assert stage.say(level=20) == 0x80 | 70
    assert stage.say(extension=b"") == 70, "none claimed"
    stage.forwarder.set_measured_level(stage.talker.source, None)
    assert stage.say(level=20) == 0x80 | 20
    assert stage.say(extension=b"") == 30


def test_who_is_loud_without_saying_so_is_voiced_and_who_claims_it_is_not() -> None:
    stage = LoudStage()
    forwarder, talker = stage.forwarder, stage.talker
    stage.say(level=127)
    assert not forwarder.level(talker.source, stage.now).voiced
    forwarder.set_measured_level(talker.source, 25)
    stage.say(level=127)
    level = forwarder.level(talker.source, stage.now)
    assert (level.voiced, level.instant, level.measured) == (True, 25, True)
    forwarder.set_measured_level(talker.source, 80)
    stage.say(level=5)
    assert not forwarder.level(talker.source, stage.now).voiced


def test_a_publisher_without_levels_is_measured_as_long_as_somebody_does() -> None:
    stage = LoudStage()
    stage.say(extension=b"")
    assert not stage.forwarder.level(stage.talker.source, stage.now).measured
    stage.forwarder.set_measured_level(stage.talker.source, 40)
    stage.say(extension=b"")
    assert stage.forwarder.level(stage.talker.source, stage.now).measured


def test_a_measured_level_is_forgotten_after_a_second() -> None:
    stage = LoudStage()
    stage.say()
    stage.forwarder.set_measured_level(stage.talker.source, 70)
    levels = [stage.say(level=20) & 0x7F for _ in range(52)]
    assert levels[:49] == [70] * 49
    assert levels[50:] == [20, 20]
    for _ in range(60):
        stage.forwarder.set_measured_level(stage.talker.source, 60)
        assert stage.say(level=20) & 0x7F == 60


def test_comfort_noise_is_silence_whatever_was_measured_of_the_voice() -> None:
    stage = LoudStage()
    stage.say()
    stage.forwarder.set_measured_level(stage.talker.source, 25)
    assert stage.say(TALK[:10], level=0) & 0x7F == 127
    assert stage.say(TALK[:11], level=0) & 0x7F == 25


def test_whoever_decodes_is_told_the_claim_all_the_same() -> None:
    """To see when it is true again."""
    stage = LoudStage()
    stage.forwarder.tap(stage.slot, True)
    stage.forwarder.set_measured_level(stage.talker.source, 70)
    stage.say(level=20)
    stage.say(extension=b"")
    assert [packet.level for packet in stage.forwarder.taken()] == [20, -1]


@pytest.mark.parametrize("level", [-1, 128])
def test_a_level_has_7_bits(stage: Stage, level: int) -> None:
    with pytest.raises(ValueError):
        stage.forwarder.set_measured_level(stage.talker.source, level)
