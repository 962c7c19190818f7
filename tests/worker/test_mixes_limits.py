"""How many mixes there are at most, and what happens when there cannot be one more."""

from __future__ import annotations

from typing import Any, cast

import pytest

from control.commands import ParticipantJoin, RoomCreate
from control.types import Role
from sfu.mixing import SetSource, StopOutput
from sfu.mixing.room import OUTPUTS_MAX
from sfu.mixing.tiers import FORMS
from sfu.stage.subscriptions import REFUSED_S
from sfu.worker import mix_sources, mixes
from sfu.worker.mix_outputs import MINUS_MAX
from tests.worker.harness import offer
from tests.worker.mixing import KeptPort, MixBench, Voice, follow, starts


def test_there_are_as_many_mixes_as_can_be_made_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mixes, "SHARE_MAX", mixes.ROOM_SHARE + 2.5 * mixes.OUTPUT_SHARE)
    port = KeptPort()
    bench = MixBench(port)
    for name in ("a", "b", "c", "d"):
        bench.join(name)
    bench.join("red", Role.SPEAKER)
    Voice(bench, "red", 1).talk()
    assert follow(bench, "a", "B1") and follow(bench, "b", "B2")
    assert not follow(bench, "c", "B3")
    assert follow(bench, "d", "B2")
    # Who was refused asks again after a while.
    assert not follow(bench, "c", "B2")
    bench.wait(REFUSED_S)
    assert follow(bench, "c", "B2")
    assert bench.worker.counters()["mixes_refused"] >= 1


def test_rooms_in_which_nobody_speaks_leave_those_that_talk_their_mixes() -> None:
    bench = MixBench(KeptPort())
    for number in range(100):
        bench.run(RoomCreate(room=f"quiet-{number}"))
        joining = offer(lines=1, ufrag=f"u{number:03}")
        bench.run(
            ParticipantJoin(
                room=f"quiet-{number}", participant="a", role=Role.LISTENER, offer=joining
            )
        )
    bench.wait(5.0)
    assert bench.worker.sizes()["mixes"] == 100
    bench.join("red", Role.SPEAKER)
    Voice(bench, "red", 1).talk()
    for number, tier in enumerate(("B1", "B2", "B3", "B4", "B5")):
        bench.join(f"guest-{number}", offer=offer(lines=4))
        assert follow(bench, f"guest-{number}", tier)
    assert bench.worker.counters()["mixes_refused"] == 0


def test_a_room_of_which_nobody_has_spoken_for_long_is_quiet_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mixes, "SHARE_MAX", mixes.ROOM_SHARE + 1.5 * mixes.OUTPUT_SHARE)
    bench = MixBench(KeptPort())
    for name in ("a", "b"):
        bench.join(name)
    bench.join("red", Role.SPEAKER)
    Voice(bench, "red", 1).talk()
    assert follow(bench, "a", "B1")
    assert not follow(bench, "b", "B2")
    bench.wait(REFUSED_S)
    assert follow(bench, "b", "B2")


def test_one_room_leaves_others_more_than_half_of_the_mixing() -> None:
    assert mixes.ROOM_SHARE + OUTPUTS_MAX * mixes.OUTPUT_SHARE < mixes.SHARE_MAX / 2
    assert MINUS_MAX + len(FORMS) == OUTPUTS_MAX


def test_a_mixer_that_is_busy_takes_nothing_more() -> None:
    port = KeptPort()
    bench = MixBench(port)
    for name in ("a", "b", "c"):
        bench.join(name)
    assert follow(bench, "a", "B1")
    port.load = mixes.LOAD_MAX + 0.01
    assert not follow(bench, "b", "B2")
    assert follow(bench, "c", "B1")


def test_where_the_tables_are_full_there_is_no_further_mix() -> None:
    bench = MixBench(KeptPort())
    bench.join("a")
    forwarder = bench.worker.forwarder

    class Full:
        """The forwarder as it is, but for a free slot."""

        def __getattr__(self, name: str) -> Any:
            return getattr(forwarder, name)

        def add_slot(self, **fields: Any) -> int:
            raise OverflowError

    bench.worker._registry.mixes._forwarder = cast("Any", Full())
    assert not follow(bench, "a", "B1")
    assert bench.worker.counters()["mixes_refused"] == 1


def test_who_was_described_long_ago_is_described_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mix_sources, "TOLD_MAX", 2)
    port = KeptPort()
    bench = MixBench(port)
    bench.listen("a")
    voices = []
    for number, name in enumerate(("red", "blue", "white"), 1):
        bench.join(name, Role.SPEAKER)
        voices.append(Voice(bench, name, number))
    port.forget()
    for voice in (*voices, voices[2], voices[0]):
        voice.talk()
    told = [order.source for order in port.forget() if isinstance(order, SetSource)]
    assert told == [voice.source for voice in (*voices, voices[0])]


def test_a_mixer_that_cannot_keep_up_gives_up_its_newest_mixes() -> None:
    port = KeptPort()
    bench = MixBench(port)
    for number, tier in enumerate(("B1", "B2", "B3", "B4", "B5")):
        bench.join(f"guest-{number}", offer=offer(lines=4))
        assert follow(bench, f"guest-{number}", tier)
    outputs = [order.output for order in starts(port)]
    port.load = mixes.SHED_ABOVE
    bench.wait(2.0)
    assert port.forget() == []
    port.load = mixes.SHED_ABOVE + 0.01
    bench.wait(1.0)
    assert port.forget() == [StopOutput(room=bench.mixes.number, output=outputs[-1])]
    tiers = [bench.the_room.participant_state(f"guest-{number}").tier for number in range(5)]
    assert tiers[:4] == ["B1", "B2", "B3", "B4"] and tiers[4][0] == "A"
    assert bench.worker.counters()["mixes_shed"] == 1
    port.load = mixes.LOAD_MAX
    bench.wait(5.0)
    assert port.forget() == []


def test_those_on_stage_have_so_many_mixes_of_their_own() -> None:
    port = KeptPort()
    bench = MixBench(port, max_speakers_per_room=100)
    for number in range(MINUS_MAX + 1):
        bench.join(f"guest-{number}", Role.SPEAKER)
    done = [follow(bench, f"guest-{number}", "B1") for number in range(MINUS_MAX + 1)]
    assert done == [True] * MINUS_MAX + [False]
    bench.join("a")
    assert follow(bench, "a", "B1")
