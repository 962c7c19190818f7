"""Live rooms over the club's own API: who comes, goes, comes back, or comes twice."""

from __future__ import annotations

import asyncio

from control.types import LeaveReason, Role
from deploy.club.room import seats
from deploy.club.store import Seat
from tests.club.fake_daemon import FakeDaemon, someone
from tests.club.room.house import House, Visit, until


async def test_who_leaves_the_stage_with_the_room_comes_back_as_a_listener(
    house: House, daemon: FakeDaemon, host: Visit
) -> None:
    guest = await house.visit("Blue", host.room)
    await guest.act("raise_hand")
    await host.act("call_up", guest)
    await guest.told("you", role="speaker")
    daemon.leave(host.room, guest.id, LeaveReason.CONSENT_EXPIRED)
    await guest.told("rejoin")
    await guest.join()
    await guest.told("you", role="speaker", muted=True)
    await guest.leave()
    assert (await guest.told("left"))["reason"] == "left"
    assert guest.id not in daemon.rooms[host.room]
    await guest.join()
    assert daemon.rooms[host.room][guest.id].role is Role.LISTENER


async def test_a_late_goodbye_ends_nobodys_next_visit(
    house: House, daemon: FakeDaemon, host: Visit
) -> None:
    """A page that is loaded anew may be in before the old one's goodbye arrives."""
    guest = Visit(await house.site.signed_in("Blue"), host.room)
    first = (await guest.join())["generation"]
    second = (await guest.join())["generation"]
    await guest.leave(first)
    assert daemon.rooms[host.room][guest.id].generation == second
    async with house.store.begin() as tx:
        assert await seats.is_inside(tx, host.room, guest.id)
    await guest.leave(second)
    assert guest.id not in daemon.rooms[host.room]
    async with house.store.begin() as tx:
        assert not await seats.is_inside(tx, host.room, guest.id)
    await guest.leave(second)
    await guest.join()
    async with house.store.begin() as tx:
        assert await seats.is_inside(tx, host.room, guest.id), "who comes again is there again"


async def test_a_page_that_is_closed_is_forgotten(house: House, host: Visit) -> None:
    guest = await house.visit("Blue", host.room)
    assert house.live.pages == 2
    await guest.close()
    await until(lambda: house.live.pages == 1)


async def test_who_joins_twice_at_once_is_in_the_room_once(house: House, host: Visit) -> None:
    guest = Visit(await house.site.signed_in("Blue"), host.room)
    await asyncio.gather(*(guest.join() for _ in range(4)))
    await host.told("room", audience_count=1)


async def test_a_seat_that_is_given_twice_at_once_is_given(house: House, host: Visit) -> None:
    blue = await house.site.signed_in("Blue")

    async def give(seat: Seat) -> None:
        async with house.store.begin() as tx:
            await seats.give_seat(tx, host.room, blue.id, seat)

    await asyncio.gather(*(give("speaker") for _ in range(4)))
    assert await house.seat(host.room, blue.id) == "speaker"


async def test_a_speaker_for_whom_there_is_no_place_comes_in_as_a_listener(
    house: House, daemon: FakeDaemon, host: Visit
) -> None:
    blue = await house.site.signed_in("Blue")
    room = await house.room(host.who, seats={blue.id: "speaker"})
    daemon.stage_is_full = True
    guest = await house.visit(blue, room)
    assert (await guest.told("you"))["role"] == "listener"
    moderator = Visit(host.who, room)
    await moderator.join()
    await guest.act("raise_hand")
    assert (await moderator.act("call_up", guest, status=409))["error"]["code"] == "stage_full"
    daemon.stage_is_full = False
    await moderator.act("call_up", guest)
    await guest.told("you", role="speaker")


async def test_who_speaks_is_told_and_shown_to_the_hall(
    house: House, daemon: FakeDaemon, host: Visit
) -> None:
    daemon.speak(host.room, host.id)
    await host.told("speakers", speakers=[{"id": host.id, "level": 21}])
    counts = house.live.counts(host.room)
    assert counts is not None and counts.speaking == (host.id,)


async def test_guests_of_other_backends_are_on_stage_too(
    house: House, daemon: FakeDaemon, host: Visit
) -> None:
    daemon.enter(host.room, someone(Role.SPEAKER))
    while len((await host.told("room"))["stage"]) < 2:
        host.news.clear()
    await host.act("mute_other", "guest")
    await host.act("move_down", "guest")
    assert daemon.rooms[host.room]["guest"].role is Role.LISTENER


async def test_a_socket_that_comes_back_is_told_everything(house: House, host: Visit) -> None:
    await host.close()
    host.news.clear()
    await host.open()
    await host.told("daemon", up=True)
    await host.told("you", present=True)
    await host.told("room")
    await host.told("locked", locked=False, hands_locked=False)
    await host.told("speakers", speakers=[])


async def test_a_page_that_opens_its_socket_without_being_in_the_room_is_asked_to_join(
    house: House, host: Visit
) -> None:
    guest = Visit(await house.site.signed_in("Blue"), host.room)
    await guest.open()
    assert (await guest.told("rejoin"))["reason"] == "lost"


async def test_a_second_page_takes_the_place_of_the_first(house: House, host: Visit) -> None:
    second = await house.visit(host.who, host.room)
    assert (await host.told("left"))["reason"] == "replaced"
    await host.told_nothing_more()
    await second.act("unmute")
    await second.told("you", muted=False)


async def test_another_network_is_no_new_session(house: House, host: Visit) -> None:
    assert await host.restart_ice() == {"answer": "restarted again"}
    stranger = Visit(await house.site.signed_in("White"), host.room)
    assert (await stranger.restart_ice(status=404))["error"]["code"] == "not_inside"
