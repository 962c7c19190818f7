"""Feedback of simulated clients: NACK and reference times as bytes, and the rules about them."""

from __future__ import annotations

import struct

import pytest

from control.types import Role
from tests.sim.network import Conditions, Link, Runs
from tests.sim.reports import nack_fault
from tests.sim.rtcp import (
    DelaySince,
    Nack,
    build_delay_since,
    build_nack,
    build_reference_time,
    build_report,
    parse_compound,
)
from tests.sim.scenario import Join, Run, Scenario, Talk
from tests.sim.shape import ClientShape
from tests.sim.simulation import Simulation
from tests.sim.voice import Voice


def test_a_request_is_as_the_rfc_draws_it_and_is_read_again() -> None:
    # RFC 4585 6.2.1: one PID, and a bit for each of the 16 after it.
    data = build_nack(1, 0xABCD, [65_535, 0, 15, 40])
    assert data[:4] == struct.pack("!BBH", 0x81, 205, 4)
    assert data[12:] == struct.pack("!HHHH", 65_535, 1 | 1 << 15, 40, 0)
    compound = parse_compound(build_report(1, None, []) + data)
    assert compound.nacks == (Nack(0xABCD, (65_535, 0, 15, 40)),)


def test_reference_times_and_their_answers_are_read_again() -> None:
    data = build_report(7, None, []) + build_reference_time(7, 0x1111_2222_3333_4444)
    assert parse_compound(data).references == ((7, 0x2222_3333),)
    answer = DelaySince(7, 0x2222_3333, 655)
    data = build_report(9, None, []) + build_delay_since(9, answer)
    assert parse_compound(data).delays == (answer,)


def test_feedback_that_is_cut_short_is_refused() -> None:
    for data in (build_nack(1, 2, [3, 99]), build_delay_since(1, DelaySince(2, 3, 4))):
        for end in range(5, len(data)):
            with pytest.raises(ValueError):
                parse_compound(data[:end])


def talking(shape: ClientShape) -> Simulation:
    """Somebody who talks to a listener, two seconds later."""
    steps = (Join("red", shape=shape), Join("white", Role.LISTENER), Run(1.0), Talk("red"))
    sim = Simulation(Scenario("talking", steps), 0)
    sim.run()
    Run(2.0).apply(sim)
    return sim


def test_each_rule_about_requests_finds_its_fault() -> None:
    sim = talking(ClientShape(voice=Voice(pause_s=(0.0, 0.0)), nack=True))
    red = sim.truth.find("red")
    uplink, now = red.uplink, sim.world.now
    ssrc = red.client.microphone.ssrc if red.client.microphone else 0
    last = len(uplink) - 1

    def asked(packet: int, at: float = now, times: int = 1) -> str:
        before: dict[int, list[float]] = {packet: [at] * (times - 1)}
        return nack_fault(red, Nack(ssrc, (uplink.sequences[packet] & 0xFFFF,)), at, before)

    assert "had come" in asked(last - 5)
    uplink.arrived[last - 5] = -1.0
    assert asked(last - 5) == asked(last - 5, times=2) == ""
    assert "3 times" in asked(last - 5, times=3)
    assert "s old" in asked(last - 5, at=now + 0.4)
    assert "never sent" in nack_fault(red, Nack(ssrc, (uplink.sequences[last] + 9,)), now, {})
    assert "never offered" in nack_fault(red, Nack(ssrc ^ 1, (5,)), now, {})


def test_two_texts_under_one_number_are_found() -> None:
    sim = talking(ClientShape(voice=Voice(pause_s=(0.0, 0.0))))
    downlink = sim.truth.find("white").client.downlink
    heard = next(track[-1] for track in downlink.tracks.values() if track)
    data = struct.pack("!BBHII", 0x80, 111, heard.sequence, heard.timestamp, heard.ssrc) + bytes(30)
    downlink.may_repeat = True
    heard.wire = data
    downlink._recent[heard.ssrc, heard.sequence] = heard
    assert downlink.observe(data, sim.world.now) is heard
    assert downlink.faults == [] and downlink.repeats == [(sim.world.now, heard)]
    downlink.observe(data[:-1] + b"x", sim.world.now)
    assert "two texts under one number" in downlink.faults[0]


def test_rows_of_loss_are_as_long_as_stated_and_never_touch() -> None:
    link = Link("rows", Conditions(runs=Runs(0.3, 2)))
    pattern = "".join("." if link.transit(100, n * 0.02) else "x" for n in range(5_000))
    assert set(pattern.split(".")) == {"", "xx"}


def test_a_stalled_link_delivers_everything_at_once_in_order() -> None:
    link = Link("stall", Conditions(latency_s=0.02))
    link.stall(2.0)
    assert [link.transit(100, n * 0.1)[0] for n in range(22)] == [2.0] * 20 + [
        pytest.approx(2.02),
        pytest.approx(2.12),
    ]


def test_a_clock_that_drifts_gains_what_is_stated() -> None:
    sim = talking(ClientShape(voice=Voice(pause_s=(0.0, 0.0), drift_ppm=5_000.0)))
    uplink = sim.truth.find("red").uplink
    said = (uplink.ticks[-1] - uplink.ticks[0]) / 48_000
    took = uplink.sent[-1] - uplink.sent[0]
    assert said / took == pytest.approx(1.005, abs=1e-4)
