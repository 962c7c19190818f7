"""What becomes true by itself, where it meets something else that happens."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from control.commands import ParticipantUpdate, RoomUpdate
from deploy.club.room import seats, talk_log
from deploy.club.room.keeping import ABSENT, EMPTY
from deploy.club.settings import Settings
from deploy.club.store import Room, Store, Talk
from tests.club.fake_daemon import FakeDaemon, fake_daemon
from tests.club.room.house import House, Visit, open_house, until


async def test_a_daemon_that_is_away_once_more_takes_nobodys_time_to_come_back(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    """Nobody can come back while it is away: that time does not count."""
    async with contextlib.AsyncExitStack() as stack:
        address = f"unix:{tmp_path}/control"
        async with fake_daemon(at=address) as first:
            house = await stack.enter_async_context(open_house(store, settings, first))
            who = await house.site.signed_in("Red")
            host = await house.visit(who, await house.room(who))
            await house.keep()
        await host.told("daemon", up=False)
        async with fake_daemon(at=address, epoch="epoch-2"):
            await host.told("rejoin")
            await house.keep()
        await until(lambda: not house.live.is_in_step)
        await house.keep(5)
        house.clock.advance(max(EMPTY, ABSENT).total_seconds())
        async with fake_daemon(at=address, epoch="epoch-3"):
            await until(lambda: house.live.is_in_step)
            await house.keep()
            async with house.store.begin() as tx:
                room = await tx.get(Room, host.room)
                talk = await tx.get(Talk, (host.room, host.id))
            assert room is not None and talk is not None
            assert (room.state, talk.left_at) == ("live", None)


async def test_nobody_is_still_there_when_the_room_is_over(house: House, host: Visit) -> None:
    guest = await house.visit("Blue", host.room)
    await guest.leave()
    left_at = house.clock()
    house.clock.advance(60)
    await host.act("end")
    await house.keep()
    async with house.store.begin() as tx:
        rows = await tx.execute(select(Talk.member_id, Talk.left_at))
        assert {one: at for one, at in rows} == {guest.id: left_at, host.id: house.clock()}


async def test_what_is_heard_while_it_is_written_is_counted_once(
    house: House, daemon: FakeDaemon, host: Visit, monkeypatch: Any
) -> None:
    """Also by another process, which believes the moment that was written."""
    other = await house.room(host.who)
    talk = house.live.keeping.talk
    start = daemon.now_ms
    talk.hear(host.room, [host.id], start)
    talk.hear(other, [host.id], start + 1_000)
    write = talk_log.write
    written: list[tuple[int, int]] = []

    async def slowly(tx: AsyncSession, room_id: str, spells: Any, until_ms: int) -> None:
        talk.hear(host.room, [host.id], talk.at_ms + 1_000)
        written.append((max(spell.end for spell in spells), until_ms))
        await write(tx, room_id, spells, until_ms)

    monkeypatch.setattr(talk_log, "write", slowly)
    await house.live.keeping.write_talk()
    assert len(written) == 2
    assert all(end <= until_ms for end, until_ms in written)


async def test_two_who_write_at_once_lose_nothing(
    house: House, daemon: FakeDaemon, host: Visit, monkeypatch: Any
) -> None:
    """As when a host reads the log while it is written: the earlier part may be the later one to
    reach the database.
    """
    talk, start = house.live.keeping.talk, daemon.now_ms
    begin, turns = house.store.begin, iter((0.1, 0.0, 0.0, 0.0))

    @contextlib.asynccontextmanager
    async def in_turns() -> AsyncIterator[AsyncSession]:
        await asyncio.sleep(next(turns))
        async with begin() as tx:
            yield tx

    monkeypatch.setattr(house.store, "begin", in_turns)
    talk.hear(host.room, [host.id], start)
    talk.hear(host.room, [host.id], start + 4_000)
    first = asyncio.create_task(house.live.keeping.write_talk())
    await asyncio.sleep(0)
    talk.hear(host.room, [], start + 9_000)
    await house.live.keeping.write_talk()
    await first
    monkeypatch.undo()
    async with house.store.begin() as tx:
        row = await tx.get(Talk, (host.room, host.id))
    assert row is not None and row.spoken_ms == 9_000


async def test_what_was_written_of_locks_and_seats_and_not_told_is_told_later(
    house: House, daemon: FakeDaemon, host: Visit
) -> None:
    """As after a process was killed between the two; what is only on its way is left alone."""
    guest, other = [await house.visit(name, host.room) for name in ("Blue", "White")]
    async with house.store.begin() as tx:
        room = await tx.get_one(Room, host.room)
        room.is_locked, room.are_hands_open = True, False
        await seats.give_seat(tx, room.id, guest.id, "moderator")
    await house.keep()
    assert not any(isinstance(one, RoomUpdate | ParticipantUpdate) for one in daemon.commands)
    await house.keep()
    await host.told("locked", locked=True, hands_locked=True)
    await guest.told("you", moderator=True, role="listener")
    await house.keep()
    assert (daemon.count(RoomUpdate), daemon.count(ParticipantUpdate)) == (1, 1)
    await other.told("you", moderator=False)


async def test_who_is_there_has_not_left_whatever_a_late_goodbye_wrote(
    house: House, daemon: FakeDaemon, host: Visit
) -> None:
    """A page that is loaded anew joins between the two steps of its own goodbye; into a locked room
    it could not come back.
    """
    guest = await house.visit("Blue", host.room)
    async with house.store.begin() as tx:
        await seats.went(tx, host.room, [guest.id], house.clock())
    await host.act("lock")
    await house.keep()
    await house.keep()
    await guest.join()
