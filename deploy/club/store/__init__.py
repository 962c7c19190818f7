"""What the club remembers: tables, transactions, migrations and the bus between its processes.

    store = await Store.open(settings)
    async with store.begin() as tx:
        member = await tx.get(Member, member_id)
        store.bus.publish_after(tx, "notice", {"member": member_id})

PostgreSQL serves several processes of the club; SQLite is the embedded default for one.
"""

from __future__ import annotations

from deploy.club.store.base import Base, UtcTime
from deploy.club.store.bus import RESUMED, Bus, Listening, publish_after
from deploy.club.store.door import AllowedNumber, Invitation, LoginCode, Session
from deploy.club.store.members import Member, MemberInterest, MemberStanding, Notice, Picture
from deploy.club.store.people import Block, Follow, ModerationEntry, Report
from deploy.club.store.rooms import (
    Attendance,
    Room,
    RoomInterest,
    RoomSeat,
    RoomState,
    Seat,
    Talk,
    Visibility,
)
from deploy.club.store.store import Store

__all__ = [
    "RESUMED",
    "AllowedNumber",
    "Attendance",
    "Base",
    "Block",
    "Bus",
    "Follow",
    "Invitation",
    "Listening",
    "LoginCode",
    "Member",
    "MemberInterest",
    "MemberStanding",
    "ModerationEntry",
    "Notice",
    "Picture",
    "Report",
    "Room",
    "RoomInterest",
    "RoomSeat",
    "RoomState",
    "Seat",
    "Session",
    "Store",
    "Talk",
    "UtcTime",
    "Visibility",
    "publish_after",
]
