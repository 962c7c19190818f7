"""What commands do, and that a refused one changes nothing."""

from __future__ import annotations

import pytest
from msgspec import to_builtins

from control.commands import (
    HandList,
    HandLower,
    HandRaise,
    ParticipantGet,
    ParticipantList,
    ParticipantRemove,
    ParticipantSetRole,
    RoomClose,
    RoomCreate,
    RoomGet,
    RoomList,
    RoomSnapshot,
    ServerInfo,
    ServerStats,
    TrackMute,
    TrackUnmute,
)
from control.errors import ControlError, ErrorCode
from control.events import ParticipantLeft, RoomClosed
from control.frames import FRAME_BYTES_MAX, encode_frame
from control.types import METADATA_BYTES_MAX, LeaveReason, Role
from sfu.worker.commands.pages import PAGE_SIZE, page_of
from tests.worker.harness import Bench, offer


def test_creating_a_room_again_returns_it_with_the_changes_applied() -> None:
    bench = Bench()
    first = bench.run(RoomCreate(room="r", slots=2)).room
    again = bench.run(RoomCreate(room="r", max_speakers=5)).room
    assert (first.slots, first.version) == (2, 1)
    assert (again.slots, again.max_speakers, again.version) == (2, 5, 2)
    assert bench.methods() == ["room.created", "room.updated"]


def test_the_defaults_of_a_room_are_the_worker_s() -> None:
    bench = Bench(max_speakers_per_room=7, default_slots=4, default_empty_timeout_s=9)
    room = bench.run(RoomCreate(room="r")).room
    assert (room.max_speakers, room.slots, room.empty_timeout_s) == (7, 4, 9)


def test_one_room_too_many_names_the_limit() -> None:
    bench = Bench(max_rooms=1)
    bench.room("a")
    with pytest.raises(ControlError) as refused:
        bench.run(RoomCreate(room="b"))
    assert refused.value.code is ErrorCode.RESOURCE_EXHAUSTED
    assert refused.value.detail == {"limit": "rooms"}
    assert bench.methods() == ["server.overloaded"]


def test_rooms_are_listed_by_prefix_in_pages() -> None:
    bench = Bench()
    for name in ("x1", "y1", "x2"):
        bench.room(name)
    listed = bench.run(RoomList(prefix="x"))
    assert [room.room for room in listed.rooms] == ["x1", "x2"]
    assert listed.next_page is None


def test_a_page_ends_exactly_where_the_items_end() -> None:
    items = list(range(PAGE_SIZE + 1))
    assert page_of(items, 0) == (items[:PAGE_SIZE], 1)
    assert page_of(items, 1) == ([PAGE_SIZE], None)
    assert page_of(items[:-1], 0) == (items[:-1], None)
    assert page_of(items, 9) == ([], None)


def test_a_join_answers_the_offer_and_makes_rows_for_every_line() -> None:
    bench = Bench()
    bench.room()
    joined = bench.join("p", Role.SPEAKER)
    assert joined.participant.number == 1
    assert joined.answer.count("m=audio") == 3
    assert "a=setup:passive" in joined.answer
    sizes = bench.worker.sizes()
    assert (sizes["transports"], sizes["sources"], sizes["egresses"]) == (1, 1, 3)
    assert bench.methods() == ["participant.joined"]


def test_a_receive_only_offer_has_no_source() -> None:
    bench = Bench()
    bench.room()
    bench.join("p", Role.SPEAKER, offer=offer(sends=False))
    assert bench.worker.sizes()["sources"] == 0


@pytest.mark.parametrize("text", ["nonsense", offer().replace("a=fingerprint", "a=fungerprint")])
def test_an_unusable_offer_is_refused_and_replaces_nobody(text: str) -> None:
    bench = Bench()
    bench.room()
    bench.join("p")
    before = bench.worker.sizes()
    with pytest.raises(ControlError) as refused:
        bench.join("p", offer=text)
    assert refused.value.code is ErrorCode.INVALID_ARGUMENT
    assert refused.value.detail == {"field": "offer"}
    assert bench.worker.sizes() == before
    assert bench.methods() == ["participant.joined"]


def test_a_second_join_of_the_same_participant_replaces_the_first() -> None:
    bench = Bench()
    bench.room()
    bench.join("p")
    second = bench.join("p").participant
    assert second.generation == 2
    assert bench.methods() == ["participant.joined", "participant.left", "participant.joined"]
    assert bench.worker.sizes()["transports"] == 1


def test_the_worker_s_participant_limit_does_not_stop_a_reconnect() -> None:
    bench = Bench(max_participants=1)
    bench.room()
    bench.join("p")
    bench.join("p")
    with pytest.raises(ControlError) as refused:
        bench.join("q")
    assert refused.value.detail == {"limit": "participants"}


