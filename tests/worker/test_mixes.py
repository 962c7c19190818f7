"""Mixes begin with who asks for them, end after the last, and break off without harm."""

from __future__ import annotations

import pytest

from control.commands import (
    ParticipantMove,
    ParticipantRemove,
    ParticipantSetRole,
    RoomClose,
    RoomCreate,
    RoomUpdate,
    SubscriptionUpdate,
    TrackSetPriority,
)
from control.types import Role
from sfu.mixing import (
    CloseRoom,
    ForgetSource,
    Frame,
    Mixer,
    OpenRoom,
    SetSource,
    StartOutput,
    StopOutput,
)
from sfu.worker.mix_outputs import LINGER_S
from sfu.worker.mix_port import InlineMixing, Mixed
from tests.worker.harness import Bench, offer
from tests.worker.mixing import KeptPort, MixBench, Voice, follow, starts


def test_the_first_listener_opens_the_room_and_others_share_its_mix() -> None:
    port = KeptPort()
    bench = MixBench(port)
    assert port.orders == []
    bench.listen("a")
    room, start = port.forget()
    assert room == OpenRoom(room=bench.mixes.number, slots=3)
    assert isinstance(start, StartOutput)
    assert (start.room, start.tier, start.minus) == (bench.mixes.number, "B1", None)
    bench.listen("b")
    assert port.forget() == []
    assert follow(bench, "b", "B3")
    assert [order.tier for order in starts(port)] == ["B3"]


def test_each_who_may_be_heard_has_a_mix_without_its_echo_group() -> None:
    port = KeptPort()
    bench = MixBench(port)
    for name in ("a", "b"):
        bench.listen(name, Role.SPEAKER)
    bench.listen("c", Role.SPEAKER, echo_group="table")
    bench.listen("d", echo_group="table")
    groups = {name: one.echo_group for name, one in bench.the_room.participants.items()}
    assert groups["c"] == groups["d"]
    minus = [order.minus for order in starts(port) if order.minus is not None]
    assert minus == [groups["a"], groups["b"], groups["c"]]
    own = bench.mixes.stream("B1", bench.the_room.participants["c"], 0)
    bench.wait(0.5)
    carried = [
        bench.worker.forwarder.egress_stream(bench.the_room.participants[name].egresses[3])
        for name in ("c", "d")
    ]
    assert carried == [own, own]


def test_a_mix_ends_ten_seconds_after_its_last_listener_and_with_the_last_the_room() -> None:
    port = KeptPort()
    bench = MixBench(port)
    bench.listen("a")
    bench.wait(1.0)
    bench.run(SubscriptionUpdate(room="r", participant="a", max_kbps=20))
    first, second = (order.output for order in starts(port))
    bench.wait(LINGER_S - 1.1)
    assert port.forget() == []
    bench.wait(3.0)
    assert port.forget() == [StopOutput(room=bench.mixes.number, output=first)]
    bench.wait(12.0)
    assert port.forget() == []
    bench.run(ParticipantRemove(room="r", participant="a"))
    bench.wait(LINGER_S - 1.1)
    assert port.forget() == []
    bench.wait(3.0)
    assert port.forget() == [CloseRoom(room=bench.mixes.number)]
    sizes = bench.worker.sizes()
    assert (sizes["mixes"], sizes["rooms_mixed"], sizes["slots"]) == (0, 0, 3)
    bench.listen("b")
    assert [order.output for order in starts(port)] == [second + 1]


def test_who_comes_back_in_time_finds_its_mix_running() -> None:
    port = KeptPort()
    bench = MixBench(port)
    bench.listen("a")
    bench.wait(1.0)
    port.forget()
    for _ in range(3):
        bench.run(SubscriptionUpdate(room="r", participant="a", mode="forward"))
        bench.wait(LINGER_S - 2.0)
        bench.run(SubscriptionUpdate(room="r", participant="a", mode="mix"))
        bench.wait(1.0)
    assert port.forget() == []


def test_frames_reach_the_listeners_of_their_mix_and_nobody_else() -> None:
    port = KeptPort()
    bench = MixBench(port)
    bench.listen("a")
    bench.listen("b")
    follow(bench, "b", "B2")
    bench.join("c")
    first, second = (order.output for order in starts(port))
    bench.wait(1.0)
    frame = bench.frame(second, csrcs=(7, 8))
    bench.mixed(port, frame)
    streams = [bench.the_room.subscriptions.seats(name)[-1].stream for name in ("a", "b")]
    assert [bench.worker.forwarder.carriers(stream) for stream in streams] == [1, 1]
    assert bench.worker.counters()["mix_frames"] == 1
    assert bench.mixes.is_flowing("B2", None) and not bench.mixes.is_flowing("B1", None)
    bench.mixed(port, frame._replace(output=first), frame._replace(output=99))
    assert bench.worker.counters()["mix_frames"] == 2
    assert bench.worker.counters()["mix_frames_refused"] == 0


