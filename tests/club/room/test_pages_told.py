"""What pages have yet to be told: feeds, the desk of pages, scenes, captions."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from msgspec.structs import replace

from control.events import (
    Event,
    EventBody,
    HandRaised,
    ParticipantJoined,
    ParticipantLeft,
    RoleChanged,
    SpeakersChanged,
)
from control.roomview import RoomView
from control.types import ActiveSpeaker, Hand, LeaveReason, ParticipantState, Role
from deploy.club.refusal import Refused
from deploy.club.room.authority import Rank
from deploy.club.room.captions import Publish
from deploy.club.room.desk import Desk, Page
from deploy.club.room.feed import OCCURRENCES_MAX, Feed, Topic
from deploy.club.room.scenes import AUDIENCE_SHOWN, Scene, metadata_of, rank_of
from deploy.club.room.telling import Telling
from tests.club.room.house import WAIT_S
from tests.club.states import event, participant_state, snapshot


async def test_a_feed_keeps_the_latest_of_each_topic_in_their_order() -> None:
    feed = Feed()
    feed.post(Topic.SPEAKERS, lambda: "speakers")
    feed.post(Topic.YOU, lambda: "old")
    feed.post(Topic.YOU, lambda: "new")
    feed.post(Topic.REJOIN, lambda: "rejoin")
    feed.withdraw(Topic.REJOIN)
    assert await feed.take() == ["new", "speakers"]
    waiting = asyncio.create_task(feed.take())
    await asyncio.sleep(0)
    feed.post(Topic.DAEMON, lambda: "up")
    assert await waiting == ["up"]


async def test_occurrences_add_up_and_the_oldest_are_dropped() -> None:
    feed = Feed()
    for number in range(OCCURRENCES_MAX + 2):
        feed.add(str(number))
    feed.post(Topic.YOU, lambda: "you")
    told = await feed.take()
    assert told[:2] == ["you", "2"] and len(told) == OCCURRENCES_MAX + 1


async def test_nothing_follows_a_final_statement_nor_a_request_to_come_back() -> None:
    feed = Feed()
    feed.post(Topic.REJOIN, lambda: "rejoin")
    feed.post(Topic.ENDED, lambda: "ended")
    feed.post(Topic.YOU, lambda: "you")
    feed.add("notice")
    assert feed.is_over
    assert await feed.take() == ["ended"]


async def test_a_newer_page_of_a_member_replaces_the_older() -> None:
    desk = Desk()
    older, newer = Page("r", "red"), Page("r", "red")
    desk.add(older)
    desk.add(newer)
    assert json.loads((await older.feed.take())[0])["reason"] == "replaced"
    desk.remove(older)
    assert desk.find("r", "red") is newer and len(desk) == 1
    desk.remove(newer)
    desk.remove(newer)
    assert (len(desk), list(desk), desk.of_room("r"), desk.of_member("red")) == (0, [], [], [])


def test_the_desk_has_an_end_but_not_for_who_comes_back() -> None:
    desk = Desk(pages_max=1)
    desk.add(Page("r", "red"))
    with pytest.raises(Refused, match="full"):
        desk.add(Page("r", "blue"))
    desk.add(Page("r", "red"))


def test_ranks_come_from_seats_and_not_from_roles() -> None:
    assert rank_of("host", None) is Rank.OUTSIDE
    assert rank_of("host", Role.LISTENER) is Rank.HOST
    assert rank_of("moderator", Role.LISTENER) is Rank.MODERATOR
    assert rank_of(None, Role.MODERATOR) is Rank.SPEAKER
    assert rank_of("invited", Role.SPEAKER) is Rank.SPEAKER
    assert rank_of("speaker", Role.LISTENER) is Rank.LISTENER


def seated(
    member_id: str, role: Role = Role.LISTENER, seat: Any = None, **fields: Any
) -> ParticipantState:
    """A member as the daemon has them."""
    metadata = metadata_of(seat, "p-1")
    return participant_state(member_id, role, name=member_id.title(), metadata=metadata, **fields)


RED = seated("red", Role.MODERATOR, "host")


def test_an_audience_is_shown_up_to_a_limit_and_counted_beyond() -> None:
    crowd = [seated(f"guest-{number}") for number in range(AUDIENCE_SHOWN + 5)]
    room = json.loads(Scene(RoomView(snapshot("lobby", RED, *crowd))).room(shows_hands=False))
    assert len(room["audience"]) == AUDIENCE_SHOWN
    assert room["audience_count"] == AUDIENCE_SHOWN + 5
    assert room["stage"][0]["host"] and room["stage"][0]["picture"] == "p-1"


def test_hands_are_shown_to_moderators_in_the_order_raised() -> None:
    people = [seated("late", hand=9), seated("early", hand=7)]
    hands = [Hand(participant="early", raised_at=7), Hand(participant="late", raised_at=9)]
    scene = Scene(RoomView(replace(snapshot("lobby", RED, *people), hands=hands)))
    shown = json.loads(scene.room(shows_hands=True))["hands"]
    assert [one["id"] for one in shown] == ["early", "late"]
    assert json.loads(scene.room(shows_hands=False))["hands"] == []
    assert scene.shows_hands_to("red") and not scene.shows_hands_to("late")


def test_a_member_who_is_not_there_may_nothing() -> None:
    scene = Scene(RoomView(snapshot("lobby", RED)))
    you = json.loads(scene.you("blue", is_club_host=False))
    assert (you["present"], you["role"], you["muted"], you["may"]) == (False, "listener", True, [])
    assert json.loads(scene.you("blue", is_club_host=True))["may"] == ["end"]


class Pages:
    """Telling over one scene and one page of Blue, without a daemon."""

    def __init__(self, *people: ParticipantState, recogniser: Any = None) -> None:
        self.scene = Scene(RoomView(snapshot("lobby", *people)))
        self.desk = Desk()
        self.page = Page("lobby", "blue")
        self.desk.add(self.page)
        self.telling = Telling(
            self.desk, lambda room: self.scene if room == "lobby" else None, recogniser
        )
        self.seq = 10

    def happens(self, body: EventBody) -> None:
        """An event of the daemon."""
        self.seq += 1
        happened: Event = event(body, self.seq)
        self.scene.view.apply(happened)
        self.telling.heard(self.scene, happened)

    async def told(self) -> dict[str, Any]:
        """What the page reads now, by type."""
        self.page.feed.add(json.dumps({"type": "marker"}))
        statements = [json.loads(text) for text in await self.page.feed.take()]
        return {one["type"]: one for one in statements if one["type"] != "marker"}

    async def told_of(self, kind: str) -> dict[str, Any]:
        """The next statement of a kind, which comes by itself."""
        async with asyncio.timeout(WAIT_S):
            while True:
                for text in await self.page.feed.take():
                    if json.loads(text)["type"] == kind:
                        told: dict[str, Any] = json.loads(text)
                        return told


async def test_changes_of_the_audience_are_gathered_and_of_the_stage_are_not() -> None:
    pages = Pages(RED, seated("blue"))
    for number in range(20):
        guest = seated(f"guest-{number}")
        pages.happens(ParticipantJoined(participant=guest.participant, state=guest))
    assert "room" not in await pages.told()
    assert (await pages.told_of("room"))["audience_count"] == 21
    pages.happens(
        RoleChanged(participant="guest-1", role=Role.SPEAKER, previous=Role.LISTENER, actor="red")
    )
    assert len((await pages.told())["room"]["stage"]) == 2
    pages.happens(
        ParticipantLeft(participant="guest-1", reason=LeaveReason.CLIENT_LEFT, generation=1)
    )
    assert len((await pages.told())["room"]["stage"]) == 1, "who leaves the stage is missed at once"


async def test_hands_are_told_to_who_sees_them_only() -> None:
    pages = Pages(RED, seated("blue"), seated("white"))
    leader = Page("lobby", "red")
    pages.desk.add(leader)
    pages.happens(HandRaised(participant="white", raised_at=7))
    pages.happens(HandRaised(participant="blue", raised_at=8))
    told = await pages.told()
    assert set(told) == {"you"} and told["you"]["hand"]
    (statement,) = await leader.feed.take()
    assert [one["id"] for one in json.loads(statement)["hands"]] == ["white", "blue"]


async def test_a_farewell_of_a_connection_that_was_replaced_is_not_told() -> None:
    pages = Pages(RED, seated("blue", generation=2))
    pages.happens(ParticipantLeft(participant="blue", reason=LeaveReason.ICE_FAILED, generation=1))
    pages.happens(ParticipantLeft(participant="blue", reason=LeaveReason.REPLACED, generation=2))
    told = await pages.told()
    assert "rejoin" not in told and "left" not in told


class Recogniser:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.publish: Publish | None = None

    def begin(self, publish: Publish) -> None:
        self.publish = publish

    def started(self, room_id: str, member_id: str) -> None:
        self.told.append(f"+{member_id}")

    def stopped(self, room_id: str, member_id: str) -> None:
        self.told.append(f"-{member_id}")


async def test_a_recogniser_is_told_who_speaks_and_its_texts_reach_the_pages() -> None:
    recogniser = Recogniser()
    pages = Pages(RED, seated("blue"), recogniser=recogniser)
    for ids in (["red"], ["red", "blue"], ["blue"]):
        speakers = [ActiveSpeaker(participant=one, level=20, slot=0) for one in ids]
        pages.happens(SpeakersChanged(revision=pages.seq, speakers=speakers))
    pages.telling.in_step({})
    assert recogniser.told == ["+red", "+blue", "-red", "-blue"]
    assert recogniser.publish is not None
    recogniser.publish("lobby", "red", "A word. " * 100, is_final=True)
    recogniser.publish("lobby", "nobody", "Nothing.", is_final=True)
    recogniser.publish("elsewhere", "red", "Nothing.", is_final=True)
    caption = (await pages.told())["caption"]
    assert (caption["name"], len(caption["text"]), caption["is_final"]) == ("Red", 400, True)