def test_whoever_is_removed_leaves_nothing_behind() -> None:
    bench = Bench()
    bench.room()
    bench.join("p", Role.SPEAKER)
    bench.methods()
    bench.run(ParticipantRemove(room="r", participant="p", reason="spam"))
    (told,) = bench.told
    assert told[1] == ParticipantLeft(
        participant="p", reason=LeaveReason.REMOVED, generation=1, detail="spam"
    )
    sizes = bench.worker.sizes()
    assert (sizes["transports"], sizes["sources"], sizes["egresses"]) == (0, 0, 0)
    assert sizes["participants_speaker"] == 0


def test_a_banned_participant_may_come_back_when_the_time_is_over() -> None:
    bench = Bench()
    bench.room()
    bench.join("p")
    bench.run(ParticipantRemove(room="r", participant="p", ban_s=10))
    with pytest.raises(ControlError) as refused:
        bench.join("p")
    assert refused.value.code is ErrorCode.PERMISSION_DENIED
    bench.now += 10.1
    bench.join("p")


def test_closing_a_room_sends_everybody_away() -> None:
    bench = Bench()
    bench.room()
    bench.join("p")
    bench.join("q", Role.MODERATOR)
    bench.methods()
    bench.run(RoomClose(room="r", reason="over"))
    assert [body.method for _, body in bench.told] == [
        "participant.left",
        "participant.left",
        "room.closed",
    ]
    assert bench.told[-1][1] == RoomClosed(reason="over")
    with pytest.raises(ControlError):
        bench.run(RoomGet(room="r"))
    assert not any(count for name, count in bench.worker.sizes().items() if name != "timers"), (
        bench.worker.sizes()
    )


def test_roles_mutes_and_hands_change_what_the_snapshot_tells() -> None:
    bench = Bench()
    bench.room()
    bench.join("p")
    bench.run(HandRaise(room="r", participant="p"))
    assert [hand.participant for hand in bench.run(HandList(room="r")).hands] == ["p"]
    bench.run(ParticipantSetRole(room="r", participant="p", role=Role.SPEAKER))
    muted = bench.run(TrackMute(room="r", participant="p", lock=True)).participant
    assert (muted.role, muted.muted, muted.mute_locked) == (Role.SPEAKER, True, True)
    with pytest.raises(ControlError):
        bench.run(TrackUnmute(room="r", participant="p"))
    bench.run(TrackUnmute(room="r", participant="p", lock=True))
    snapshot = bench.run(RoomSnapshot(room="r"))
    assert snapshot.hands == []
    assert [one.participant for one in snapshot.participants] == ["p"]
    assert snapshot.room.counts.speaker == 1
    assert bench.run(HandLower(room="r", participant="p")).hands == []


def test_participants_are_listed_by_role() -> None:
    bench = Bench()
    bench.room()
    bench.join("p")
    bench.join("q", Role.SPEAKER)
    listed = bench.run(ParticipantList(room="r", role=Role.SPEAKER))
    assert [one.participant for one in listed.participants] == ["q"]
    assert bench.run(ParticipantGet(room="r", participant="p")).participant.role is Role.LISTENER


@pytest.mark.parametrize(
    "command",
    [
        ParticipantGet(room="r", participant="nobody"),
        ParticipantRemove(room="r", participant="nobody"),
        ParticipantSetRole(room="r", participant="nobody", role=Role.SPEAKER),
        TrackMute(room="r", participant="nobody"),
        HandRaise(room="r", participant="nobody"),
        RoomGet(room="nowhere"),
        RoomClose(room="nowhere"),
        HandList(room="nowhere"),
    ],
)
def test_what_is_not_there_is_not_found(command: object) -> None:
    bench = Bench()
    bench.room()
    with pytest.raises(ControlError) as refused:
        bench.run(command)  # type: ignore[arg-type]
    assert refused.value.code is ErrorCode.NOT_FOUND
    assert refused.value.detail["what"] in ("room", "participant")


def test_the_server_tells_its_limits_and_their_use() -> None:
    bench = Bench(max_rooms=4)
    bench.room()
    info = bench.run(ServerInfo())
    assert info.limits["rooms"] == 4 and info.use["rooms"] == 1
    assert info.load == 0.25
    assert info.started_at == 1_000_000_000
    assert bench.run(ServerStats()).counters["joins"] == 0


def test_a_page_of_the_largest_participants_fits_a_frame() -> None:
    bench = Bench()
    bench.room(max_participants=PAGE_SIZE + 1)
    metadata = {"text": "x" * (METADATA_BYTES_MAX - 16)}
    for number in range(PAGE_SIZE + 1):
        bench.join(f"{number:0128d}", name="n" * 256, metadata=metadata)
    listed = bench.run(ParticipantList(room="r"))
    assert len(listed.participants) == PAGE_SIZE and listed.next_page == 1
    assert len(encode_frame(to_builtins(listed))) < FRAME_BYTES_MAX
