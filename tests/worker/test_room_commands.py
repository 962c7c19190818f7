"""What commands about whole rooms do: settings, locks, mutes of everybody, sync, and their end."""

from __future__ import annotations

import pytest

from control.commands import (
    MutedResult,
    RoomCreate,
    RoomListWithin,
    RoomLock,
    RoomMuteAll,
    RoomSync,
    RoomUnlock,
    RoomUnmuteAll,
    RoomUpdate,
    SyncedParticipant,
    SyncResult,
    TrackMute,
)
from control.errors import ControlError, ErrorCode
from control.events import ParticipantLeft, RoomClosed, RoomUpdated, TrackMuted
from control.types import LeaveReason, Role
from sfu.worker.commands.pages import PAGE_SIZE
from tests.worker.harness import Bench


def line(participant: str, role: Role = Role.LISTENER, **fields: bool) -> SyncedParticipant:
    return SyncedParticipant(participant=participant, role=role, **fields)


def test_an_update_answers_with_the_room_and_is_told() -> None:
    bench = Bench()
    bench.room()
    room = bench.run(RoomUpdate(room="r", slots=2, orphan_policy="close", if_version=1)).room
    assert (room.slots, room.orphan_policy, room.version) == (2, "close", 2)
    assert bench.told == [("r", RoomUpdated(state=room))]


def test_a_list_within_prefixes_has_full_pages_and_tells_of_no_others() -> None:
    bench = Bench()
    for number in range(PAGE_SIZE + 1):
        for place in ("hall", "club/a", "club/b"):
            bench.run(RoomCreate(room=f"{place}{number}"))
    within = ("club/a", "club/b")
    first = bench.run(RoomListWithin(within=within))
    assert (len(first.rooms), first.next_page) == (PAGE_SIZE, 1)
    last = bench.run(RoomListWithin(within=within, page=2))
    assert (len(last.rooms), last.next_page) == (2, None)
    foreign = bench.run(RoomListWithin(within=within, prefix="hall"))
    assert (foreign.rooms, foreign.next_page) == ([], None)
    part = bench.run(RoomListWithin(within=within, prefix="club/b"))
    assert (len(part.rooms), part.next_page) == (PAGE_SIZE, 1)


def test_an_update_of_another_version_is_a_conflict_that_names_the_present_one() -> None:
    bench = Bench()
    bench.room()
    bench.run(RoomUpdate(room="r", slots=2))
    for version in (1, 3):
        with pytest.raises(ControlError) as refused:
            bench.run(RoomUpdate(room="r", slots=4, if_version=version))
        assert refused.value.code is ErrorCode.CONFLICT
        assert refused.value.detail == {"version": 2}
    assert bench.run(RoomUpdate(room="r", slots=5)).room.version == 3


def test_an_update_that_changes_nothing_keeps_the_version() -> None:
    bench = Bench()
    bench.room(slots=2)
    assert bench.run(RoomUpdate(room="r", slots=2)).room.version == 1
    assert bench.methods() == []


def test_a_locked_room_takes_nobody_new_until_it_is_unlocked() -> None:
    bench = Bench()
    bench.room()
    bench.join("p")
    bench.methods()
    for _ in range(2):
        bench.run(RoomLock(room="r"))
    assert bench.methods() == ["room.updated"]
    with pytest.raises(ControlError) as refused:
        bench.join("q")
    assert refused.value.code is ErrorCode.FAILED_PRECONDITION
    bench.join("p")
    bench.run(RoomUnlock(room="r"))
    bench.join("q")


def test_muting_all_answers_who_on_stage_is_muted_afterwards() -> None:
    bench = Bench()
    bench.room()
    bench.join("p", Role.MODERATOR)
    bench.join("q", Role.SPEAKER)
    bench.run(TrackMute(room="r", participant="q", lock=True))
    bench.told.clear()
    muted = bench.run(RoomMuteAll(room="r", except_roles=[Role.SPEAKER], actor="host"))
    assert muted == MutedResult(muted=["p", "q"])
    assert [body for _, body in bench.told] == [
        TrackMuted(participant="p", by="host", locked=False)
    ]
    assert bench.run(RoomUnmuteAll(room="r")).muted == ["q"]
    assert bench.run(RoomUnmuteAll(room="r", lock=True)).muted == []
    assert bench.run(RoomMuteAll(room="r", lock=True)).muted == ["p", "q"]


def test_a_sync_removes_changes_and_names_who_is_missing() -> None:
    bench = Bench()
    bench.room(max_speakers=1)
    for name, role in (("p", Role.SPEAKER), ("q", Role.LISTENER), ("x", Role.LISTENER)):
        bench.join(name, role)
    bench.told.clear()
    done = bench.run(
        RoomSync(
            room="r",
            participants=[line("q", Role.SPEAKER, muted=True), line("p"), line("away")],
        )
    )
    assert done == SyncResult(removed=1, changed=2, missing=["away"])
    assert bench.told[0][1] == ParticipantLeft(
        participant="x", reason=LeaveReason.REMOVED, generation=1
    )
    assert bench.methods() == ["participant.left", "role.changed", "track.muted", "role.changed"]
    assert bench.worker.sizes()["transports"] == 2
    assert bench.worker.counters()["left_removed"] == 1


def test_a_sync_that_is_true_already_does_nothing() -> None:
    bench = Bench()
    bench.room()
    bench.join("p", Role.SPEAKER)
    bench.methods()
    listed = [line("p", Role.SPEAKER, muted=False, locked=False)]
    for _ in range(2):
        done = bench.run(RoomSync(room="r", participants=listed))
        assert done == SyncResult(removed=0, changed=0, missing=[])
    assert bench.methods() == []


def test_a_sync_may_change_the_whole_stage_of_a_server_that_is_full() -> None:
    bench = Bench(max_speakers=1)
    bench.room()
    bench.join("p", Role.SPEAKER)
    bench.join("q")
    with pytest.raises(ControlError) as refused:
        bench.run(
            RoomSync(room="r", participants=[line("p", Role.SPEAKER), line("q", Role.SPEAKER)])
        )
    assert refused.value.detail == {"limit": "speakers"}
    assert bench.run(RoomSync(room="r", participants=[line("q", Role.SPEAKER)])).removed == 1


def test_an_orphaned_room_ends_with_its_connections() -> None:
    bench = Bench(join_timeout_s=1_000.0)
    bench.run(RoomCreate(room="r", orphan_policy="close", orphan_timeout_s=30))
    bench.join("p")
    bench.wait(29.9)
    bench.told.clear()
    bench.wait(0.2)
    assert [body for _, body in bench.told] == [
        ParticipantLeft(participant="p", reason=LeaveReason.ROOM_CLOSED, generation=1),
        RoomClosed(reason="orphaned"),
    ]
    assert not any(count for name, count in bench.worker.sizes().items() if name != "timers")
    assert bench.worker.counters()["left_room_closed"] == 1
