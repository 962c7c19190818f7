"""All that the club knows of one member, as they may have it: one JSON object.

Rows are written as they are stored, table by table; times in UTC as ISO 8601, pictures in base64.
Left out are secrets that would open a door, and what others did without meaning to be seen: who
blocked the member, and who reported them in which words.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from deploy.club.store import (
    AllowedNumber,
    Attendance,
    Base,
    Block,
    Follow,
    Invitation,
    LoginCode,
    Member,
    MemberInterest,
    ModerationEntry,
    Notice,
    Picture,
    Report,
    Room,
    RoomSeat,
    Session,
    Talk,
)

# Of the file, so that a program that reads it can tell what it reads.
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Section:
    """Rows of `table` in which one of `by` is the member: its id, or what `by_phone` says.

    `hidden` are columns that are left out.
    """

    title: str
    table: type[Base]
    by: tuple[InstrumentedAttribute[Any], ...]
    hidden: frozenset[str] = frozenset()
    by_phone: bool = False


SECTIONS: tuple[Section, ...] = (
    Section("profile", Member, (Member.id,)),
    Section("interests", MemberInterest, (MemberInterest.member_id,)),
    Section("pictures", Picture, (Picture.member_id,)),
    Section("notices", Notice, (Notice.member_id,)),
    Section("invitations_made", Invitation, (Invitation.inviter_id,)),
    # The code and the label are the inviter's.
    Section("invitation_used", Invitation, (Invitation.used_by,), frozenset({"code", "label"})),
    Section("numbers_added", AllowedNumber, (AllowedNumber.added_by,)),
    Section("number_listed", AllowedNumber, (AllowedNumber.phone_hash,), by_phone=True),
    Section("follows", Follow, (Follow.follower_id, Follow.followed_id)),
    Section("blocks", Block, (Block.blocker_id,)),
    Section("reports_made", Report, (Report.reporter_id,), frozenset({"resolved_by"})),
    Section(
        "reports_about_me",
        Report,
        (Report.reported_id,),
        frozenset({"reporter_id", "text", "resolved_by"}),
    ),
    Section("reports_resolved", Report, (Report.resolved_by,), frozenset({"reporter_id", "text"})),
    Section("moderation_by_me", ModerationEntry, (ModerationEntry.actor_id,)),
    Section(
        "moderation_about_me",
        ModerationEntry,
        (ModerationEntry.subject_id,),
        frozenset({"actor_id"}),
    ),
    Section("rooms", Room, (Room.created_by,)),
    Section("room_seats", RoomSeat, (RoomSeat.member_id,)),
    Section("attendances", Attendance, (Attendance.member_id,)),
    Section("talks", Talk, (Talk.member_id,)),
    Section("sessions", Session, (Session.member_id,), frozenset({"id", "csrf"})),
    Section("codes", LoginCode, (LoginCode.phone_hash,), frozenset({"code_hash"}), by_phone=True),
)


async def export(tx: AsyncSession, member: Member, now: datetime) -> dict[str, Any]:
    """What the club knows of `member`, ready for JSON."""
    whole: dict[str, Any] = {
        "format": FORMAT,
        "made_at": now.isoformat(),
        "member": member.id,
        "note": "Your number itself is not stored: phone_hash is made of it with a secret.",
    }
    for section in SECTIONS:
        key = member.phone_hash if section.by_phone else member.id
        whole[section.title] = [] if key is None else await _rows(tx, section, key)
    return whole


async def _rows(tx: AsyncSession, section: Section, key: str) -> list[dict[str, Any]]:
    columns = section.table.__mapper__.columns
    shown = [column for column in columns if column.name not in section.hidden]
    found = await tx.execute(
        select(*shown)
        .where(or_(*(column == key for column in section.by)))
        .order_by(*section.table.__mapper__.primary_key)
    )
    return [_plain(row._mapping) for row in found]


def _plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(name): _value(value) for name, value in row.items()}


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value
