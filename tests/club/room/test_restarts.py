"""The daemon and the club come and go; nobody loses a seat, and nobody is told wrong things."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import NoReturn

import pytest

from control import Client
from control.commands import ParticipantRemove, RoomClose, RoomCreate
from control.types import LeaveReason, Role
from deploy.club.refusal import Refused
from deploy.club.room import live as live_rooms
from deploy.club.room import seats, talk_log
from deploy.club.room.keeping import ABSENT, EMPTY, KEEP_S, LEADERLESS
from deploy.club.room.live import LiveRooms
from deploy.club.settings import Settings
from deploy.club.store import Member, Room, Store, Talk
from tests.club.fake_daemon import FakeDaemon, fake_daemon, someone
from tests.club.room.house import House, Visit, open_house, until
from tests.club.web.site import Clock, serving


async def test_a_daemon_that_comes_back_empty_has_its_rooms_made_anew(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    """Pages see it go, requests fail at once; then everybody is asked to join, with their seats and
    the room's locks.
    """
    async with contextlib.AsyncExitStack() as stack:
        address = f"unix:{tmp_path}/control"
        async with fake_daemon(at=address) as first:
            house = await stack.enter_async_context(open_house(store, settings, first))
            who = await house.site.signed_in("Red")
            host = await house.visit(who, await house.room(who))
            guest = await house.visit("Blue", host.room)
            await guest.act("raise_hand")
            await host.act("call_up", guest)
            await host.act("lock")
            await host.act("lock_hands")
        await host.told("daemon", up=False)
        assert (await guest.act("mute", status=503))["error"]["code"] == "unavailable"
        async with asyncio.timeout(2):
            await guest.leave()
        await has_left(house, guest)
        second = await stack.enter_async_context(fake_daemon(at=address, epoch="epoch-2"))
        assert (await host.told("rejoin"))["reason"] == "lost"
        await host.join()
        (made,) = [one for one in second.commands if isinstance(one, RoomCreate)]
        assert (made.hand_policy, made.metadata) == ("closed", {"locked": True})
        await host.told("you", role="moderator", present=True)
        assert (await host.told("locked"))["locked"]


async def test_a_club_that_starts_before_its_daemon_finds_it(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    address = f"unix:{tmp_path}/control"
    control = Client(address)
    live = LiveRooms(control, store, clock=Clock())
    async with serving(store, settings, live=live) as site:
        who = await site.signed_in("Red")
        async with store.begin() as tx:
            tx.add(Room(id="r-1", topic="A topic", created_by=who.id, state="live"))
        visit = Visit(who, "r-1")
        assert (await visit.join(status=503))["error"]["code"] == "unavailable"
        await visit.open()
        await visit.told("daemon", up=False)
        async with fake_daemon(at=address):
            await visit.told("daemon", up=True)
            assert (await visit.told("rejoin"))["reason"] == "lost"
            await visit.join()
            await visit.told("you", present=True)
    await control.close()


async def test_what_cannot_be_written_now_is_written_later(
    house: House, daemon: FakeDaemon, host: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.speak(host.room, host.id)
    daemon.now_ms += 7_000
    daemon.speak(host.room)
    await until(lambda: house.live.keeping.talk.at_ms == daemon.now_ms)
    with monkeypatch.context() as patch:
        patch.setattr(house.store, "begin", no_store)
        await house.keep()
    await house.keep()
    async with house.store.begin() as tx:
        ((talk, _),) = await talk_log.log_of(tx, host.room)
    assert talk.spoken_ms == 7_000


def no_store() -> NoReturn:
    """As while the database is away."""
    raise Refused("store_away", 503, "away")


async def test_a_fault_in_one_task_is_logged_and_ends_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live_rooms, "RESTART_S", 0.0)
    tries: list[int] = []

    async def work() -> None:
        tries.append(len(tries))
        if len(tries) < 3:
            raise ValueError("a fault")
        await asyncio.sleep(60)

    task = asyncio.create_task(live_rooms._insist(work))
    await until(lambda: len(tries) == 3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def has_left(house: House, guest: Visit) -> None:
    """Who left while the daemon was away has left."""
    async with house.store.begin() as tx:
        assert not await seats.is_inside(tx, guest.room, guest.id)


async def test_a_club_that_is_killed_finds_everybody_where_they_were(
    store: Store, settings: Settings, daemon: FakeDaemon
) -> None:
    """Nobody is asked to join again, and the daemon is told nothing."""
    async with open_house(store, settings, daemon) as house:
        who = await house.site.signed_in("Red")
        host = await house.visit(who, await house.room(who))
        guest = await house.visit("Blue", host.room)
        await guest.act("raise_hand")
        told = len(daemon.commands)
        members = [host.who.member, guest.who.member]
    daemon.speak(host.room, host.id)
    async with open_house(store, settings, daemon) as house:
        visits = []
        for member in members:
            visit = Visit(await house.site.browser_of(member), host.room)
            await visit.open()
            await visit.told("you", present=True)
            await visit.told("speakers", speakers=[{"id": host.id, "level": 21}])
            visits.append(visit)
        assert (await visits[0].told("room"))["hands"][0]["id"] == guest.id
        assert not any("rejoin" in visit.news for visit in visits)
        await house.keep()
        changing = [one for one in daemon.commands[told:] if one.mutates]
        assert changing == []
        await visits[0].act("call_up", visits[1])
        await visits[1].told("you", role="speaker")


async def test_two_processes_tell_the_same(
    store: Store, settings: Settings, daemon: FakeDaemon
) -> None:
    async with (
        open_house(store, settings, daemon) as one,
        open_house(store, settings, daemon) as other,
    ):
        who = await one.site.signed_in("Red")
        host = await one.visit(who, await one.room(who))
        guest = await other.visit("Blue", host.room)
        await guest.act("raise_hand")
        await host.act("call_up", guest)
        await guest.told("you", role="speaker")
        await host.act("make_moderator", guest)
        await guest.told("you", moderator=True)
        await guest.act("lock")
        await host.told("locked", locked=True)
        await until(lambda: one.live.counts(host.room) == other.live.counts(host.room))
        elsewhere = Visit(await other.site.browser_of(host.who.member), host.room)
        newer = (await elsewhere.join())["generation"]
        assert (await host.told("you", generation=newer))["present"], "another page took over"
        await host.act("end")
        await guest.told("ended")


async def test_what_was_written_down_and_not_told_is_told_later(
    house: House, daemon: FakeDaemon, host: Visit
) -> None:
    """As after a process was killed between the two."""
    guest = await house.visit("Blue", host.room)
    deleted = await house.visit("White", host.room)
    async with house.store.begin() as tx:
        await seats.give_seat(tx, host.room, guest.id, "removed")
        member = await tx.get(Member, deleted.id)
        assert member is not None
        member.standing = "removed"
    await house.keep()
    assert set(daemon.rooms[host.room]) == {host.id}
    await guest.told("left")
    async with house.store.begin() as tx:
        room = await tx.get(Room, host.room)
        assert room is not None
        room.state = "ended"
    await house.keep()
    assert daemon.count(RoomClose) == 1
    await host.told("ended")


async def test_who_comes_back_while_they_are_sent_away_stays(
    house: House, daemon: FakeDaemon, host: Visit
) -> None:
    """The removal names the generation that was seen."""
    guest = await house.visit("Blue", host.room)
    async with house.store.begin() as tx:
        await seats.give_seat(tx, host.room, guest.id, "removed")
    seen = daemon.rooms[host.room][guest.id].generation
    await house.keep()
    removal = [one for one in daemon.commands if isinstance(one, ParticipantRemove)][-1]
    assert removal.if_generation == seen


async def test_who_stays_away_has_left_and_who_comes_back_has_not(
    house: House, daemon: FakeDaemon, host: Visit
) -> None:
    guest = await house.visit("Blue", host.room)
    other = await house.visit("White", host.room)
    for visit in (guest, other):
        daemon.leave(host.room, visit.id, LeaveReason.CONSENT_EXPIRED)
        await visit.told("rejoin")
    await house.keep()
    lost_at = house.clock()
    await other.join()
    await other.told("you", present=True)
    await house.keep(ABSENT.total_seconds() - KEEP_S)
    assert await left_at(house, guest) is None
    await house.keep(KEEP_S)
    assert await left_at(house, guest) == lost_at
    assert await left_at(house, other) is None
    assert await left_at(house, host) is None


async def left_at(house: House, visit: Visit) -> object:
    """When the log says that they left."""
    async with house.store.begin() as tx:
        row = await tx.get(Talk, (visit.room, visit.id))
        assert row is not None
        return row.left_at


async def test_a_room_that_nobody_is_in_any_more_is_over(
    house: House, daemon: FakeDaemon, host: Visit
) -> None:
    other = await house.room(host.who)
    await house.keep()
    daemon.close(host.room, "empty")
    await host.told("rejoin", reason="empty")
    await house.keep(EMPTY.total_seconds())
    assert await state_of(house, other) == "ended"
    assert await state_of(house, host.room) == "live"
    await house.keep(EMPTY.total_seconds())
    assert await state_of(house, host.room) == "ended"


async def test_who_was_on_stage_longest_is_in_charge_when_nobody_is(
    house: House, daemon: FakeDaemon, host: Visit
) -> None:
    second, third = [await house.visit(name, host.room) for name in ("Blue", "White")]
    daemon.enter(host.room, someone(Role.MODERATOR))  # of another backend, and no member
    for visit in (third, second):
        await visit.act("raise_hand")
        await host.act("call_up", visit)
    await third.told("you", role="speaker")
    await host.leave()
    await second.told("room", audience_count=0)
    await house.keep()
    await house.keep(LEADERLESS.total_seconds() - 1)
    assert await house.seat(host.room, second.id) == "speaker"
    await house.keep(1)
    await second.told("you", role="moderator", moderator=True)
    assert await house.seat(host.room, third.id) == "speaker"
    await second.act("call_up", third, status=403)
    await host.join()
    await second.act("remove", host, status=403)


async def state_of(house: House, room_id: str) -> str:
    """Of a room in the database."""
    async with house.store.begin() as tx:
        room = await tx.get(Room, room_id)
        assert room is not None
        return room.state


async def test_a_join_that_the_daemon_refuses_leaves_no_trace(
    house: House, daemon: FakeDaemon, host: Visit
) -> None:
    guest = Visit(await house.site.signed_in("Blue"), host.room)
    daemon.refuses_joins = True
    assert (await guest.join(status=400))["error"]["code"] == "bad_offer"
    async with house.store.begin() as tx:
        assert await tx.get(Talk, (host.room, guest.id)) is None
    assert (await host.join(status=400))["error"]["code"] == "bad_offer"
    assert await left_at(house, host) is None
