"""A small club for the tests of the hall: people by colour, in the store, at one moment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from deploy.club.hall.access import no_such_room
from deploy.club.hall.opening import open_room, schedule_room
from deploy.club.hall.plans import Plan
from deploy.club.settings import Settings
from deploy.club.store import Member, Notice, Room, Store
from tests.club.founding import Founded, Founder

NOW = datetime(2030, 5, 1, 20, 0, tzinfo=UTC)
TOMORROW = NOW + timedelta(days=1)


class Club:
    """Members by name; each call is a transaction of its own."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store = store
        self.founder = Founder(store, settings, NOW)
        self.people: dict[str, Founded] = {}

    async def join(self, *names: str, **facts: Any) -> None:
        """Admit people of these names."""
        for name in names:
            self.people[name] = await self.founder.person(name, **facts)

    def ids(self, *names: str) -> frozenset[str]:
        """Of people by name."""
        return frozenset(self.people[name].id for name in names)

    async def follow(self, follower: str, *followed: str) -> None:
        """One follows others."""
        for name in followed:
            await self.founder.follow(self.people[follower], self.people[name])

    async def block(self, blocker: str, blocked: str) -> None:
        """One blocks another."""
        await self.founder.block(self.people[blocker], self.people[blocked])

    async def plan(self, host: str, **plan: Any) -> str:
        """A room by its plan, live or scheduled; its id."""
        made = Plan(**({"topic": "Bees"} | plan))
        make = open_room if made.scheduled_at is None else schedule_room
        async with self.store.begin() as tx:
            return (await make(tx, await self.member(tx, host), made, NOW)).id

    async def member(self, tx: AsyncSession, name: str) -> Member:
        """The row of somebody."""
        return await tx.get_one(Member, self.people[name].id)

    async def of(
        self, name: str, room_id: str, act: Callable[..., Awaitable[Any]], *more: Any
    ) -> Any:
        """Call `act(tx, room, member, *more)` as somebody."""
        async with self.store.begin() as tx:
            room = await tx.get(Room, room_id)
            if room is None:
                raise no_such_room()
            return await act(tx, room, await self.member(tx, name), *more)

    async def told(self, name: str) -> list[tuple[str, str | None]]:
        """The notices of somebody: kinds and rooms, in order."""
        async with self.store.begin() as tx:
            rows = await tx.scalars(
                select(Notice)
                .where(Notice.member_id == self.people[name].id)
                .order_by(Notice.created_at, Notice.kind)
            )
            return [(each.kind, each.payload.get("room")) for each in rows]

    async def room(self, room_id: str) -> Room:
        """The row of a room."""
        async with self.store.begin() as tx:
            return await tx.get_one(Room, room_id)


class CrowdedRooms:
    """Stands in for the live rooms: `crowds` says who is in which."""

    def __init__(self) -> None:
        self.crowds: dict[str, Any] = {}

    async def run(self) -> None:
        """Follow no daemon."""

    def counts(self, room_id: str) -> Any:
        """What a test put there."""
        return self.crowds.get(room_id)
