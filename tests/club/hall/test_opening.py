"""Rooms begin, at once or at their time, and end; people are asked and told."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

import pytest

from deploy.club.hall import opening
from deploy.club.hall.access import may_enter, may_see
from deploy.club.hall.attending import invite, will_come, wont_come
from deploy.club.hall.opening import (
    LIVE_MAX,
    OPEN_EARLY,
    SCHEDULED_MAX,
    cancel_room,
    coming,
    end_room,
    open_scheduled,
)
from deploy.club.people.interests import INTERESTS
from deploy.club.refusal import Refused
from tests.club.hall.club import NOW, TOMORROW, Club


async def refused(doing: Awaitable[Any]) -> str:
    with pytest.raises(Refused) as caught:
        await doing
    return caught.value.code


async def test_a_room_opened_now_is_live_and_its_creator_hosts_it(club: Club) -> None:
    slugs = frozenset(sorted(INTERESTS)[:2])
    room_id = await club.plan("Red", about="Of bees.", interests=slugs, language="de")
    room = await club.room(room_id)
    assert (room.state, room.opened_at, room.scheduled_at) == ("live", NOW, None)
    assert (room.topic, room.about, room.language) == ("Bees", "Of bees.", "de")
    await club.of("Blue", room_id, may_enter, NOW)


async def test_hosts_and_invited_people_are_told_once_each(club: Club) -> None:
    await club.follow("Blue", "Red")
    await club.follow("Green", "Red")
    room_id = await club.plan(
        "Red",
        visibility="invited",
        hosts=club.ids("Blue", "Red"),
        invited=club.ids("Green", "Blue", "Red"),
    )
    assert await club.told("Blue") == [("host", room_id)]
    assert await club.told("Green") == [("invited", room_id)]
    assert await club.told("Red") == []
    for name in ("Red", "Blue", "Green"):
        await club.of(name, room_id, may_enter, NOW)
    assert await refused(club.of("White", room_id, may_enter, NOW)) == "invited_only"


@pytest.mark.parametrize(
    ("visibility", "is_told"), [("open", True), ("followers", True), ("invited", False)]
)
async def test_followers_are_told_of_a_room_that_they_may_enter(
    club: Club, visibility: str, is_told: bool
) -> None:
    """Whoever was asked into it knows already, and whom a host does not want to meet learns
    nothing; a planned room is told when it opens.
    """
    for name in ("Blue", "Green", "White"):
        await club.follow(name, "Red")
    await club.block("Blue", "White")
    room_id = await club.plan("Red", visibility=visibility, hosts=club.ids("Blue"))
    told = [("room_open", room_id)] if is_told else []
    assert await club.told("Green") == told
    assert await club.told("White") == []
    assert await club.told("Blue") == [("host", room_id)]
    planned = await club.plan("Red", visibility=visibility, scheduled_at=TOMORROW)
    assert await club.told("Green") == told
    await club.of("Green", planned, will_come, NOW) if is_told else None
    await club.of("Red", planned, open_scheduled, TOMORROW)
    # Once, although she follows and has said that she comes.
    assert await club.told("Green") == told + ([("room_open", planned)] if is_told else [])


async def test_of_very_many_followers_the_latest_are_told(
    club: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "FOLLOWERS_TOLD_MAX", 1)
    await club.follow("Green", "Red")
    club.founder.now = TOMORROW
    await club.follow("Blue", "Red")
    await club.plan("Red")
    assert (len(await club.told("Green")), len(await club.told("Blue"))) == (0, 1)


@pytest.mark.parametrize("role", ["hosts", "invited"])
async def test_only_those_who_follow_can_be_asked(club: Club, role: str) -> None:
    await club.follow("Red", "Blue")
    assert await refused(club.plan("Red", **{role: club.ids("Blue")})) == "no_such_member"
    assert await refused(club.plan("Red", **{role: frozenset({"m-none"})})) == "no_such_member"
    await club.follow("Green", "Red")
    await club.block("Green", "Red")
    assert await refused(club.plan("Red", **{role: club.ids("Green")})) == "no_such_member"
    assert await club.told("Blue") == []


async def test_rooms_of_one_member_are_bounded(club: Club) -> None:
    ids = [await club.plan("Red") for _ in range(LIVE_MAX)]
    assert await refused(club.plan("Red")) == "too_many_rooms"
    await club.plan("Blue")

    async def end(tx: Any, room: Any, _: Any) -> None:
        await end_room(tx, room, NOW)

    await club.of("Red", ids[0], end)
    await club.plan("Red")
    for _ in range(SCHEDULED_MAX):
        await club.plan("Red", scheduled_at=TOMORROW)
    assert await refused(club.plan("Red", scheduled_at=TOMORROW)) == "too_many_rooms"


async def test_a_planned_room_opens_by_a_host_at_its_time_and_guests_are_told(club: Club) -> None:
    await club.follow("Blue", "Red")
    room_id = await club.plan("Red", scheduled_at=TOMORROW, hosts=club.ids("Blue"))
    await club.of("Green", room_id, will_come, NOW)
    await club.of("Green", room_id, will_come, NOW)
    assert await refused(club.of("Green", room_id, may_enter, NOW)) == "not_open"
    early = TOMORROW - OPEN_EARLY
    too_early = early - timedelta(seconds=1)
    assert await refused(club.of("Red", room_id, open_scheduled, too_early)) == "too_early"
    assert await refused(club.of("Green", room_id, open_scheduled, TOMORROW)) == "not_host"
    await club.of("Blue", room_id, open_scheduled, early)
    await club.of("Red", room_id, open_scheduled, TOMORROW)  # the other host was faster
    room = await club.room(room_id)
    assert (room.state, room.opened_at) == ("live", early)
    assert await club.told("Green") == [("room_open", room_id)]
    assert await club.told("Red") == [("room_open", room_id)]
    await club.of("Green", room_id, may_enter, early)


async def test_a_cancelled_room_stays_closed_and_guests_are_told(club: Club) -> None:
    room_id = await club.plan("Red", scheduled_at=TOMORROW)
    await club.of("Green", room_id, will_come, NOW)
    assert await refused(club.of("Green", room_id, cancel_room, NOW)) == "not_host"
    await club.of("Red", room_id, cancel_room, NOW)
    assert (await club.room(room_id)).state == "cancelled"
    assert await club.told("Green") == [("cancelled", room_id)]
    assert await refused(club.of("Red", room_id, cancel_room, NOW)) == "over"
    assert await refused(club.of("Red", room_id, open_scheduled, TOMORROW)) == "over"
    assert await refused(club.of("White", room_id, will_come, NOW)) == "not_waiting"
    await club.of("White", room_id, may_see)


async def test_a_room_ends_once(club: Club) -> None:
    room_id = await club.plan("Red")

    async def end(tx: Any, room: Any, _: Any, now: Any) -> None:
        await end_room(tx, room, now)

    await club.of("Red", room_id, end, NOW)
    await club.of("Red", room_id, end, TOMORROW)
    room = await club.room(room_id)
    assert (room.state, room.ended_at) == ("ended", NOW)
    assert await refused(club.of("Red", room_id, may_enter, NOW)) == "over"


async def test_who_does_not_come_after_all_is_not_told(club: Club) -> None:
    room_id = await club.plan("Red", scheduled_at=TOMORROW)
    await club.of("Green", room_id, will_come, NOW)
    await club.of("Green", room_id, wont_come)
    await club.of("Green", room_id, wont_come)
    await club.of("Red", room_id, open_scheduled, TOMORROW)
    assert await club.told("Green") == []


async def test_a_host_named_by_another_can_step_down_and_the_creator_cannot(club: Club) -> None:
    await club.follow("Blue", "Red")
    room_id = await club.plan("Red", scheduled_at=TOMORROW, hosts=club.ids("Blue"))
    await club.of("Blue", room_id, wont_come)
    await club.of("Red", room_id, wont_come)
    assert await refused(club.of("Blue", room_id, open_scheduled, TOMORROW)) == "not_host"
    await club.of("Red", room_id, open_scheduled, TOMORROW)

    async def guests(tx: Any, room: Any, _: Any) -> list[str]:
        return await coming(tx, room.id)

    assert await club.of("Red", room_id, guests) == []


async def test_hosts_invite_who_follows_them_and_each_is_told_once(club: Club) -> None:
    room_id = await club.plan("Red", visibility="invited", scheduled_at=TOMORROW)
    blue = club.people["Blue"].id
    assert await refused(club.of("Red", room_id, invite, blue, NOW)) == "no_such_member"
    await club.follow("Blue", "Red")
    await club.follow("Blue", "Green")
    assert await refused(club.of("Green", room_id, invite, blue, NOW)) == "not_host"
    assert await refused(club.of("Blue", room_id, will_come, NOW)) == "invited_only"
    await club.of("Red", room_id, invite, blue, NOW)
    await club.of("Red", room_id, invite, blue, NOW)
    assert await club.told("Blue") == [("invited", room_id)]
    await club.of("Blue", room_id, will_come, NOW)


async def test_an_invitation_lets_in_again_who_was_removed(club: Club) -> None:
    await club.follow("Blue", "Red")
    room_id = await club.founder.room(
        club.people["Red"], "Bees", seats={club.people["Blue"].id: "removed"}
    )
    assert await refused(club.of("Blue", room_id, may_enter, NOW)) == "removed"
    await club.of("Red", room_id, invite, club.people["Blue"].id, NOW)
    await club.of("Blue", room_id, may_enter, NOW)


async def test_followers_of_any_host_may_enter_a_room_for_followers(club: Club) -> None:
    await club.follow("Blue", "Red")
    await club.follow("Green", "Blue")
    room_id = await club.plan("Red", visibility="followers", hosts=club.ids("Blue"))
    await club.of("Green", room_id, may_enter, NOW)
    assert await refused(club.of("White", room_id, may_enter, NOW)) == "followers_only"


@pytest.mark.parametrize(("one", "other"), [("Green", "Red"), ("Red", "Green")])
async def test_a_block_hides_the_room_from_the_other_side_either_way(
    club: Club, one: str, other: str
) -> None:
    room_id = await club.plan("Red")
    later = await club.plan("Red", scheduled_at=TOMORROW)
    await club.block(one, other)
    assert await refused(club.of("Green", room_id, may_enter, NOW)) == "no_such_room"
    assert await refused(club.of("Green", room_id, may_see)) == "no_such_room"
    assert await refused(club.of("Green", later, will_come, NOW)) == "no_such_room"
    await club.of("Red", room_id, may_enter, NOW)
    await club.of("Blue", room_id, may_enter, NOW)


async def test_who_waits_or_was_removed_from_the_club_enters_nothing(club: Club) -> None:
    room_id = await club.plan("Red")
    await club.join("Grey", standing="waiting")
    async with club.store.begin() as tx:
        (await club.member(tx, "White")).standing = "removed"
        (await club.member(tx, "Green")).deleted_at = NOW
    for name in ("Grey", "White", "Green"):
        assert await refused(club.of(name, room_id, may_enter, NOW)) == "not_member"


async def test_who_is_inside_a_locked_room_may_come_back(club: Club) -> None:
    room_id = await club.founder.room(club.people["Red"], "Bees", is_locked=True)
    assert await refused(club.of("Blue", room_id, may_enter, NOW)) == "locked"

    async def comes_back(tx: Any, room: Any, member: Any) -> None:
        await may_enter(tx, room, member, NOW, is_inside=True)

    await club.of("Blue", room_id, comes_back)
