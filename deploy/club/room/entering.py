"""Into a live room: the club's leave, then the daemon's answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from control import Client
from control.errors import ControlError, ErrorCode
from control.types import HandPolicy, Role
from deploy.club.hall.access import may_enter
from deploy.club.room import seats
from deploy.club.room.scenes import metadata_of, room_metadata
from deploy.club.store import Member, Room, Seat, Store

# The daemon closes a room that nobody has been in for so long; `keeping` then ends it.
EMPTY_TIMEOUT_S: Final = 60
# Rooms that are made twice at once, or go between two questions, are tried again.
TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class Joined:
    """What a page gets for its offer. `generation` tells this time in the room from others of the
    same member.
    """

    answer: str
    generation: int


def role_of(seat: Seat | None) -> Role:
    """With which role the holder of a seat comes in."""
    if seat in ("host", "moderator"):
        return Role.MODERATOR
    return Role.SPEAKER if seat == "speaker" else Role.LISTENER


class Entering:
    """Over one store and one daemon; it holds no state."""

    def __init__(self, store: Store, control: Client) -> None:
        self._store = store
        self._control = control

    async def join(self, room_id: str, member: Member, offer: str, now: datetime) -> Joined:
        """The answer to an offer. Refused as `may_enter`; ControlError and ConnectionLost as the
        daemon's client raises them, and nothing has changed then.
        """
        async with self._store.begin() as tx:
            room = await seats.room_of(tx, room_id)
            inside = await seats.is_inside(tx, room_id, member.id)
            await may_enter(tx, room, member, now, is_inside=inside)
            seat = await seats.seat_of(tx, room_id, member.id)
            await seats.came(tx, room_id, member.id, now)
        try:
            return await self._enter(room, member, seat, offer)
        except BaseException:
            if not inside:
                async with self._store.begin() as tx:
                    await seats.never_came(tx, room_id, member.id, now)
            raise

    async def _enter(self, room: Room, member: Member, seat: Seat | None, offer: str) -> Joined:
        """With the room made first, if the daemon has none of that name."""
        role = role_of(seat)
        for _ in range(TRIES):
            try:
                return await self._join(room, member, seat, role, offer)
            except ControlError as error:
                if error.code is ErrorCode.NOT_FOUND:
                    await self._make(room)
                elif _is_stage_full(error) and role.is_on_stage:
                    role = Role.LISTENER  # better heard of later than not let in
                else:
                    raise
        return await self._join(room, member, seat, role, offer)

    async def _join(
        self, room: Room, member: Member, seat: Seat | None, role: Role, offer: str
    ) -> Joined:
        # Muted: whoever is on stage opens the microphone by an own click.
        joined = await self._control.participant_join(
            room=room.id,
            participant=member.id,
            role=role,
            offer=offer,
            name=member.name,
            metadata=metadata_of(seat, member.picture_id),
            muted=True,
        )
        return Joined(joined.answer, joined.participant.generation)

    async def _make(self, room: Room) -> None:
        policy: HandPolicy = "open" if room.are_hands_open else "closed"
        await self._control.room_create(
            room=room.id,
            hand_policy=policy,
            empty_timeout_s=EMPTY_TIMEOUT_S,
            orphan_policy="keep",  # nobody stops hearing because the club restarts
            metadata=room_metadata(is_locked=room.is_locked),
        )


def _is_stage_full(error: ControlError) -> bool:
    return error.detail.get("limit") in ("max_speakers", "speakers")
