"""What the hall and the list of planned rooms show to whom."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from deploy.club.hall import listing
from deploy.club.hall.attending import will_come
from deploy.club.hall.listing import Crowd, RoomCard
from deploy.club.hall.reminders import MISSED_AFTER
from deploy.club.people.interests import INTERESTS
from deploy.club.store import Member, Room
from tests.club.hall.club import NOW, TOMORROW, Club

SLUGS = sorted(INTERESTS)


async def hall(club: Club, name: str, **crowds: Crowd) -> list[RoomCard]:
    async with club.store.begin() as tx:
        me = await club.member(tx, name)
        return await listing.hall(tx, me, lambda room_id: crowds.get(room_id, Crowd()), NOW)


async def upcoming(club: Club, name: str) -> list[RoomCard]:
    async with club.store.begin() as tx:
        return await listing.upcoming(tx, await club.member(tx, name), NOW)


def ids(cards: list[RoomCard]) -> list[str]:
    return [card.room.id for card in cards]


async def test_the_hall_shows_what_one_may_enter(club: Club) -> None:
    await club.follow("Green", "Red")
    everyone = await club.plan("Red")
    followers = await club.plan("Red", visibility="followers")
    invited = await club.plan("Red", visibility="invited", invited=club.ids("Green"))
    await club.founder.room(club.people["Blue"], "Locked", is_locked=True)
    await club.founder.room(club.people["Blue"], "Over", state="ended")
    await club.plan("Blue", scheduled_at=TOMORROW)
    assert set(ids(await hall(club, "White"))) == {everyone}
    assert set(ids(await hall(club, "Green"))) == {everyone, followers, invited}
    await club.block("White", "Red")
    assert ids(await hall(club, "White")) == []


async def test_the_hall_is_ranked_by_people_then_interests_then_life(club: Club) -> None:
    await club.join("Me", interests=[SLUGS[0]])
    await club.follow("Me", "Red")
    lively = await club.plan("White")
    alike = await club.plan("Blue", interests=frozenset({SLUGS[0], SLUGS[1]}))
    friend = await club.plan("Red")
    quiet = await club.plan("Green")
    one = Crowd(speakers=1)
    crowds = {lively: Crowd(1, 3), alike: one, friend: one, quiet: one}
    assert ids(await hall(club, "Me", **crowds)) == [friend, alike, lively, quiet]


async def test_a_friend_on_stage_counts(club: Club) -> None:
    await club.follow("Green", "Blue")
    plain = await club.founder.room(club.people["White"], "Plain")
    staged = await club.founder.room(
        club.people["Red"], "With Blue", seats={club.people["Blue"].id: "speaker"}
    )
    one = Crowd(speakers=1, listeners=2)
    assert ids(await hall(club, "Green", **{plain: one, staged: one})) == [staged, plain]


async def test_a_card_has_what_is_known_of_the_room(club: Club) -> None:
    await club.follow("Blue", "Red")
    await club.follow("Green", "Red")
    room_id = await club.plan(
        "Red",
        hosts=club.ids("Blue"),
        invited=club.ids("Green"),
        interests=frozenset(SLUGS[:2]),
    )
    crowd = Crowd(2, 7, ("Red", "Blue"))
    (card,) = await hall(club, "Green", **{room_id: crowd})
    assert [host.name for host in card.hosts] == ["Red", "Blue"]
    assert card.interests == tuple(SLUGS[:2])
    assert card.crowd == crowd
    assert (card.is_invited, card.is_host) == (True, False)


async def test_what_is_planned_comes_in_the_order_of_time(club: Club) -> None:
    later = await club.plan("Red", scheduled_at=TOMORROW + timedelta(hours=1))
    sooner = await club.plan("Blue", scheduled_at=TOMORROW)
    await club.founder.room(
        club.people["Red"], "Missed", state="scheduled", scheduled_at=NOW - MISSED_AFTER
    )
    waiting = await club.founder.room(
        club.people["Red"], "Late", state="scheduled", scheduled_at=NOW - timedelta(minutes=5)
    )
    await club.plan("White", visibility="followers", scheduled_at=TOMORROW)
    await club.plan("Red")
    await club.of("Green", sooner, will_come, NOW)
    cards = await upcoming(club, "Green")
    assert ids(cards) == [waiting, sooner, later]
    assert [(card.coming, card.is_coming) for card in cards] == [(0, False), (2, True), (1, False)]
    assert [card.is_host for card in await upcoming(club, "Red")] == [True, False, True]


async def test_a_room_of_nobody_any_more_is_still_shown(club: Club) -> None:
    room_id = await club.plan("Red")
    async with club.store.begin() as tx:
        (await club.member(tx, "Red")).deleted_at = NOW
    (card,) = await hall(club, "Green")
    assert (card.room.id, card.hosts) == (room_id, ())


async def test_guests_are_named_in_their_order_but_not_to_whom_they_do_not_meet(club: Club) -> None:
    room_id = await club.plan("Red", scheduled_at=TOMORROW)
    for minute, name in enumerate(("Green", "Blue")):
        await club.of(name, room_id, will_come, NOW + timedelta(minutes=minute + 1))
    await club.block("Green", "White")

    async def guests(tx: Any, room: Room, member: Member) -> list[str]:
        return [each.name for each in await listing.guests(tx, room, member, 10)]

    assert await club.of("Red", room_id, guests) == ["Red", "Green", "Blue"]
    assert await club.of("White", room_id, guests) == ["Red", "Blue"]