def test_packets_of_the_slots_come_after_who_says_them() -> None:
    port = KeptPort()
    bench = MixBench(port)
    bench.join("red", Role.MODERATOR)
    red = Voice(bench, "red", 1)
    red.talk(3)
    assert port.sent == []
    bench.listen("a")
    port.forget()
    red.talk(2)
    described, first, second = port.sent
    participant = bench.the_room.participants["red"]
    assert described == SetSource(
        room=bench.mixes.number,
        source=red.source,
        csrc=participant.number,
        echo_group=participant.echo_group,
        bonus_db=12.0,
        is_priority=True,
    )
    taken = port.taken
    assert [first, second] == taken
    assert [(one.room, one.slot) for one in taken] == [(bench.mixes.number, 0)] * 2
    packets = [packet for one in taken for packet in one.packets]
    assert [packet.source for packet in packets] == [red.source] * 2
    assert packets[1].time_ticks - packets[0].time_ticks == 960
    assert packets[1].index - packets[0].index == 1


@pytest.mark.parametrize(("priority_db", "is_priority"), [(11.9, False), (12.0, True)])
def test_a_bonus_of_a_moderators_makes_a_priority_speaker(
    priority_db: float, is_priority: bool
) -> None:
    port = KeptPort()
    bench = MixBench(port)
    bench.listen("a")
    bench.join("red", Role.SPEAKER)
    red = Voice(bench, "red", 1)
    red.talk()
    (described,) = [order for order in port.forget() if isinstance(order, SetSource)]
    assert not described.is_priority
    bench.run(TrackSetPriority(room="r", participant="red", priority_db=priority_db))
    red.talk(2)
    (described,) = [order for order in port.forget() if isinstance(order, SetSource)]
    assert (described.bonus_db, described.is_priority) == (priority_db, is_priority)


def test_what_was_decoded_counts_while_the_mixer_says_so() -> None:
    port = KeptPort()
    bench = MixBench(port)
    bench.listen("a")
    bench.join("red", Role.SPEAKER)
    red = Voice(bench, "red", 1)
    red.talk(2, level=10)
    port.levels = [(red.source, 60), (99, 20)]
    bench.worker.receive_mixed(bench.now)
    red.talk(level=10)
    assert bench.worker.forwarder.level(red.source, bench.now).instant == 60
    port.levels = [(red.source, None)]
    bench.worker.receive_mixed(bench.now)
    red.talk(level=10)
    assert bench.worker.forwarder.level(red.source, bench.now).instant == 10


def test_other_slots_are_told_and_tapped() -> None:
    port = KeptPort()
    bench = MixBench(port)
    bench.listen("a")
    (start,) = starts(port)
    bench.run(RoomUpdate(room="r", slots=1))
    number = bench.mixes.number
    assert port.forget() == [CloseRoom(room=number), OpenRoom(room=number, slots=1), start]
    bench.run(RoomUpdate(room="r", slots=2))
    port.forget()
    bench.join("red", Role.SPEAKER)
    bench.join("blue", Role.SPEAKER)
    for voice in (Voice(bench, "red", 1), Voice(bench, "blue", 2)):
        voice.talk()
    assert {one.slot for one in port.taken} == {0, 1}


def test_a_room_that_closes_takes_its_mixes_along() -> None:
    port = KeptPort()
    bench = MixBench(port)
    bench.listen("a")
    follow(bench, "a", "B5")
    number = bench.mixes.number
    port.forget()
    bench.run(RoomClose(room="r"))
    assert port.forget()[-1] == CloseRoom(room=number)
    assert bench.worker.sizes()["slots"] == bench.worker.sizes()["streams"] == 0
    bench.room()
    bench.listen("a")
    assert port.forget()[0] == OpenRoom(room=bench.mixes.number, slots=3)
    assert bench.mixes.number != number


def test_who_moves_is_described_to_the_other_room() -> None:
    port = KeptPort()
    bench = MixBench(port)
    bench.join("red", Role.SPEAKER)
    red = Voice(bench, "red", 1)
    bench.listen("a")
    red.talk()
    bench.run(RoomCreate(room="other"))
    bench.run(ParticipantMove(room="r", participant="red", to_room="other"))
    port.forget()
    red.talk()
    assert port.sent == []
    bench.run(ParticipantMove(room="other", participant="red", to_room="r"))
    red.talk()
    (described,) = [order for order in port.forget() if isinstance(order, SetSource)]
    assert described.csrc == bench.the_room.participants["red"].number


