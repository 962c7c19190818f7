"""Who a source is may change: nothing of one participant is left for the next."""

from __future__ import annotations

import pytest

from sfu.mixing import ForgetSource, SetSource
from sfu.mixing.opus import RATE_HZ, Pcm

from .talking import ROOM, Stage, Talker, level_dbov, sine, speech


def test_whoever_gets_anothers_number_begins_with_a_gain_and_a_name_of_its_own(
    mixed: list[Pcm],
) -> None:
    stage = Stage()
    listener = stage.listen()
    stage.know(1)
    stage.talk(Talker(1, speech(-3), claimed_level=60), 8.0)
    stage.run(7.9)
    assert level_dbov(mixed[-10]) < -9.0  # it was turned down
    ((source, level),) = stage.mixer.measured()
    assert source == 1 and level is not None
    before = len(listener.frames)
    stage.mixer.apply(SetSource(ROOM, 1, 555, 99))
    assert stage.mixer.measured() == [(1, None)]
    stage.talk(Talker(1, sine(440, 0.1), slot=1), 1.0)
    stage.run(1.0)
    assert level_dbov(mixed[-20]) == pytest.approx(-23, abs=0.5)
    assert {csrc for frame in listener.frames[before:] for csrc in frame.csrcs} == {555}


def test_whoever_is_described_again_keeps_its_voice_and_gain() -> None:
    stage = Stage()
    listener = stage.listen()
    stage.know(1)
    stage.talk(Talker(1, sine(440, 0.1)), 2.0)
    stage.run(1.0)
    stage.know(1, group=5, is_priority=True)
    stage.run(1.0)
    assert stage.mixer.stats().counts.concealed_ticks == 0
    assert level_dbov(listener.hear()[RATE_HZ // 2 : 2 * RATE_HZ - RATE_HZ // 5]) == pytest.approx(
        -23, abs=0.3
    )


def test_of_whom_was_forgotten_not_a_word_follows() -> None:
    stage = Stage()
    listener = stage.listen()
    stage.know(1)
    stage.talk(Talker(1, sine(440, 0.1)), 1.0)
    stage.run(1.0)
    assert listener.frames[-1].csrcs == (101,)
    before = len(listener.frames)
    stage.mixer.apply(ForgetSource(ROOM, 1))
    stage.mixer.apply(ForgetSource(ROOM, 2))  # of whom nothing is known
    stage.run(1.0)
    assert not any(frame.csrcs for frame in listener.frames[before:])
    assert stage.mixer.stats().sources == stage.mixer.stats().voices == 0
