"""`participant.move`: another room on the same connection."""

from __future__ import annotations

from typing import Any

import pytest

from control.commands import (
    ParticipantGet,
    ParticipantMove,
    ParticipantRemove,
    RoomClose,
    RoomGet,
    TrackMute,
)
from control.errors import ControlError, ErrorCode
from control.events import ParticipantJoined, ParticipantLeft
from control.types import LeaveReason, ParticipantState, ParticipantStatus, Role
from sfu.transport.address import pack_address
from tests.worker.harness import Bench
from tests.worker.test_worker import check, credentials

HERE = pack_address("192.0.2.7", 4000)


@pytest.fixture
def bench() -> Bench:
    """Two rooms, and `p` in the first."""
    bench = Bench()
    bench.room()
    bench.room("s")
    return bench


def move(bench: Bench, name: str = "p", **fields: Any) -> ParticipantState:
    """Move from `r` to `s`."""
    wanted = {"room": "r", "participant": name, "to_room": "s"} | fields
    state: ParticipantState = bench.run(ParticipantMove(**wanted)).participant
    return state


def refusal(bench: Bench, name: str = "p", **fields: Any) -> ControlError:
    """Why not; nothing has changed by it."""
    sizes, sent = bench.worker.sizes(), len(bench.sent)
    bench.methods()
    with pytest.raises(ControlError) as refused:
        move(bench, name, **fields)
    assert bench.worker.sizes() == sizes and len(bench.sent) == sent
    assert bench.methods() == []
    return refused.value


def test_a_move_is_told_in_both_rooms_and_keeps_every_row(bench: Bench) -> None:
    joined = bench.join("p", Role.SPEAKER, name="Red", metadata={"a": 1})
    bench.receive(check(*credentials(joined.answer)), HERE)
    bench.told.clear()
    before, sent = bench.worker.sizes(), len(bench.sent)
    state = move(bench)
    assert bench.told == [
        ("r", ParticipantLeft(participant="p", reason=LeaveReason.MOVED, generation=1)),
        ("s", ParticipantJoined(participant="p", state=state)),
    ]
    assert (state.name, state.metadata, state.role) == ("Red", {"a": 1}, Role.SPEAKER)
    assert state.state is ParticipantStatus.CONNECTING
    assert bench.worker.sizes() == before
    assert len(bench.sent) == sent, "the client hears nothing of it"
    assert bench.worker.counters()["left_moved"] == 1
    assert bench.run(RoomGet(room="r")).room.counts.speaker == 0


def test_checks_of_the_moved_one_still_find_it_and_speak_for_the_new_room(bench: Bench) -> None:
    joined = bench.join("p")
    move(bench)
    bench.methods()
    bench.receive(check(*credentials(joined.answer)), HERE)
    assert len(bench.sent) == 1
    state = bench.run(ParticipantGet(room="s", participant="p")).participant.state
    assert state is ParticipantStatus.CONNECTING
    with pytest.raises(ControlError) as refused:
        bench.run(ParticipantGet(room="r", participant="p"))
    assert refused.value.code is ErrorCode.NOT_FOUND


def test_whoever_moved_before_it_ever_connected_still_expires(bench: Bench) -> None:
    bench.join("p")
    bench.wait(20.0)
    move(bench)
    bench.told.clear()
    bench.wait(11.0)
    assert bench.told == [
        ("s", ParticipantLeft(participant="p", reason=LeaveReason.JOIN_EXPIRED, generation=1))
    ]
    assert bench.worker.sizes()["transports"] == 0


def test_there_and_back_again_counts_generations(bench: Bench) -> None:
    bench.join("p", Role.SPEAKER, echo_group="table")
    assert move(bench).generation == 1
    back = move(bench, room="s", to_room="r", role=Role.LISTENER)
    assert (back.generation, back.number, back.role) == (2, 2, Role.LISTENER)


def test_the_old_place_is_free_for_a_newcomer_of_the_same_name(bench: Bench) -> None:
    bench.join("p")
    move(bench)
    bench.join("p")
    assert bench.worker.sizes()["transports"] == 2
    assert refusal(bench).code is ErrorCode.ALREADY_EXISTS
    bench.run(ParticipantRemove(room="s", participant="p"))
    move(bench)
    assert bench.worker.sizes()["transports"] == 1


def test_the_mute_and_its_lock_go_along(bench: Bench) -> None:
    bench.join("p", Role.SPEAKER)
    bench.run(TrackMute(room="r", participant="p", lock=True))
    state = move(bench)
    assert state.muted and state.mute_locked


def test_refusals_change_nothing(bench: Bench) -> None:
    bench.join("p", Role.SPEAKER)
    bench.join("l")
    assert refusal(bench, to_room="r").detail == {"field": "to_room"}
    assert refusal(bench, to_room="nowhere").detail == {"what": "room"}
    assert refusal(bench, room="nowhere").detail == {"what": "room"}
    assert refusal(bench, name="nobody").detail == {"what": "participant"}
    bench.room("full", max_participants=1, max_speakers=1)
    bench.join("x", Role.SPEAKER, room="full")
    assert refusal(bench, to_room="full").detail == {"limit": "max_participants"}
    bench.room("stage", max_speakers=1)
    bench.join("x", Role.SPEAKER, room="stage")
    assert refusal(bench, to_room="stage").detail == {"limit": "max_speakers"}
    assert refusal(bench, "l", to_room="stage", role=Role.SPEAKER).detail == {
        "limit": "max_speakers"
    }
    bench.worker._registry.room("s").set_locked(True, bench.now)
    assert refusal(bench).code is ErrorCode.FAILED_PRECONDITION


def test_the_banned_are_not_moved_in(bench: Bench) -> None:
    bench.join("p", room="s")
    bench.run(ParticipantRemove(room="s", participant="p", ban_s=60))
    bench.join("p")
    refused = refusal(bench)
    assert refused.code is ErrorCode.PERMISSION_DENIED and refused.retry_after_ms == 60_000


def test_the_server_s_limits_do_not_stop_a_move_but_its_stage_does() -> None:
    bench = Bench(max_participants=2, max_speakers=1, max_joins_per_s=2)
    bench.room()
    bench.room("s")
    bench.join("p", Role.SPEAKER)
    bench.join("l")
    move(bench)
    with pytest.raises(ControlError) as refused:
        move(bench, "l", role=Role.SPEAKER)
    assert refused.value.detail == {"limit": "speakers"}
    move(bench, "l")


def test_a_room_that_everybody_left_by_moving_ends_like_any_empty_room() -> None:
    bench = Bench()
    bench.room(empty_timeout_s=5)
    bench.room("s")
    bench.join("p")
    move(bench)
    bench.wait(6.0)
    assert bench.worker.sizes()["rooms"] == 1
    assert bench.run(ParticipantGet(room="s", participant="p")).participant.participant == "p"


def test_whoever_moved_leaves_with_the_new_room(bench: Bench) -> None:
    bench.join("p", Role.SPEAKER)
    move(bench)
    bench.run(RoomClose(room="r"))
    assert bench.worker.sizes()["transports"] == 1
    bench.run(RoomClose(room="s"))
    sizes = bench.worker.sizes()
    assert not any(sizes[name] for name in ("transports", "sources", "egresses", "slots", "timers"))
