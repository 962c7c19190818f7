"""A command that is refused has changed nothing, told nothing and left nothing behind."""

from __future__ import annotations

from typing import Any

import pytest

from control.commands import (
    AnyCommand,
    HandRaise,
    ParticipantJoin,
    ParticipantMove,
    ParticipantRemove,
    ParticipantRestartIce,
    ParticipantSetRole,
    ParticipantUpdate,
    RoomCreate,
    RoomMuteAll,
    RoomSnapshot,
    RoomSync,
    RoomUpdate,
    StageAccept,
    StageDecline,
    StageInvite,
    SubscriptionUpdate,
    SyncedParticipant,
    TrackMute,
    TrackSetPriority,
    TrackUnmute,
)
from control.errors import ControlError
from control.types import METADATA_BYTES_MAX, Role
from tests.worker.harness import Bench, offer

TOO_MUCH = {"text": "x" * METADATA_BYTES_MAX}
CHAIR: dict[str, Any] = {"room": "r", "participant": "chair"}
GUEST: dict[str, Any] = {"room": "r", "participant": "guest"}
NOBODY: dict[str, Any] = {"room": "r", "participant": "nobody"}


def full() -> Bench:
    """A room whose stage is full and whose hands are closed; the guest is invited, locked mute."""
    bench = Bench(join_timeout_s=1_000.0)
    bench.room("locked")
    bench.join("guest", room="locked")
    bench.room(max_speakers=1, max_participants=2, hand_policy="closed", metadata={"a": 1})
    bench.join("chair", Role.MODERATOR, name="red", metadata={"b": 2})
    bench.join("guest")
    bench.run(StageInvite(**GUEST, expires_s=600))
    bench.run(TrackMute(**GUEST, lock=True))
    bench.methods()
    return bench


def everything(bench: Bench) -> tuple[Any, ...]:
    """All that anybody can see, and how many rows there are."""
    worker = bench.worker
    rooms = [bench.run(RoomSnapshot(room=room)) for room in worker._registry.rooms]
    return rooms, worker.sizes(), worker.next_deadline()


def sync(*lines: SyncedParticipant) -> RoomSync:
    return RoomSync(room="r", participants=list(lines))


def line(participant: str, role: Role = Role.LISTENER, **fields: bool) -> SyncedParticipant:
    return SyncedParticipant(participant=participant, role=role, **fields)


def joining(participant: str, role: Role = Role.LISTENER, **fields: Any) -> ParticipantJoin:
    return ParticipantJoin(
        **{"room": "r", "participant": participant, "role": role, "offer": offer()} | fields
    )


@pytest.mark.parametrize(
    ("command", "code", "detail"),
    [
        (
            RoomCreate(room="r", slots=5, metadata=TOO_MUCH),
            "invalid_argument",
            {"field": "metadata"},
        ),
        (RoomUpdate(room="r", slots=5, if_version=9), "conflict", {"version": 1}),
        (
            RoomUpdate(room="r", slots=5, metadata=TOO_MUCH),
            "invalid_argument",
            {"field": "metadata"},
        ),
        (
            RoomUpdate(room="r", slots=5, max_participants=20_000),
            "invalid_argument",
            {"field": "max_participants"},
        ),
        (RoomUpdate(room="x", slots=5), "not_found", {"what": "room"}),
        (RoomMuteAll(room="x"), "not_found", {"what": "room"}),
        (
            sync(line("chair"), line("chair")),
            "invalid_argument",
            {"field": "participants[1].participant"},
        ),
        (
            sync(line("chair", Role.SPEAKER), line("guest", Role.SPEAKER)),
            "resource_exhausted",
            {"limit": "max_speakers"},
        ),
        (
            sync(line("guest", Role.SPEAKER, muted=False)),
            "failed_precondition",
            {"field": "participants[0].muted"},
        ),
        (joining("third"), "resource_exhausted", {"limit": "max_participants"}),
        (joining("guest", Role.SPEAKER), "resource_exhausted", {"limit": "max_speakers"}),
        (joining("guest", on_duplicate="reject"), "already_exists", {"what": "participant"}),
        (joining("guest", metadata=TOO_MUCH), "invalid_argument", {"field": "metadata"}),
        (joining("guest", offer="nonsense"), "invalid_argument", {"field": "offer"}),
        (
            ParticipantUpdate(**CHAIR, name="blue", metadata=TOO_MUCH),
            "invalid_argument",
            {"field": "metadata"},
        ),
        (ParticipantUpdate(**CHAIR, name="x", if_generation=7), "conflict", {"generation": 1}),
        (ParticipantRemove(**CHAIR, ban_s=60, if_generation=7), "conflict", {"generation": 1}),
        (ParticipantUpdate(**NOBODY, name="x"), "not_found", {"what": "participant"}),
        (
            ParticipantSetRole(**GUEST, role=Role.SPEAKER),
            "resource_exhausted",
            {"limit": "max_speakers"},
        ),
        (ParticipantMove(**GUEST, to_room="r"), "invalid_argument", {"field": "to_room"}),
        (ParticipantMove(**GUEST, to_room="locked"), "already_exists", {"what": "participant"}),
        (ParticipantMove(**CHAIR, to_room="x"), "not_found", {"what": "room"}),
        (ParticipantRestartIce(**GUEST, offer="nonsense"), "invalid_argument", {"field": "offer"}),
        (StageInvite(**CHAIR), "failed_precondition", {}),
        (StageAccept(**CHAIR), "failed_precondition", {}),
        (StageAccept(**GUEST), "resource_exhausted", {"limit": "max_speakers"}),
        (StageDecline(**CHAIR), "failed_precondition", {}),
        (StageInvite(**NOBODY), "not_found", {"what": "participant"}),
        (TrackUnmute(**GUEST), "failed_precondition", {}),
        (TrackSetPriority(**NOBODY, priority_db=3.0), "not_found", {"what": "participant"}),
        (HandRaise(**GUEST), "failed_precondition", {}),
        (
            SubscriptionUpdate(**GUEST, slots=1, mode="mix"),
            "failed_precondition",
            {"field": "mode"},
        ),
        (
            SubscriptionUpdate(**GUEST, slots=1, mode="mix", never=["x"]),
            "failed_precondition",
            {"field": "never"},
        ),
    ],
)
def test_a_refused_command_changes_nothing(
    command: AnyCommand, code: str, detail: dict[str, Any]
) -> None:
    bench = full()
    before = everything(bench)
    with pytest.raises(ControlError) as refused:
        bench.run(command)
    assert (refused.value.code, refused.value.detail) == (code, detail)
    assert everything(bench) == before
    assert bench.methods() == []


def test_a_locked_room_and_a_ban_change_nothing_either() -> None:
    bench = full()
    bench.run(ParticipantRemove(**GUEST, ban_s=60))
    bench.worker._registry.room("locked").set_locked(True, bench.now)
    bench.drain()
    bench.methods()
    before = everything(bench)
    for command, code in (
        (joining("guest"), "permission_denied"),
        (joining("new", room="locked"), "failed_precondition"),
        (ParticipantMove(**CHAIR, to_room="locked"), "failed_precondition"),
    ):
        with pytest.raises(ControlError) as refused:
            bench.run(command)
        assert refused.value.code == code
    bench.drain()
    assert everything(bench) == before
