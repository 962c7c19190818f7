"""What a page asks for, done: checked against the table, remembered, and said to the daemon.

Whether somebody is in the room is asked of the daemon at that moment, their seat of the database;
what this process has heard of the room so far decides nothing. What takes something away is written
down before the daemon is told, so that a process that is killed in between leaves nobody with more
than they should have (`reconciling` does the rest); what lets somebody onto the stage after it,
because the stage may be full.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from control import Client
from control.errors import ControlError, ErrorCode
from control.types import ParticipantState, Role
from deploy.club.hall.access import may_enter, may_see
from deploy.club.hall.friends import check_friends
from deploy.club.hall.opening import end_room
from deploy.club.people.moderation import record
from deploy.club.people.named import named
from deploy.club.people.notices import notify
from deploy.club.refusal import N_, Refused
from deploy.club.room import seats
from deploy.club.room.authority import Action, Rank, action_of, require
from deploy.club.room.refusals import not_inside
from deploy.club.room.scenes import metadata_of, rank_of, room_metadata
from deploy.club.store import Member, Seat, Store

# The seat keeps somebody out who was removed. The daemon's ban is for those who are just joining.
REMOVED_BAN_S = 30
# How the daemon tells other processes that somebody went by themselves, and that a room was ended.
LEFT = "left"
ENDED = "ended"
# Why somebody who is asked in may not come, where that is their business and the hosts' alone: a
# block, a removal. They are not asked then, and who asked is not told so.
BETWEEN_OTHERS = frozenset({"no_such_room", "removed"})


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that is done. `target` is the actor's own id for what one does to oneself."""

    room_id: str
    actor: Member
    action: Action
    target: str
    state: ParticipantState | None  # of the target, as the daemon knows it
    now: datetime


