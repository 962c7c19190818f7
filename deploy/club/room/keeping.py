"""What must become true by itself, whatever was killed when: looked at every few seconds.

- What was spoken is written to the database.
- Who lost the line and does not come back has left.
- A room that nobody is in any more is over; one that nobody is in charge of any more gets the one
  for a moderator who has been on stage longest.
- The daemon's rooms agree with what the database says of them: a room that is over is closed, and
  who was removed from the room or from the club is not in it, its locks and everybody's seat are
  shown as they are. That is where a process was killed between writing something down and telling
  the daemon. `participant.remove` with the generation
  that was seen, and not `room.sync`: a list of who may stay would send away who joins meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Final, ParamSpec

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from control import Client
from control.errors import ConnectionLost, ControlError, ErrorCode
from deploy.club.hall.opening import end_room
from deploy.club.refusal import Refused
from deploy.club.room import seats, talk_log
from deploy.club.room.acting import ENDED, Acting
from deploy.club.room.agreement import Agreement
from deploy.club.room.following import Following
from deploy.club.room.succession import successor
from deploy.club.room.talk_log import TalkClock
from deploy.club.store import Member, Room, RoomSeat, Store

log = structlog.get_logger("club")

P = ParamSpec("P")

KEEP_S: Final = 5.0
# The daemon gives up a silent line after 30 s; then a page has this long to come back.
ABSENT: Final = timedelta(seconds=90)
# A room that the daemon has closed because it was empty, or lost, waits so long for somebody.
EMPTY: Final = timedelta(seconds=120)
# A room without anybody in charge waits so long for them to come back.
LEADERLESS: Final = timedelta(seconds=60)
# Databases bound the parameters of a query.
ASKED_AT_ONCE: Final = 500
# The last writing must not hold up the end of the process.
LAST_S: Final = 2.0


class Keeping:
    """One process's share; several do the same work at once and nothing is done twice."""

    def __init__(
        self,
        store: Store,
        control: Client,
        following: Following,
        acting: Acting,
        talk: TalkClock,
    ) -> None:
        self._store = store
        self._control = control
        self._following = following
        self._acting = acting
        self.talk = talk
        self._agreement = Agreement()
        self._returned: set[tuple[str, str]] = set()
        self._absent: dict[tuple[str, str], datetime] = {}
        self._missing: dict[str, datetime] = {}
        self._leaderless: dict[str, datetime] = {}
        # A part that was heard later must not reach the database first.
        self._writing = asyncio.Lock()

    async def run(self, clock: Callable[[], datetime]) -> None:
        """For ever; cancel to stop, which writes down what was spoken last."""
        try:
            while True:
                await asyncio.sleep(KEEP_S)
                await self.once(clock())
        finally:
            try:
                async with asyncio.timeout(LAST_S):
                    await self._attempt(self.write_talk)
            except TimeoutError:
                log.warning("talk.not_written", rooms=len(self.talk.rooms()))

    async def once(self, now: datetime) -> None:
        """Do all of it. What cannot be done because something is away is done the next time."""
        await self._attempt(self.write_talk)
        if self._following.is_in_step and self._control.is_connected:
            await self._attempt(self.note_absent, now)
            await self._attempt(self.end_empty, now)
            await self._attempt(self.find_successors, now)
            await self._attempt(self.reconcile)
        else:
            # Nobody can come back now, so the time does not count.
            for waiting in (self._absent, self._missing, self._leaderless):
                waiting.clear()
            self._returned.clear()

    async def write_talk(self) -> None:
        """Write down what was spoken until the last that was heard."""
        async with self._writing:
            for room_id in self.talk.rooms():
                until_ms, spells = self.talk.at_ms, self.talk.due(room_id)
                try:
                    async with self._store.begin() as tx:
                        await talk_log.write(tx, room_id, spells, until_ms)
                except BaseException:
                    self.talk.give_back(room_id, spells)
                    raise

    async def note_absent(self, now: datetime) -> None:
        """Who is in a room by the database and not by the daemon, and stays away, has left."""
        async with self._store.begin() as tx:
            live = await _live_ids(tx)
            inside = await seats.inside(tx, live)
        await self._note_returned(live, inside)
        away = {(room, member) for room, member in inside if not self._is_present(room, member)}
        self._absent = {one: self._absent.get(one, now) for one in away}
        for (room_id, member_id), since in self._absent.items():
            if now - since >= ABSENT:
                async with self._store.begin() as tx:
                    await seats.went(tx, room_id, [member_id], since)

    async def _note_returned(self, live: list[str], inside: set[tuple[str, str]]) -> None:
        """Who is there by the daemon, and has left by the database, at two looks, has not left: a
        goodbye that was late crossed their coming back.
        """
        there: set[tuple[str, str]] = set()
        for room_id in live:
            scene = self._following.rooms.get(room_id)
            there.update((room_id, one) for one in (scene.view.participants if scene else ()))
        before, self._returned = self._returned, there - inside
        returned = before & self._returned
        if returned:
            async with self._store.begin() as tx:
                for room_id in {room_id for room_id, _ in returned}:
                    ids = [member_id for room, member_id in returned if room == room_id]
                    for some in batched(ids, ASKED_AT_ONCE):
                        await seats.came_back(tx, room_id, some)

    async def end_empty(self, now: datetime) -> None:
        """A live room that the daemon does not have, and that nobody makes anew, is over."""
        async with self._store.begin() as tx:
            live = await _live_ids(tx)
        missing = [one for one in live if one not in self._following.rooms]
        self._missing = {one: self._missing.get(one, now) for one in missing}
        for room_id, since in self._missing.items():
            if now - since >= EMPTY:
                async with self._store.begin() as tx:
                    room = await tx.get(Room, room_id, with_for_update=True)
                    if room is not None:
                        await end_room(tx, room, now)
                log.info("room.ended", room=room_id, reason="empty")

    async def find_successors(self, now: datetime) -> None:
        """Put somebody in charge of rooms where nobody has been for a while."""
        without = [room for room, scene in self._following.rooms.items() if not scene.is_led]
        self._leaderless = {one: self._leaderless.get(one, now) for one in without}
        for room_id, since in self._leaderless.items():
            scene = self._following.rooms.get(room_id)
            if scene is None or now - since < LEADERLESS:
                continue
            people = scene.view.participants
            async with self._store.begin() as tx:
                room = await tx.get(Room, room_id)
                held = await seats.seats_of(tx, room_id)
                on_stage = [one.participant for one in people.values() if one.role.is_on_stage]
                members = await tx.scalars(select(Member.id).where(Member.id.in_(on_stage)))
                found = successor(people.values(), held, set(members))
            if room is not None and room.state == "live" and found is not None:
                await self._tell(self._acting.succeed(room_id, found, now))
                log.info("room.succession", room=room_id)

    async def reconcile(self) -> None:
        """Tell the daemon what it should have been told."""
        known = list(self._following.rooms)
        async with self._store.begin() as tx:
            over = await _over(tx, known)
            removed = await _removed(tx, known) | await self._expelled(tx)
            differences = await self._agreement.look(tx, dict(self._following.rooms))
        for room_id in over:
            await self._tell(self._control.room_close(room=room_id, reason=ENDED))
        for room_id, member_id in removed:
            scene = self._following.rooms.get(room_id)
            state = scene.view.participants.get(member_id) if scene else None
            if state is not None:
                await self._tell(
                    self._control.participant_remove(
                        room=room_id, participant=member_id, if_generation=state.generation
                    )
                )
        for difference in differences:
            await self._tell(difference.tell(self._control))

    def _is_present(self, room_id: str, member_id: str) -> bool:
        scene = self._following.rooms.get(room_id)
        return scene is not None and member_id in scene.view.participants

    async def _expelled(self, tx: AsyncSession) -> set[tuple[str, str]]:
        """Participants who are no members any more."""
        rooms_of: dict[str, list[str]] = {}
        for room_id, scene in self._following.rooms.items():
            for member_id in scene.view.participants:
                rooms_of.setdefault(member_id, []).append(room_id)
        gone: list[str] = []
        for ids in batched(rooms_of, ASKED_AT_ONCE):
            gone += await tx.scalars(
                select(Member.id).where(Member.id.in_(ids), Member.standing != "member")
            )
        return {(room_id, member_id) for member_id in gone for room_id in rooms_of[member_id]}

    async def _tell(self, call: Awaitable[object]) -> None:
        try:
            await call
        except ControlError as error:
            if error.code not in (ErrorCode.NOT_FOUND, ErrorCode.CONFLICT):
                raise

    async def _attempt(
        self, chore: Callable[P, Awaitable[None]], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        try:
            await chore(*args, **kwargs)
        except (Refused, ControlError, ConnectionLost) as error:
            log.info("keeping.postponed", chore=_name(chore), reason=str(error))
        except Exception:
            log.exception("keeping.failed", chore=_name(chore))


def _name(chore: Callable[..., object]) -> str:
    return getattr(chore, "__name__", "chore")


async def _live_ids(tx: AsyncSession) -> list[str]:
    return list(await tx.scalars(select(Room.id).where(Room.state == "live")))


async def _over(tx: AsyncSession, room_ids: list[str]) -> list[str]:
    rows = await tx.scalars(
        select(Room.id).where(Room.id.in_(room_ids), Room.state.in_(("ended", "cancelled")))
    )
    return list(rows)


async def _removed(tx: AsyncSession, room_ids: list[str]) -> set[tuple[str, str]]:
    rows = await tx.execute(
        select(RoomSeat.room_id, RoomSeat.member_id).where(
            RoomSeat.room_id.in_(room_ids), RoomSeat.seat == "removed"
        )
    )
    return {(room_id, member_id) for room_id, member_id in rows}


def batched(ids: Iterable[str], size: int) -> Iterator[list[str]]:
    """`ids` in lists of at most `size`."""
    rest = iter(ids)
    while batch := list(islice(rest, size)):
        yield batch
