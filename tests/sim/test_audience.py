"""The rules about mixes find what nobody may be sent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from control.types import Role
from tests.sim.audience import mix_fault
from tests.sim.downlink import Heard
from tests.sim.payload import MIX
from tests.sim.scenario import Join, Run, Scenario, Talk
from tests.sim.scenarios.speaking import STEADY
from tests.sim.shape import ClientShape
from tests.sim.simulation import Simulation
from tests.sim.truth import Member

ONE_LINE = ClientShape(lines=1, voice=STEADY.voice)
STEPS = (
    Join("red", shape=ONE_LINE),
    Join("blue", shape=ONE_LINE),
    Join("white", Role.LISTENER, shape=replace(ONE_LINE, sends=False)),
    Run(1.0),
    Talk("red"),
    Talk("blue"),
    Run(2.0),
)


@pytest.fixture(scope="module")
def room() -> Simulation:
    """Two who talk and hear each other in a mix, and one who hears both."""
    sim = Simulation(Scenario("mixed", STEPS), 0)
    sim.run()
    return sim


def last(member: Member) -> Heard:
    """The last frame of a mix that this one was sent."""
    (track,) = member.client.downlink.tracks.values()
    return next(heard for heard in reversed(track) if heard.speaker == MIX and heard.csrcs)


def fault(room: Simulation, listener: str, like: str, **changes: object) -> str:
    """What is wrong when `listener` is sent the last frame of `like`, changed so."""
    heard = last(room.truth.find(like))
    before = heard.mixes, heard.csrcs
    heard.mixes = tuple(replace(mix, **changes) for mix in heard.mixes)  # type: ignore[arg-type]
    heard.csrcs = heard.mixes[-1].csrcs
    try:
        return mix_fault(room.truth, room.mixing, room.truth.find(listener), heard)
    finally:
        heard.mixes, heard.csrcs = before


def test_everybody_is_sent_a_mix_without_its_own_voice(room: Simulation) -> None:
    for name in ("red", "blue", "white"):
        assert fault(room, name, name) == ""
    assert last(room.truth.find("red")).csrcs == (room.truth.find("blue").number,)
    assert len(last(room.truth.find("white")).csrcs) == 2


@pytest.mark.parametrize("like", ["white", "blue"])
def test_a_mix_with_its_own_voice_in_it_is_found(room: Simulation, like: str) -> None:
    assert "red in it, which is its own voice" in fault(room, "red", like)


def test_somebody_who_is_named_though_left_out_is_found(room: Simulation) -> None:
    red = room.truth.find("red").number
    assert "red in it, which is its own voice" in fault(room, "red", "red", csrcs=(red,))


def test_a_mix_of_another_time_is_found(room: Simulation) -> None:
    now = last(room.truth.find("white")).mixes[-1].at
    assert "a mix of" in fault(room, "white", "white", at=now - 0.5)
    assert "a mix of" in fault(room, "white", "white", at=now + 0.5)


def test_who_is_nobody_here_is_found(room: Simulation) -> None:
    assert "who is nobody in main" in fault(room, "white", "white", csrcs=(77,))


def test_who_may_not_be_heard_or_was_not_wanted_is_found(room: Simulation) -> None:
    blue, white = room.truth.find("blue"), room.truth.find("white")
    blue.muted = True
    assert "blue in it, who may not be heard" in fault(room, "white", "white")
    blue.muted = False
    white.never = ("blue",)
    assert "whom it asked not to hear" in fault(room, "white", "white")
    white.never, white.is_paused = (), True
    assert fault(room, "white", "white") == "asked not to be"
    white.is_paused = False


def test_a_header_that_does_not_say_who_is_in_it_is_found(room: Simulation) -> None:
    heard = last(room.truth.find("white"))
    before = heard.csrcs
    heard.csrcs = before[:1]
    assert "instead of" in mix_fault(room.truth, room.mixing, room.truth.find("white"), heard)
    heard.csrcs = before


def test_frames_that_are_the_same_bytes_are_any_of_them(room: Simulation) -> None:
    heard = last(room.truth.find("white"))
    before = heard.mixes
    heard.mixes = (*before, replace(before[-1], at=before[-1].at - 9.0))
    assert mix_fault(room.truth, room.mixing, room.truth.find("white"), heard) == ""
    heard.mixes = before
