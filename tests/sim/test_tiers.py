"""Rules about stamps and tiers find their faults; packed and mixed packets are judged as such."""

from __future__ import annotations

import pytest

from control.types import Role
from tests.sim.continuity import TrackJudge
from tests.sim.downlink import Heard
from tests.sim.network import Conditions
from tests.sim.payload import MIX, MixFrame
from tests.sim.scenario import Join, Run, Scenario, Talk
from tests.sim.scenarios.speaking import STEADY
from tests.sim.simulation import Simulation
from tests.sim.tiers import StampChecker, TierChecker, is_faultless
from tests.sim.truth import Member, Tiering, Violation
from tests.sim.voice import IDENTITY


@pytest.fixture
def room() -> Simulation:
    """Somebody who talks to a listener for three seconds."""
    steps = (Join("red", shape=STEADY), Join("white", Role.LISTENER), Run(1.0), Talk("red"))
    sim = Simulation(Scenario("talking", steps), 0)
    sim.run()
    Run(2.0).apply(sim)
    return sim


def test_stamps_that_leave_one_out_or_come_twice_are_found(room: Simulation) -> None:
    stamped = room.truth.find("white").client.downlink.stamped
    checker = StampChecker()
    stamped += [65_534, 65_535, 0, 1]
    checker.check(room.world, final=False)
    for wrong in (1, 3):
        stamped.append(wrong)
        with pytest.raises(Violation, match="stamps"):
            checker.check(room.world, final=False)
        stamped.append(wrong + 1)
        stamped[-2:] = []
        checker = StampChecker()
        checker.check(room.world, final=False)


def test_less_for_somebody_whose_line_is_good_is_found(room: Simulation) -> None:
    white = room.truth.find("white")
    white.tiers.append(Tiering(1.0, "B1", "A1", "requested"))
    white.tiers.append(Tiering(2.0, "B2", "B1", "delay"))
    assert is_faultless(white.client)
    with pytest.raises(Violation, match="whose line is good"):
        TierChecker().check(room.world, final=False)
    white.client.down.conditions = Conditions(rate_bps=1e5)
    TierChecker().check(room.world, final=False)


def packed(room: Simulation, first: int, count: int, sequence: int) -> Heard:
    """`count` packets of red from `first` on in one, as a server sends them."""
    red = room.truth.find("red")
    frames = [IDENTITY.pack(red.client.index, first + n, 0) + bytes(40) for n in range(count)]
    lengths = bytes(len(frame) for frame in frames[:-1])
    header = b"\x80\x6f" + sequence.to_bytes(2, "big")
    header += (red.uplink.ticks[first] & 0xFFFFFFFF).to_bytes(4, "big") + bytes(4)
    payload = bytes((0x7B, 0x80 | count)) + lengths + b"".join(frames)
    # Emitted with the last of them.
    return Heard(header + payload, red.uplink.arrived[first + count - 1])


def plain(room: Simulation, packet: int, sequence: int) -> Heard:
    """One packet of red as it came."""
    heard = packed(room, packet, 1, sequence)
    heard.frames, heard.ticks = (), 0
    return heard


def faults(room: Simulation, *track: Heard) -> list[str]:
    """What the judge finds in these."""
    members: list[Member] = room.truth.members
    judge = TrackJudge(list(track), members, room.truth.find("white"))
    return [fault.partition(":")[0] for fault in judge.take(1e9)]


def test_packets_in_one_follow_those_before_and_after_them(room: Simulation) -> None:
    track = (
        plain(room, 10, 1),
        packed(room, 11, 3, 2),
        packed(room, 14, 3, 3),
        packed(room, 17, 1, 4),
        plain(room, 18, 5),
    )
    assert faults(room, *track) == []


def test_packets_that_were_left_out_between_plain_and_packed_are_found(room: Simulation) -> None:
    assert faults(room, plain(room, 10, 1), packed(room, 13, 3, 2)) == [
        "no marker after packets were left out"
    ]
    assert faults(room, packed(room, 10, 3, 1), plain(room, 14, 2)) == [
        "no marker after packets were left out"
    ]
    assert faults(room, packed(room, 10, 3, 1), packed(room, 13, 3, 3)) == [
        "gap of 1, the uplink lost 0"
    ]


def mixed(sequence: int, ticks: int, at: float, *, marker: bool = False, output: int = 1) -> Heard:
    """A frame of 20 ms of a mix."""
    payload = b"\xf8" + sequence.to_bytes(2, "big")
    header = bytes((0x80, marker << 7 | 111)) + sequence.to_bytes(2, "big")
    header += ticks.to_bytes(4, "big") + bytes(4)
    frame = MixFrame(sequence, 0, output, "B1", None, (), at)
    heard = Heard(header + payload, at + 0.05, mixes={payload: [frame]})
    assert heard.speaker == MIX and heard.ticks == 960
    return heard


@pytest.mark.parametrize(
    ("second", "fault"),
    [
        (mixed(2, 960, 1.02), None),
        (mixed(2, 9_600, 1.2, marker=True), None),
        (mixed(2, 1_920, 1.02, output=2), None),
        (mixed(3, 960, 1.02), "gap of 1 before a mix"),
        (mixed(2, 959, 1.02), "time advances by 959 after a frame of 960"),
        (mixed(2, 1_920, 1.02, marker=True), "time advances by 1920, the mix's by 960"),
        (mixed(2, 9_600, 1.2), "marker 0 after 9600 of 960"),
        (mixed(2, 960, 1.02, marker=True), "marker 1 after 960 of 960"),
    ],
)
def test_frames_of_a_mix_lie_as_the_mixer_placed_them(
    room: Simulation, second: Heard, fault: str | None
) -> None:
    assert faults(room, mixed(1, 0, 1.0), second)[:1] == ([] if fault is None else [fault])