class Acting:
    """Over one store and one daemon; it holds no state."""

    def __init__(self, store: Store, control: Client) -> None:
        self._store = store
        self._control = control
        self._own: dict[Action, Callable[[Deed], Awaitable[object]]] = {
            Action.RAISE_HAND: self._raise_hand,
            Action.LOWER_HAND: self._lower_hand,
            Action.MUTE: self._mute,
            Action.UNMUTE: self._unmute,
            Action.LEAVE_STAGE: self._leave_stage,
            Action.ACCEPT: self._accept,
            Action.DECLINE: self._decline,
            Action.CALL_UP: self._return_to_stage,
            Action.LOCK: self._lock,
            Action.UNLOCK: self._lock,
            Action.LOCK_HANDS: self._lock_hands,
            Action.UNLOCK_HANDS: self._lock_hands,
            Action.END: self._end,
        }
        self._others: dict[Action, Callable[[Deed], Awaitable[object]]] = {
            Action.LOWER_HAND: self._lower_hand,
            Action.CALL_UP: self._call_up,
            Action.INVITE: self._invite,
            Action.MOVE_DOWN: self._move_down,
            Action.MUTE_OTHER: self._mute_other,
            Action.MAKE_MODERATOR: self._make_moderator,
            Action.UNMAKE_MODERATOR: self._unmake_moderator,
            Action.REMOVE: self._remove,
            Action.PING: self._ping,
        }

    async def act(
        self, room_id: str, actor: Member, action_text: str, target: str | None, now: datetime
    ) -> Action:
        """Do it. Refused where it is not the actor's to do or cannot be done; ControlError and
        ConnectionLost as the daemon's client raises them.
        """
        action = action_of(action_text)
        is_own = target is None or target == actor.id
        other = actor.id if is_own or target is None else target
        own_state = await self._state(room_id, actor.id)
        state = own_state if is_own else await self._state(room_id, other)
        async with self._store.begin() as tx:
            rank = _rank(await seats.seat_of(tx, room_id, actor.id), own_state)
            if rank is Rank.OUTSIDE and not actor.is_host:
                await may_see(tx, await seats.room_of(tx, room_id), actor)
            await seats.live_room(tx, room_id)
            if not is_own:
                other_rank = _rank(await seats.seat_of(tx, room_id, other), state)
        if is_own:
            require(rank, action, club_host=actor.is_host)
        else:
            if rank is not Rank.OUTSIDE or actor.is_host:
                _require_presence(action, other_rank)
            require(rank, action, other_rank, club_host=actor.is_host)
        deed = Deed(room_id, actor, action, other, state, now)
        await (self._own if is_own else self._others)[action](deed)
        return action

    async def leave(
        self, room_id: str, member: Member, generation: int | None, now: datetime
    ) -> None:
        """Go quietly. Whoever was a speaker comes back as a listener; nothing happens to who is
        not in the room, nor to who has come again since that `generation`. While the daemon is away
        it is not waited for.
        """
        if self._control.is_connected and not await self._hang_up(room_id, member, generation):
            return
        async with self._store.begin() as tx:
            await seats.give_up_seat(tx, room_id, member.id)
            await seats.went(tx, room_id, [member.id], now)

    async def _hang_up(self, room_id: str, member: Member, generation: int | None) -> bool:
        """Whether the member is not there any more."""
        try:
            await self._control.participant_remove(
                room=room_id, participant=member.id, reason=LEFT, if_generation=generation
            )
        except ControlError as error:
            if error.code is ErrorCode.CONFLICT:
                return False
            if error.code is not ErrorCode.NOT_FOUND:
                raise
        return True

    async def succeed(self, room_id: str, state: ParticipantState, now: datetime) -> None:
        """Somebody on stage becomes a moderator, because nobody is one."""
        async with self._store.begin() as tx:
            await seats.give_seat(tx, room_id, state.participant, "moderator")
            record(tx, None, "room.make_moderator", state.participant, now, room_id=room_id)
        await self._control.participant_update(
            room=room_id,
            participant=state.participant,
            metadata=metadata_of("moderator", state.metadata.get("picture")),
            if_generation=state.generation,
        )
        await self._control.participant_set_role(
            room=room_id, participant=state.participant, role=Role.MODERATOR
        )

    # What one does to oneself.

    async def _raise_hand(self, deed: Deed) -> None:
        await self._control.hand_raise(room=deed.room_id, participant=deed.target)

    async def _lower_hand(self, deed: Deed) -> None:
        await self._control.hand_lower(room=deed.room_id, participant=deed.target)

    async def _mute(self, deed: Deed) -> None:
        await self._control.track_mute(
            room=deed.room_id, participant=deed.target, actor=deed.actor.id
        )

    async def _unmute(self, deed: Deed) -> None:
        await self._control.track_unmute(
            room=deed.room_id, participant=deed.target, actor=deed.actor.id
        )

    async def _leave_stage(self, deed: Deed) -> None:
        async with self._store.begin() as tx:
            await seats.give_up_seat(tx, deed.room_id, deed.target)
        await self._set_role(deed, Role.LISTENER)

    async def _accept(self, deed: Deed) -> None:
        await self._control.stage_accept(room=deed.room_id, participant=deed.target)
        await self._seat_speaker(deed)

    async def _decline(self, deed: Deed) -> None:
        await self._control.stage_decline(room=deed.room_id, participant=deed.target)

    async def _return_to_stage(self, deed: Deed) -> None:
        await self._mute(deed)
        await self._set_role(deed, Role.MODERATOR)

    # What is done to others.

    async def _call_up(self, deed: Deed) -> None:
        """Whose hand went down meanwhile is asked instead."""
        if deed.state is None or deed.state.hand is None:
            await self._invite(deed)
            return
        await self._mute(deed)  # nobody is on air before they chose to be
        await self._set_role(deed, Role.SPEAKER)
        await self._seat_speaker(deed)

    async def _invite(self, deed: Deed) -> None:
        await self._control.stage_invite(
            room=deed.room_id, participant=deed.target, actor=deed.actor.id
        )

    async def _move_down(self, deed: Deed) -> None:
        await self._write_seat(deed, "invited")
        await self._set_role(deed, Role.LISTENER)
        await self._show_seat(deed, None)

    async def _mute_other(self, deed: Deed) -> None:
        await self._mute(deed)
        async with self._store.begin() as tx:
            await _record(tx, deed)

    async def _make_moderator(self, deed: Deed) -> None:
        await self._write_seat(deed, "moderator")
        await self._show_seat(deed, "moderator")
        await self._set_role(deed, Role.MODERATOR)

    async def _unmake_moderator(self, deed: Deed) -> None:
        """Who is on stage stays there."""
        is_on_stage = deed.state is not None and deed.state.role.is_on_stage
        await self._write_seat(deed, "speaker" if is_on_stage else "invited")
        await self._show_seat(deed, None)
        if is_on_stage:
            await self._set_role(deed, Role.SPEAKER)

    async def _remove(self, deed: Deed) -> None:
        async with self._store.begin() as tx:
            if await tx.get(Member, deed.target) is not None:
                await seats.give_seat(tx, deed.room_id, deed.target, "removed")
                await seats.went(tx, deed.room_id, [deed.target], deed.now)
                await _record(tx, deed)
        await self._control.participant_remove(
            room=deed.room_id,
            participant=deed.target,
            reason=deed.actor.name,
            ban_s=REMOVED_BAN_S,
        )

    async def _ping(self, deed: Deed) -> None:
        """Ask in a member who follows the actor. They must be able to come, or it is no kindness;
        a moderator's ping into a room for invited people is the invitation.
        """
        async with self._store.begin() as tx:
            target = await named(tx, deed.target)
            await check_friends(tx, deed.actor, [target.id])
            room = await seats.live_room(tx, deed.room_id)
            seat = await seats.seat_of(tx, room.id, deed.actor.id)
            has_none = await seats.seat_of(tx, room.id, target.id) is None
            if has_none and room.visibility != "open" and seat in ("host", "moderator"):
                await seats.give_seat(tx, room.id, target.id, "invited")
            try:
                await may_enter(tx, room, target, deed.now)
            except Refused as refusal:
                if refusal.code in BETWEEN_OTHERS:
                    return
                raise
            payload = {"member": deed.actor.id, "room": room.id}
            await notify(tx, target.id, "ping", payload, deed.now)

    # What is done to the room.

    async def _lock(self, deed: Deed) -> None:
        is_locked = deed.action is Action.LOCK
        async with self._store.begin() as tx:
            room = await seats.live_room(tx, deed.room_id)
            room.is_locked = is_locked
            await _record(tx, deed)
        await self._control.room_update(
            room=deed.room_id, metadata=room_metadata(is_locked=is_locked)
        )

    async def _lock_hands(self, deed: Deed) -> None:
        is_open = deed.action is Action.UNLOCK_HANDS
        async with self._store.begin() as tx:
            room = await seats.live_room(tx, deed.room_id)
            room.are_hands_open = is_open
            await _record(tx, deed)
        await self._control.room_update(
            room=deed.room_id, hand_policy="open" if is_open else "closed"
        )

    async def _end(self, deed: Deed) -> None:
        async with self._store.begin() as tx:
            room = await seats.live_room(tx, deed.room_id)
            await end_room(tx, room, deed.now)
            await _record(tx, deed)
        try:
            await self._control.room_close(room=deed.room_id, reason=ENDED)
        except ControlError as error:
            if error.code is not ErrorCode.NOT_FOUND:
                raise

    # Steps.

    async def _state(self, room_id: str, participant: str) -> ParticipantState | None:
        try:
            return await self._control.participant_get(room=room_id, participant=participant)
        except ControlError as error:
            if error.code is not ErrorCode.NOT_FOUND:
                raise
            return None

    async def _set_role(self, deed: Deed, role: Role) -> None:
        await self._control.participant_set_role(
            room=deed.room_id, participant=deed.target, role=role, actor=deed.actor.id
        )

    async def _show_seat(self, deed: Deed, seat: Seat | None) -> None:
        """All processes learn a seat from the participant's metadata."""
        picture = deed.state.metadata.get("picture") if deed.state else None
        await self._control.participant_update(
            room=deed.room_id, participant=deed.target, metadata=metadata_of(seat, picture)
        )

    async def _seat_speaker(self, deed: Deed) -> None:
        async with self._store.begin() as tx:
            if await tx.get(Member, deed.target) is not None:
                await seats.give_seat(tx, deed.room_id, deed.target, "speaker")

    async def _write_seat(self, deed: Deed, seat: Seat) -> None:
        """Remember a seat, and who gave it. A bot of the operator's is no member and has none."""
        async with self._store.begin() as tx:
            if await tx.get(Member, deed.target) is not None:
                await seats.give_seat(tx, deed.room_id, deed.target, seat)
                await _record(tx, deed)


def _rank(seat: Seat | None, state: ParticipantState | None) -> Rank:
    return rank_of(seat, state.role if state else None)


def _require_presence(action: Action, target: Rank) -> None:
    """Say that somebody has gone rather than that it is forbidden; and the other way round. Only to
    who is inside: others do not learn who is.
    """
    if target is Rank.OUTSIDE and action is not Action.PING:
        raise not_inside()
    if target is not Rank.OUTSIDE and action is Action.PING:
        raise Refused("inside", 403, N_("They are in the room already."))


async def _record(tx: AsyncSession, deed: Deed) -> None:
    """In the log of moderation; who is no member of the club has no name there."""
    is_named = deed.target != deed.actor.id and await tx.get(Member, deed.target) is not None
    subject = deed.target if is_named else None
    record(tx, deed.actor.id, f"room.{deed.action}", subject, deed.now, room_id=deed.room_id)