@pytest.mark.parametrize("how", ["removed", "moved", "replaced"])
def test_who_leaves_is_forgotten_with_the_next_input(how: str) -> None:
    port = KeptPort()
    bench = MixBench(port)
    bench.run(RoomCreate(room="other"))
    bench.join("red", Role.SPEAKER)
    red = Voice(bench, "red", 1)
    bench.listen("a")
    red.talk()
    port.forget()
    if how == "removed":
        bench.run(ParticipantRemove(room="r", participant="red"))
    elif how == "moved":
        bench.run(ParticipantMove(room="r", participant="red", to_room="other"))
    else:
        bench.join("red", offer=offer(ufrag="other"))
    assert port.forget() == [ForgetSource(room=bench.mixes.number, source=red.source)]
    bench.run(ParticipantRemove(room="r", participant="a"))
    assert port.forget() == []


def test_who_comes_back_at_once_as_a_listener_is_not_sent_its_own_last_words() -> None:
    port = InlineMixing(Mixer(100.0))
    bench = MixBench(port)
    bench.listen("a")
    bench.join("red", Role.SPEAKER)
    red = Voice(bench, "red", 1)
    red.talk(30)
    number = bench.the_room.participants["red"].number
    frames: list[Frame] = []
    take = port.take

    def noting() -> Mixed:
        mixed = take()
        frames.extend(mixed.frames)
        return mixed

    port.take = noting  # type: ignore[method-assign]
    bench.listen("red")
    bench.wait(0.5)
    assert not any(number in frame.csrcs for frame in frames)


def test_when_mixing_breaks_listeners_go_to_what_remains_and_back() -> None:
    port = KeptPort()
    bench = MixBench(port)
    bench.join("a", offer=offer(lines=1))
    bench.join("red", Role.SPEAKER)
    red = Voice(bench, "red", 1)
    assert bench.the_room.participant_state("a").tier == "B1"
    port.forget()
    port.is_running = False
    bench.worker.receive_mixed(bench.now)
    bench.drain()
    state = bench.the_room.participant_state("a")
    assert (state.tier, state.slots) == ("A1", 1)
    bench.wait(1.0)
    port.forget()
    port.is_running, port.starts = True, 2
    bench.worker.receive_mixed(bench.now)
    bench.drain()
    orders = port.forget()
    assert orders[0] == OpenRoom(room=bench.mixes.number, slots=3)
    assert len([order for order in orders if isinstance(order, StartOutput)]) == 1
    red.talk(round(15.0 / 0.02))
    assert bench.the_room.participant_state("a").tier == "B1"


def test_frames_are_taken_whatever_else_goes_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    port = KeptPort()
    bench = MixBench(port)
    bench.listen("a")
    (start,) = starts(port)

    def fail(room: object, now: float) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(bench.worker._registry.mixes, "_on_change", fail)
    port.is_running = False
    port.frames = [bench.frame(start.output)]
    with pytest.raises(ZeroDivisionError):
        bench.worker.receive_mixed(bench.now)
    assert port.frames == []


def test_a_mixer_that_has_just_started_is_told_of_rooms_before_anything_else() -> None:
    port = KeptPort()
    bench = MixBench(port)
    bench.join("red", Role.SPEAKER)
    red = Voice(bench, "red", 1)
    bench.listen("a")
    red.talk()
    port.forget()
    port.starts = 2
    red.talk()
    bench.run(ParticipantRemove(room="r", participant="a"))
    assert port.sent == []
    bench.worker.receive_mixed(bench.now)
    red.talk()
    kinds = [type(one).__name__ for one in port.sent]
    assert kinds == ["OpenRoom", "StartOutput", "SetSource", "Taken"]


def test_who_goes_on_stage_leaves_the_mix_that_has_everybody() -> None:
    port = KeptPort()
    bench = MixBench(port)
    bench.listen("a")
    bench.wait(1.0)
    shared = bench.mixes.stream("B1", None, 0)
    bench.run(ParticipantSetRole(room="r", participant="a", role=Role.SPEAKER))
    assert shared is not None and bench.worker.forwarder.carriers(shared) == 0


def test_without_a_port_there_is_no_mix() -> None:
    bench = Bench()
    bench.room()
    bench.join("a", offer=offer(lines=1))
    assert bench.worker._registry.rooms["r"].participant_state("a").tier == "A1"
    assert bench.worker.sizes()["mixes"] == 0
    bench.wait(5.0)


def test_a_mixer_in_line_is_heard_within_two_tenths_of_a_second() -> None:
    bench = MixBench(InlineMixing(Mixer(100.0)))
    bench.join("red", Role.SPEAKER)
    red = Voice(bench, "red", 1)
    bench.listen("a")
    red.talk(10)
    (egress,) = bench.the_room.participants["a"].egresses[3:]
    stream = bench.worker.forwarder.egress_stream(egress)
    assert stream == bench.mixes.stream("B1", None, 0) and bench.mixes.is_flowing("B1", None)
    frames = bench.worker.counters()["mix_frames"]
    red.talk(50)
    assert bench.worker.counters()["mix_frames"] - frames == pytest.approx(50, abs=1)
    assert bench.worker.counters()["mix_frames_refused"] == 0
