"""What commands about the stage do: invitations, priorities, and what a participant is called."""

from __future__ import annotations

from typing import Any

import pytest

from control.commands import (
    ParticipantRemove,
    ParticipantSetRole,
    ParticipantUpdate,
    StageAccept,
    StageDecline,
    StageInvite,
    TrackSetPriority,
)
from control.errors import ControlError, ErrorCode
from control.events import ParticipantUpdated
from control.types import Role
from tests.worker.harness import Bench

INVITE = StageInvite(room="r", participant="p", expires_s=10, actor="host")
ACCEPT = StageAccept(room="r", participant="p")


def with_listener(**limits: Any) -> Bench:
    bench = Bench(join_timeout_s=1_000.0, **limits)
    bench.room()
    bench.join("p")
    bench.methods()
    return bench


def test_an_invitation_is_accepted() -> None:
    bench = with_listener()
    invited = bench.run(INVITE).participant
    assert invited.invited_until == round((1_000_000.0 + bench.now + 10.0) * 1000)
    accepted = bench.run(ACCEPT).participant
    assert (accepted.role, accepted.muted, accepted.invited_until) == (Role.SPEAKER, True, None)
    assert bench.methods() == ["stage.invited", "stage.accepted", "track.muted", "role.changed"]


def test_an_invitation_is_declined() -> None:
    bench = with_listener()
    bench.run(INVITE)
    assert bench.run(StageDecline(room="r", participant="p")).participant.invited_until is None
    assert bench.methods() == ["stage.invited", "stage.declined"]


def test_an_invitation_expires_by_the_clock_alone() -> None:
    bench = with_listener()
    bench.run(INVITE)
    bench.methods()
    bench.wait(9.9)
    assert bench.methods() == []
    bench.wait(0.2)
    assert bench.methods() == ["stage.expired"]


def test_a_server_with_a_full_stage_lets_nobody_accept_and_the_invitation_stays() -> None:
    bench = with_listener(max_speakers=1)
    bench.join("q", Role.SPEAKER)
    with pytest.raises(ControlError) as refused:
        bench.run(ACCEPT)
    assert refused.value.code is ErrorCode.FAILED_PRECONDITION
    bench.run(INVITE)
    with pytest.raises(ControlError) as refused:
        bench.run(ACCEPT)
    assert refused.value.detail == {"limit": "speakers"}
    bench.run(ParticipantSetRole(room="r", participant="q", role=Role.LISTENER))
    assert bench.run(ACCEPT).participant.role is Role.SPEAKER


def test_a_priority_stands_in_the_state_and_is_told() -> None:
    bench = with_listener()
    command = TrackSetPriority(room="r", participant="p", priority_db=6.5)
    state = bench.run(command).participant
    assert state.priority_db == 6.5
    assert bench.told == [("r", ParticipantUpdated(participant="p", state=state))]
    bench.told.clear()
    assert bench.run(command).participant == state
    assert bench.methods() == []
    taken_back = TrackSetPriority(room="r", participant="p", priority_db=None)
    assert bench.run(taken_back).participant.priority_db is None
    assert bench.methods() == ["participant.updated"]


def test_name_and_metadata_are_changed_and_told_with_the_whole_state() -> None:
    bench = with_listener()
    command = ParticipantUpdate(
        room="r", participant="p", name="red", metadata={"a": 1}, if_generation=1
    )
    state = bench.run(command).participant
    assert (state.name, state.metadata) == ("red", {"a": 1})
    assert bench.told == [("r", ParticipantUpdated(participant="p", state=state))]
    bench.told.clear()
    assert bench.run(command).participant == state
    assert bench.told == []
    nameless = bench.run(ParticipantUpdate(room="r", participant="p", name="")).participant
    assert (nameless.name, nameless.metadata) == (None, {"a": 1})


def test_an_update_of_another_generation_is_a_conflict_that_names_the_present_one() -> None:
    bench = with_listener()
    bench.join("p")
    bench.methods()
    for command in (
        ParticipantUpdate(room="r", participant="p", name="late", if_generation=1),
        ParticipantRemove(room="r", participant="p", if_generation=1),
    ):
        with pytest.raises(ControlError) as refused:
            bench.run(command)
        assert refused.value.code is ErrorCode.CONFLICT
        assert refused.value.detail == {"generation": 2}
    assert bench.methods() == []
    bench.run(ParticipantRemove(room="r", participant="p", if_generation=2))
    assert bench.methods() == ["participant.left"]
