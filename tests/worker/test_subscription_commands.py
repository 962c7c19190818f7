"""What `subscription.*` does at the worker, and what is told of a listener's line."""

from __future__ import annotations

from typing import Any

import pytest

from control.commands import (
    ParticipantGet,
    SubscriptionGet,
    SubscriptionUpdate,
)
from control.errors import ControlError, ErrorCode
from control.types import SubscriptionState
from sfu.transport.heard import EgressFeedback
from sfu.worker.commands.subscription import worst_rtt_ms
from tests.worker.harness import Bench, offer
from tests.worker.mixing import KeptPort


def bench_with(listener: str = "guest-1") -> Bench:
    bench = Bench()
    bench.room()
    bench.join(listener)
    bench.methods()
    return bench


def subscription(bench: Bench, participant: str = "guest-1") -> SubscriptionState:
    state = bench.run(SubscriptionGet(room="r", participant=participant)).subscription
    assert isinstance(state, SubscriptionState)
    return state


def feedback(at: float, rtt_s: float | None) -> EgressFeedback:
    return EgressFeedback(
        at=at,
        fraction_lost=0.0,
        cumulative_lost=0,
        highest_sequence=0,
        jitter_s=0.0,
        rtt_s=rtt_s,
    )


def test_a_listener_who_asked_for_nothing() -> None:
    state = subscription(bench_with())
    assert (state.tier, state.paused, state.mode) == ("A1", False, "auto")
    assert (state.always, state.never, state.slots_max, state.cause) == ([], [], None, "join")
    assert (state.loss_ratio, state.rtt_ms, state.protection) == (None, None, 0)


def test_an_update_answers_what_get_answers_then() -> None:
    bench = bench_with()
    command = SubscriptionUpdate(
        room="r", participant="guest-1", slots=2, always=["a"], never=["b"], mode="forward"
    )
    updated = bench.run(command).subscription
    assert updated == subscription(bench)
    assert (updated.slots_max, updated.always, updated.never) == (2, ["a"], ["b"])
    assert bench.methods() == []


def test_pausing_is_told_and_stands_in_the_participant_s_state() -> None:
    bench = bench_with()
    bench.run(SubscriptionUpdate(room="r", participant="guest-1", paused=True))
    assert bench.methods() == ["quality.changed"]
    state = bench.run(ParticipantGet(room="r", participant="guest-1")).participant
    assert (state.tier, state.slots) == ("paused", 0)


def test_a_mix_is_refused_by_a_server_that_makes_none() -> None:
    bench = bench_with()
    with pytest.raises(ControlError) as refused:
        bench.run(SubscriptionUpdate(room="r", participant="guest-1", mode="mix"))
    assert refused.value.code is ErrorCode.FAILED_PRECONDITION
    assert refused.value.detail == {"field": "mode"}
    assert bench.methods() == []


def mixed_bench() -> Bench:
    bench = Bench(mixing=KeptPort())
    bench.room()
    bench.join("guest-1", offer=offer(lines=4))
    bench.methods()
    return bench


@pytest.mark.parametrize(
    ("wishes", "tier"),
    [
        ({"mode": "mix"}, "B1"),
        ({"max_kbps": 45}, "A2"),
        ({"max_kbps": 40}, "B2"),
        ({"mode": "mix", "max_kbps": 20}, "B4"),
        ({"mode": "forward", "max_kbps": 1}, "A2"),
        ({"max_kbps": 1}, "B5"),
    ],
)
def test_what_was_asked_for_is_sent_when_the_command_is_answered_and_taken_back(
    wishes: dict[str, Any], tier: str
) -> None:
    bench = mixed_bench()
    command = SubscriptionUpdate(room="r", participant="guest-1", **wishes)
    state = bench.run(command).subscription
    assert (state.tier, state.cause, state.max_kbps) == (
        tier,
        "requested",
        wishes.get("max_kbps"),
    )
    assert set(bench.methods()) == {"quality.changed"}
    back = SubscriptionUpdate(room="r", participant="guest-1", mode="auto", max_kbps=None)
    state = bench.run(back).subscription
    assert (state.tier, state.max_kbps) == ("A1", None)
    assert [step.cause for step in state.history][0] == "join"


def test_unknown_room_and_participant() -> None:
    bench = bench_with()
    for command, what in (
        (SubscriptionGet(room="x", participant="guest-1"), "room"),
        (SubscriptionGet(room="r", participant="x"), "participant"),
        (SubscriptionUpdate(room="r", participant="x", paused=True), "participant"),
    ):
        with pytest.raises(ControlError) as refused:
            bench.run(command)
        assert refused.value.code is ErrorCode.NOT_FOUND
        assert refused.value.detail == {"what": what}


def test_whoever_joins_again_hears_everything() -> None:
    bench = bench_with()
    bench.run(SubscriptionUpdate(room="r", participant="guest-1", never=["b"], paused=True))
    bench.join("guest-1")
    state = subscription(bench)
    assert (state.never, state.paused, state.tier) == ([], False, "A1")


def test_the_round_trip_is_that_of_the_worst_track_in_the_last_report() -> None:
    tracks = [feedback(10.0, 0.25), feedback(10.5, 0.05), feedback(10.5, None)]
    assert worst_rtt_ms(tracks) == 250.0
    assert worst_rtt_ms([feedback(10.0, 2.0), feedback(14.0, 0.05)]) == 50.0
    assert worst_rtt_ms([]) is None
    assert worst_rtt_ms([feedback(1.0, None)]) is None
