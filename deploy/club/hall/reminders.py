"""What happens to planned rooms as time goes by: people are reminded, missed rooms are called off.

`run_due` is called every few seconds by every process of the club; whatever it does is done once.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta

from sqlalchemy import select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from deploy.club.hall.opening import call_off, coming
from deploy.club.people.notices import notify_all
from deploy.club.store import Attendance, Room

REMIND_BEFORE = timedelta(minutes=10)
# A host who is that late does not come any more.
MISSED_AFTER = timedelta(hours=2)
# In one transaction; the rest follows at the next call.
REMINDERS_MAX = 500
MISSED_MAX = 50


async def run_due(tx: AsyncSession, now: datetime) -> int:
    """Remind whose room begins within REMIND_BEFORE or should have begun, and call off rooms that
    nobody opened. Returns how many notices and rooms that were.
    """
    return await _remind(tx, now) + await _call_off_missed(tx, now)


async def _remind(tx: AsyncSession, now: datetime) -> int:
    due = (
        select(Attendance.room_id, Attendance.member_id)
        .join(Room, Room.id == Attendance.room_id)
        .where(
            Room.state == "scheduled",
            Room.scheduled_at <= now + REMIND_BEFORE,
            Room.scheduled_at > now - MISSED_AFTER,
            Attendance.reminded_at.is_(None),
        )
        .limit(REMINDERS_MAX)
    )
    key = tuple_(Attendance.room_id, Attendance.member_id)
    # One statement that marks and reads: of two processes only one gets a row.
    marked = await tx.execute(
        update(Attendance)
        .where(key.in_(due), Attendance.reminded_at.is_(None))
        .values(reminded_at=now)
        .returning(Attendance.room_id, Attendance.member_id)
        .execution_options(synchronize_session=False)
    )
    people: dict[str, set[str]] = defaultdict(set)
    for room_id, member_id in marked:
        people[room_id].add(member_id)
    for room_id, members in sorted(people.items()):
        told = [each for each in await coming(tx, room_id) if each in members]
        await notify_all(tx, told, "reminder", {"room": room_id}, now)
    return sum(map(len, people.values()))


async def _call_off_missed(tx: AsyncSession, now: datetime) -> int:
    missed = await tx.scalars(
        select(Room)
        .where(Room.state == "scheduled", Room.scheduled_at <= now - MISSED_AFTER)
        .order_by(Room.scheduled_at)
        .limit(MISSED_MAX)
        .with_for_update(skip_locked=True)
    )
    rooms = missed.all()
    for room in rooms:
        await call_off(tx, room, None, now)
    return len(rooms)
