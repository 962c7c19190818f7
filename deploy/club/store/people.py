"""What members are to one another, and what the hosts of the club did about it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from deploy.club.store.base import Base, text_id


class Follow(Base):
    """`follower_id` sees the rooms of `followed_id` first, and may be asked into them."""

    __tablename__ = "follows"

    follower_id: Mapped[str] = mapped_column(
        ForeignKey("members.id", ondelete="CASCADE"), primary_key=True
    )
    followed_id: Mapped[str] = mapped_column(
        ForeignKey("members.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    at: Mapped[datetime]


class Block(Base):
    """`blocker_id` and `blocked_id` do not meet; it counts both ways."""

    __tablename__ = "blocks"

    blocker_id: Mapped[str] = mapped_column(
        ForeignKey("members.id", ondelete="CASCADE"), primary_key=True
    )
    blocked_id: Mapped[str] = mapped_column(
        ForeignKey("members.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    at: Mapped[datetime]


class Report(Base):
    """A complaint to the hosts of the club; `reporter_id` is null once its author has left."""

    __tablename__ = "reports"
    # The open ones, oldest first.
    __table_args__ = (Index("ix_reports_resolved_at_at", "resolved_at", "at"),)

    id: Mapped[str] = mapped_column(text_id(), primary_key=True)
    reporter_id: Mapped[str | None] = mapped_column(ForeignKey("members.id"), index=True)
    reported_id: Mapped[str] = mapped_column(ForeignKey("members.id"), index=True)
    room_id: Mapped[str | None] = mapped_column(ForeignKey("rooms.id"), index=True)
    reason: Mapped[str] = mapped_column(String(40))
    text: Mapped[str] = mapped_column(String(2000), default="")
    at: Mapped[datetime]
    resolved_by: Mapped[str | None] = mapped_column(ForeignKey("members.id"), index=True)
    resolved_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(String(40))


class ModerationEntry(Base):
    """One thing that somebody with power did, in a room or in the club. Rows are only added."""

    __tablename__ = "moderation_entries"

    id: Mapped[str] = mapped_column(text_id(), primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    actor_id: Mapped[str | None] = mapped_column(ForeignKey("members.id"), index=True)
    action: Mapped[str] = mapped_column(String(40))
    subject_id: Mapped[str | None] = mapped_column(ForeignKey("members.id"), index=True)
    room_id: Mapped[str | None] = mapped_column(ForeignKey("rooms.id"), index=True)
    detail: Mapped[dict[str, Any]]
