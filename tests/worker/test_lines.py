"""Listeners' lines at the worker: what reports do, who is asked when, and what rooms demand."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast

import pytest

from control.commands import ParticipantMove, RoomCreate, SubscriptionGet, SubscriptionUpdate
from control.types import SubscriptionState
from sfu.listening import Demand, Terms, Tier
from sfu.stage.subscriptions import Subscriptions
from sfu.transport.rtcp import ReportBlock
from sfu.worker.demands import Demands, demand_of
from sfu.worker.lines import ROUND_S, SETTLED_ROUNDS, Lines
from sfu.worker.peers import Peers
from tests.worker.harness import Bench, offer
from tests.worker.listeners import House, Reporter, ScriptedLine, Sending

# What reports do


def report(highest: int, lost: int) -> ReportBlock:
    return ReportBlock(
        ssrc=1,
        fraction_lost=0,
        cumulative_lost=lost,
        highest_sequence=highest,
        jitter_ticks=0,
        lsr=0,
        dlsr=0,
    )


def test_what_a_client_tells_is_handed_to_its_line_and_followed() -> None:
    house = House()
    peer, line, reporter = house.peer(), house.line(), Reporter()
    transport, peer.transport = peer.transport, cast("Any", peer.transport)
    egress = peer.egresses[0]
    house.sending.sent = 250
    reporter.blocks = {egress: report(1_240, 10)}
    reporter.told, reporter.remb_bps = [b"12345", b"12"], 64_000.0
    line.tier, line.copies_sent = Tier.A2, 0
    original = transport.reporter
    transport.reporter = cast("Any", reporter)
    house.lines.take(peer, house.now, house.now)
    transport.reporter = original
    ((counted, rtt_s, jitter_s),) = line.reports
    assert (counted[egress].lost, counted[egress].sent, counted[egress].under_way) == (10, 240, 10)
    assert (rtt_s, jitter_s) == (0.05, 0.01)
    assert [delivery.size for delivery in line.deliveries] == [5, 2]
    assert line.remb == [64_000.0]
    assert line.sent == [250 * len(peer.egresses)]
    state = peer.room.subscriptions.state("guest-0")
    assert (state.tier, state.cause) == ("A2", "estimate")
    assert house.settled == ["r"]


def test_a_line_is_asked_ten_times_a_second_for_arrivals_and_at_once_for_reports() -> None:
    house = House()
    peer, reporter = house.peer(), Reporter()
    transport = peer.transport
    transport.reporter = cast("Any", reporter)
    for step in range(20):
        reporter.told = [b"12"]
        house.lines.take(peer, house.now + 1.0 + 0.0505 * step, house.now + 1.0 + 0.0505 * step)
    assert len(house.line().deliveries) == 20 and len(house.line().asked) == 10
    reporter.blocks = {peer.egresses[0]: report(1_000, 0)}
    house.lines.take(peer, house.now + 1.97, house.now + 1.97)
    assert len(house.line().asked) == 11


def test_a_decision_that_changes_nothing_settles_nothing() -> None:
    house = House()
    house.lines.follow(house.peer(), house.now)
    assert house.settled == [] and house.counters["line_decisions"] == 1


def test_one_listener_s_tier_touches_nobody_else_s() -> None:
    house = House(listeners=3)
    house.line(1).tier = Tier.C
    for index in range(3):
        house.lines.follow(house.peer(index), house.now)
    states = [house.peer(0).room.subscriptions.state(f"guest-{index}").tier for index in range(3)]
    assert states == ["A1", "C", "A1"]


def test_copies_of_a_probe_are_sent_without_another_tier() -> None:
    house = House()
    line = house.line()
    line.copies_sent = 1
    house.lines.follow(house.peer(), house.now)
    state = house.peer().room.subscriptions.state("guest-0")
    assert (state.tier, state.protection) == ("A1", 1)


def test_who_pauses_is_not_asked() -> None:
    house = House()
    house.bench.run(SubscriptionUpdate(room="r", participant="guest-0", paused=True))
    house.line().tier = Tier.C
    house.lines.follow(house.peer(), house.now)
    assert house.line().asked == []


def test_the_line_is_told_what_it_may_choose_from() -> None:
    house = House()
    command = SubscriptionUpdate(
        room="r", participant="guest-0", mode="forward", max_kbps=64, slots=1
    )
    house.bench.run(command)
    house.lines.follow(house.peer(), house.now)
    _, terms = house.line().asked[-1]
    assert terms == Terms((Tier.A1, Tier.A2, Tier.C), 64_000.0)


# Who is asked when


def test_a_silent_room_is_left_alone() -> None:
    house = House(listeners=5)
    for index in range(5):
        house.line(index).is_settled = False
    house.pass_time(10.0)
    assert house.counters["line_decisions"] == 0


def test_in_a_room_with_voices_whoever_waits_is_asked_each_second() -> None:
    house = House(listeners=2)
    house.flow()
    house.line(0).is_settled = False
    house.pass_time(10 * ROUND_S)
    assert 9 <= len(house.line(0).asked) <= 11
    assert 1 <= len(house.line(1).asked) <= 1 + 10 / SETTLED_ROUNDS


def test_a_round_is_spread_over_the_second() -> None:
    house = House(listeners=120)
    house.flow()
    for index in range(120):
        house.line(index).is_settled = False
    most = house.pass_time(3 * ROUND_S)
    assert all(2 <= len(house.line(index).asked) <= 4 for index in range(120))
    assert most <= 3


def test_nobody_is_looked_at_who_left_during_the_round() -> None:
    house = House(listeners=60)
    house.flow()
    house.lines.look(house.now)
    gone = house.peer(59)
    house.bench.worker._registry.depart(gone, cast("Any", "removed"), house.now)
    house.pass_time(1.0)
    assert cast("ScriptedLine", gone.line).asked == []


def test_an_empty_worker_sets_no_deadline() -> None:
    assert (
        Lines(
            cast("Any", Sending()), Peers(), Counter(), rooms={}, settle=lambda room: None
        ).deadline
        is None
    )


# What a room would send


def test_a_listener_pays_for_no_more_talkers_than_it_has_lines() -> None:
    room = Demand(talkers=3, slot_payload_bps=40_000.0)
    assert demand_of(room, 3, is_ipv6=False) is room
    assert demand_of(room, 1, is_ipv6=True) == Demand(1, 40_000.0, 20.0, True)
    assert demand_of(room, 0, is_ipv6=False).talkers == 1


def test_the_rate_of_voices_is_measured_where_they_leave_anyway() -> None:
    house = House()
    house.flow()
    room, demands = house.registry.rooms["r"], Demands(cast("Any", house.sending))
    first = demands.of(room, 0.0)
    assert first == Demand(1, 32_000.0, 20.0, False)
    assert demands.of(room, 0.5) is first
    for second in range(1, 4):
        demands.use(house.peer(), float(second))
        house.sending.sent += 50  # 80 octets each on every track
        room.talk = lambda within_s, now: cast("Any", Talking)  # type: ignore[method-assign]
        found = demands.of(room, second + 1.0)
    assert found.talkers == 2
    assert found.slot_payload_bps == pytest.approx(50 * 80 * 8, rel=0.1)


def test_a_rate_that_nobody_shows_any_more_is_not_forgotten() -> None:
    """Whoever had to go down to a mix would else be sent up again for what voices do not cost."""
    house = House()
    house.flow()
    room, demands = house.registry.rooms["r"], Demands(cast("Any", house.sending))
    room.talk = lambda within_s, now: cast("Any", Talking)  # type: ignore[method-assign]
    demands.of(room, 0.0)
    for second in range(1, 200):
        if second < 10:
            demands.use(house.peer(), second * 1.01)
        elif second == 10:
            house.line().tier = Tier.B2
        house.sending.sent += 100
        found = demands.of(room, (second + 1) * 1.01)
    assert found.slot_payload_bps == pytest.approx(100 * 80 * 8 / 1.01, rel=0.1)


@pytest.mark.parametrize("tier", [Tier.A1, Tier.A2])
def test_a_rate_is_measured_on_slots_as_they_come_or_packed(tier: Tier) -> None:
    house = House()
    house.flow()
    house.line().tier = tier
    room, demands = house.registry.rooms["r"], Demands(cast("Any", house.sending))
    room.talk = lambda within_s, now: cast("Any", Talking)  # type: ignore[method-assign]
    demands.of(room, 0.0)
    demands.use(house.peer(), 0.5)
    house.sending.sent += 100
    assert demands.of(room, 1.0).slot_payload_bps == 32_000.0, "too soon to say"
    assert demands.of(room, 2.0).slot_payload_bps == pytest.approx(100 * 80 * 8 / 1.5)


def test_who_came_back_with_other_tracks_says_nothing_of_a_rate() -> None:
    house = House()
    house.flow()
    room, demands = house.registry.rooms["r"], Demands(cast("Any", house.sending))
    room.talk = lambda within_s, now: cast("Any", Talking)  # type: ignore[method-assign]
    demands.of(room, 0.0)
    demands.use(house.peer(), 0.5)
    room.participants["guest-0"].egresses = (90, 91, 92, 93)
    house.sending.sent += 100
    assert demands.of(room, 2.0).slot_payload_bps == 32_000.0


class Talking:
    """Two of three slots had voice."""

    talkers = 2
    frame_ms = 20


# Whole workers


def state_of(bench: Bench, name: str = "guest-0", room: str = "r") -> SubscriptionState:
    state = bench.run(SubscriptionGet(room=room, participant=name)).subscription
    assert isinstance(state, SubscriptionState)
    return state


def test_a_newcomer_has_joined_on_its_first_tier() -> None:
    bench = Bench()
    bench.room()
    bench.join("guest-0", offer=offer(red_payload_type=63))
    state = state_of(bench)
    assert (state.tier, state.cause, state.protection) == ("A1", "join", 0)
    assert (state.estimate_kbps, state.loss_ratio) == (None, None)
    assert [(step.tier, step.cause) for step in state.history] == [("A1", "join")]
    assert state.history[0].at == round((1_000_000.0 + bench.now) * 1000)
    assert bench.worker.sizes()["listeners_A1"] == 1


def test_whoever_moves_keeps_its_line_and_its_history() -> None:
    bench = Bench()
    bench.room()
    bench.room("other")
    bench.join("guest-0")
    peer = bench.worker._registry.peers.of("r", "guest-0")
    assert peer is not None
    line = peer.line
    bench.run(SubscriptionUpdate(room="r", participant="guest-0", paused=True))
    bench.run(ParticipantMove(room="r", participant="guest-0", to_room="other"))
    assert peer.line is line and peer.room.id == "other"
    state = state_of(bench, room="other")
    assert [step.tier for step in state.history] == ["A1", "paused", "A1"]
    assert bench.worker.sizes()["listeners_A1"] == 1
    assert bench.worker.sizes()["listeners_paused"] == 0


def test_tiers_and_changes_are_counted_from_the_start() -> None:
    bench = Bench()
    bench.room()
    counted = bench.worker.counters()
    assert counted["tier_changes_estimate"] == counted["tier_changes_requested"] == 0
    assert "tier_changes_join" not in counted
    bench.join("guest-0")
    bench.run(SubscriptionUpdate(room="r", participant="guest-0", paused=True))
    bench.drain()
    assert bench.worker.counters()["tier_changes_requested"] == 1
    sizes = bench.worker.sizes()
    assert (sizes["listeners_paused"], sizes["listeners_A1"]) == (1, 0)
    bench.run(RoomCreate(room="r"))
    peer = bench.worker._registry.peers.of("r", "guest-0")
    assert peer is not None
    bench.worker._registry.depart(peer, cast("Any", "removed"), bench.now)
    assert bench.worker.sizes()["listeners_paused"] == 0


# Mixes that come and go


def test_everybody_is_asked_within_a_second_when_mixes_begin_or_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whether or not their rooms have mixes: whoever has nothing to wait for has its turn late."""
    house = House(listeners=SETTLED_ROUNDS)
    house.flow()
    house.pass_time(SETTLED_ROUNDS * ROUND_S + 1.0)
    for has_mix in (True, False):
        monkeypatch.setattr(Subscriptions, "has_mix", has_mix)
        asked = [len(house.line(index).asked) for index in range(SETTLED_ROUNDS)]
        house.pass_time(2 * ROUND_S)
        for index, before in enumerate(asked):
            assert len(house.line(index).asked) > before
