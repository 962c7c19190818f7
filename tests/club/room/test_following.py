"""The daemon's rooms as a process sees them, whatever it missed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from control.commands import RoomList, RoomsResult, SnapshotResult
from control.errors import ControlError, ErrorCode, not_found
from control.events import (
    Event,
    EventBody,
    EventsGap,
    ParticipantJoined,
    RoomClosed,
    RoomCreated,
)
from control.types import Hand
from deploy.club.room.following import Following
from deploy.club.room.scenes import Scene
from tests.club.states import EPOCH, event, participant_state, room_state, snapshot

RED = participant_state("red")
BLUE = participant_state("blue", hand=7)


class Hello:
    """What a daemon said first."""

    epoch = EPOCH


class Script:
    """A client whose daemon has these rooms, and from which these events come."""

    def __init__(self, rooms: dict[str, SnapshotResult], events: Iterable[Event]) -> None:
        self.rooms = rooms
        self.coming = events
        self.hello = Hello()
        self.is_large = False
        self.asked: list[str] = []

    async def room_list(self, page: int = 0) -> RoomsResult:
        """Two to a page."""
        assert RoomList(page=page)
        ids = list(self.rooms)
        following = page + 1 if len(ids) > 2 * page + 2 else None
        shown = [room_state(one) for one in ids[2 * page : 2 * page + 2]]
        return RoomsResult(rooms=shown, next_page=following)

    async def room_snapshot(self, room: str) -> SnapshotResult:
        """Of a room that is there."""
        self.asked.append(room)
        if self.is_large:
            raise ControlError(ErrorCode.RESOURCE_EXHAUSTED, "too large")
        if room not in self.rooms:
            raise not_found("room", room)
        return self.rooms[room]

    async def room_get(self, room: str) -> Any:
        """The room alone."""
        return self.rooms[room].room

    async def participant_list(self, room: str, page: int = 0) -> Any:
        """One to a page."""
        people = self.rooms[room].participants
        return Listed(people[page : page + 1], page + 1 if page + 1 < len(people) else None)

    async def hand_list(self, room: str, page: int = 0) -> Any:
        """All on one page."""
        return Listed([Hand(participant="blue", raised_at=7)], None)

    @asynccontextmanager
    async def events(self) -> AsyncIterator[Any]:
        """What comes, and then nothing."""

        async def all_of_them() -> AsyncIterator[Event]:
            for one in self.coming:
                yield one

        yield all_of_them()


class Listed:
    """A page of participants or hands."""

    def __init__(self, shown: list[Any], next_page: int | None) -> None:
        self.participants = shown
        self.hands = shown
        self.next_page = next_page


class Ears:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def heard(self, scene: Scene, event: Event) -> None:
        self.told.append(f"{scene.view.room.room} {event.body.method}")

    def in_step(self, rooms: dict[str, Scene]) -> None:
        self.told.append("in step: " + ", ".join(rooms))


async def followed(script: Script) -> tuple[Following, list[str]]:
    """What was told until the events ended."""
    ears = Ears()
    control: Any = script
    following = Following(control, ears)
    await following._follow()
    return following, ears.told


def joined(seq: int, room: str, state: Any = RED) -> Event:
    """Somebody came."""
    body: EventBody = ParticipantJoined(participant=state.participant, state=state)
    return event(body, seq, room=room)


async def test_all_rooms_are_asked_for_page_by_page() -> None:
    rooms = {name: snapshot(name, RED) for name in ("a", "b", "c")}
    following, told = await followed(Script(rooms, []))
    assert told == ["in step: a, b, c"]
    assert list(following.rooms) == ["a", "b", "c"]


async def test_what_a_snapshot_holds_already_is_no_news() -> None:
    script = Script({"a": snapshot("a", RED, seq=10)}, [joined(10, "a"), joined(11, "a", BLUE)])
    following, told = await followed(script)
    assert told == ["in step: a", "a participant.joined"]
    assert set(following.rooms["a"].view.participants) == {"red", "blue"}


async def test_rooms_come_and_go() -> None:
    events = [
        event(RoomCreated(state=room_state("b")), 11, room="b"),
        joined(12, "b"),
        event(RoomClosed(reason="ended"), 13, room="b"),
        event(RoomClosed(reason="ended"), 14, room="never-known"),
    ]
    script = Script({}, events)
    following, told = await followed(script)
    assert told[1:] == ["b room.created", "b participant.joined", "b room.closed"]
    assert following.rooms == {} and script.asked == []


async def test_a_room_whose_beginning_was_missed_is_asked_for() -> None:
    script = Script({}, [joined(11, "late"), joined(12, "gone")])

    def appear() -> Iterable[Event]:
        script.rooms["late"] = snapshot("late", RED, seq=11)
        yield from (joined(11, "late"), joined(12, "gone"))

    script.coming = appear()
    following, _ = await followed(script)
    assert list(following.rooms) == ["late"]
    assert script.asked == ["late", "gone"]


async def test_after_a_gap_everything_is_asked_for_anew() -> None:
    script = Script({"a": snapshot("a", RED)}, [])

    def gap() -> Iterable[Event]:
        script.rooms = {"b": snapshot("b", BLUE)}
        yield Event(epoch="epoch-2", seq=3, at=1, room=None, body=EventsGap(from_=0, to=3))

    script.coming = gap()
    following, told = await followed(script)
    assert told == ["in step: a", "in step: b"]
    assert list(following.rooms) == ["b"]


async def test_a_room_that_is_too_large_for_a_frame_comes_in_pages() -> None:
    script = Script({"a": snapshot("a", RED, BLUE, seq=10)}, [joined(9, "a", RED)])
    script.is_large = True
    following, _ = await followed(script)
    view = following.rooms["a"].view
    assert set(view.participants) == {"red", "blue"}
    assert list(view.hands) == ["blue"]
    assert view.seq == 9, "events since the subscription are applied, once more if need be"
