"""Members, rooms and all that lies between them, put straight into a club's store for a test.

For what a test is not about: it begins with people who came in long ago.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from deploy.club.door import sessions
from deploy.club.door.phones import phone_hash
from deploy.club.settings import Settings
from deploy.club.store import (
    Block,
    Follow,
    Member,
    MemberInterest,
    MemberStanding,
    Room,
    RoomInterest,
    RoomSeat,
    RoomState,
    Seat,
    Store,
    Visibility,
)
from deploy.club.tokens import new_id


@dataclass(frozen=True, slots=True)
class Founded:
    """A person with a session: `cookie` is what their browser sends, `csrf` what their forms do."""

    id: str
    name: str
    phone: str
    cookie: str
    csrf: str


def phone_of(number: int) -> str:
    """A possible number, another one for each `number`."""
    return f"+491512{number:07}"


class Founder:
    """Writes into one club. `now` is when everything was made."""

    def __init__(self, store: Store, settings: Settings, now: datetime | None = None) -> None:
        self.store = store
        self.settings = settings
        self.now = now or datetime.now(UTC)
        self._number = 0
        self._shared: AsyncSession | None = None

    @asynccontextmanager
    async def at_once(self) -> AsyncIterator[AsyncSession]:
        """All that is made inside is one transaction, which is much quicker."""
        async with self.store.begin() as tx:
            self._shared = tx
            try:
                yield tx
            finally:
                self._shared = None

    async def person(
        self,
        name: str,
        *,
        standing: MemberStanding = "member",
        is_host: bool = False,
        invited_by: str | None = None,
        interests: Iterable[str] = (),
        bio: str = "",
        language: str = "en",
    ) -> Founded:
        """Somebody with a number of their own."""
        async with self._begin() as tx:
            return await self._person(
                tx,
                interests,
                Member(
                    id=new_id("m"),
                    name=name,
                    bio=bio,
                    language=language,
                    standing=standing,
                    is_host=is_host,
                    invited_by=invited_by,
                    invitations_left=self.settings.invitations_each,
                    waiting_since=self.now if standing == "waiting" else None,
                    admitted_at=self.now if standing == "member" else None,
                    created_at=self.now,
                ),
            )

    async def newcomer(self) -> Founded:
        """Somebody who proved a number and has given no name yet."""
        async with self._begin() as tx:
            phone = self._phone()
            return await self._session(tx, "", "", phone, phone_hash(self.settings, phone))

    async def people(self, count: int, name: str = "guest") -> list[Founded]:
        """So many members, in one transaction."""
        async with self._begin() as tx:
            return [
                await self._person(
                    tx,
                    (),
                    Member(
                        id=new_id("m"),
                        name=f"{name} {number}",
                        standing="member",
                        admitted_at=self.now,
                        created_at=self.now,
                    ),
                )
                for number in range(1, count + 1)
            ]

    async def room(
        self,
        host: Founded,
        topic: str,
        *,
        state: RoomState = "live",
        visibility: Visibility = "open",
        about: str = "",
        scheduled_at: datetime | None = None,
        seats: dict[str, Seat] | None = None,
        interests: Iterable[str] = (),
        is_locked: bool = False,
    ) -> str:
        """A room of one host; `seats` of others by their ids. Its id."""
        room = Room(
            id=new_id("r"),
            topic=topic,
            about=about,
            visibility=visibility,
            created_by=host.id,
            state=state,
            scheduled_at=scheduled_at,
            opened_at=self.now if state in ("live", "ended") else None,
            ended_at=self.now if state == "ended" else None,
            is_locked=is_locked,
        )
        async with self._begin() as tx:
            tx.add(room)
            await tx.flush()
            for member, seat in ({host.id: "host"} | (seats or {})).items():
                tx.add(RoomSeat(room_id=room.id, member_id=member, seat=seat))
            for slug in interests:
                tx.add(RoomInterest(room_id=room.id, slug=slug))
        return room.id

    async def block(self, blocker: Founded, blocked: Founded) -> None:
        """One does not want to meet the other."""
        async with self._begin() as tx:
            tx.add(Block(blocker_id=blocker.id, blocked_id=blocked.id, at=self.now))

    async def follow(self, follower: Founded, followed: Founded) -> None:
        """One wants to know of the other."""
        async with self._begin() as tx:
            tx.add(Follow(follower_id=follower.id, followed_id=followed.id, at=self.now))

    @asynccontextmanager
    async def _begin(self) -> AsyncIterator[AsyncSession]:
        if self._shared is not None:
            yield self._shared
            await self._shared.flush()
            return
        async with self.store.begin() as tx:
            yield tx

    def _phone(self) -> str:
        self._number += 1
        return phone_of(self._number)

    async def _person(self, tx: AsyncSession, interests: Iterable[str], member: Member) -> Founded:
        phone = self._phone()
        member.phone_hash = phone_hash(self.settings, phone)
        tx.add(member)
        await tx.flush()
        for slug in interests:
            tx.add(MemberInterest(member_id=member.id, slug=slug))
        return await self._session(tx, member.id, member.name, phone, member.phone_hash)

    async def _session(
        self, tx: AsyncSession, id: str, name: str, phone: str, hashed: str
    ) -> Founded:
        cookie = await sessions.begin(tx, hashed, self.now)
        session = await sessions.find(tx, cookie, self.now)
        assert session is not None
        return Founded(id, name, phone, cookie, session.csrf)
