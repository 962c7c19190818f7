"""Members of the club and what belongs to one member alone."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from deploy.club.store.base import HASH_LENGTH, Base, one_of, text_id

MemberStanding = Literal["waiting", "member", "removed"]


class Member(Base):
    """Someone who signed up: on the waiting list, a member, or removed from the club.

    Who deletes their account stays as a row without name, number, bio and picture (`deleted_at` is
    set, `phone_hash` is null), so that the chain of invitations does not break.
    """

    __tablename__ = "members"
    __table_args__ = (
        # The waiting list in its order.
        Index("ix_members_standing_waiting_since", "standing", "waiting_since"),
    )

    id: Mapped[str] = mapped_column(text_id(), primary_key=True)
    phone_hash: Mapped[str | None] = mapped_column(String(HASH_LENGTH), unique=True)
    name: Mapped[str] = mapped_column(String(80))
    bio: Mapped[str] = mapped_column(String(1000), default="")
    # No foreign key: pictures point to members already, and SQLite cannot add a circle afterwards.
    picture_id: Mapped[str | None] = mapped_column(text_id())
    language: Mapped[str] = mapped_column(String(8), default="en")
    standing: Mapped[MemberStanding] = mapped_column(
        one_of("standing", "waiting", "member", "removed")
    )
    is_host: Mapped[bool] = mapped_column(default=False)
    invited_by: Mapped[str | None] = mapped_column(ForeignKey("members.id"), index=True)
    invitations_left: Mapped[int] = mapped_column(default=0)
    waiting_since: Mapped[datetime | None]
    admitted_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


class MemberInterest(Base):
    """One interest of one member, chosen at sign-up or later."""

    __tablename__ = "member_interests"

    member_id: Mapped[str] = mapped_column(
        ForeignKey("members.id", ondelete="CASCADE"), primary_key=True
    )
    slug: Mapped[str] = mapped_column(String(40), primary_key=True, index=True)


class Picture(Base):
    """A member's picture, as it is sent: re-encoded, small, without metadata."""

    __tablename__ = "pictures"

    id: Mapped[str] = mapped_column(text_id(), primary_key=True)
    member_id: Mapped[str] = mapped_column(ForeignKey("members.id", ondelete="CASCADE"), index=True)
    jpeg: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]


class Notice(Base):
    """Something a member is told: who followed, a ping into a room, a reminder."""

    __tablename__ = "notices"
    __table_args__ = (
        Index("ix_notices_member_id_created_at", "member_id", "created_at"),
        Index("ix_notices_member_id_read_at", "member_id", "read_at"),
    )

    id: Mapped[str] = mapped_column(text_id(), primary_key=True)
    member_id: Mapped[str] = mapped_column(ForeignKey("members.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(40))
    payload: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    read_at: Mapped[datetime | None]
