"""Rooms: scheduled, live and over; who has which seat, who comes, who spoke how long."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from sqlalchemy import BigInteger, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from deploy.club.store.base import Base, one_of, text_id

Visibility = Literal["open", "followers", "invited"]
RoomState = Literal["scheduled", "live", "ended", "cancelled"]
Seat = Literal["host", "moderator", "speaker", "invited", "removed"]


class Room(Base):
    """A room; its id is the daemon's, too."""

    __tablename__ = "rooms"
    __table_args__ = (
        # The hall and the list of what is coming.
        Index("ix_rooms_state_scheduled_at", "state", "scheduled_at"),
        Index("ix_rooms_state_opened_at", "state", "opened_at"),
    )

    id: Mapped[str] = mapped_column(text_id(), primary_key=True)
    topic: Mapped[str] = mapped_column(String(120))
    about: Mapped[str] = mapped_column(String(1000), default="")
    visibility: Mapped[Visibility] = mapped_column(
        one_of("visibility", "open", "followers", "invited"), default="open"
    )
    created_by: Mapped[str] = mapped_column(ForeignKey("members.id"), index=True)
    state: Mapped[RoomState] = mapped_column(
        one_of("state", "scheduled", "live", "ended", "cancelled")
    )
    scheduled_at: Mapped[datetime | None]
    opened_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    is_locked: Mapped[bool] = mapped_column(default=False)
    are_hands_open: Mapped[bool] = mapped_column(default=True)
    # Up to this moment of the daemon's clock speech is counted in `Talk`.
    talk_counted_until: Mapped[datetime | None]
    language: Mapped[str] = mapped_column(String(8), default="en")


class RoomInterest(Base):
    """One interest that a room is about."""

    __tablename__ = "room_interests"

    room_id: Mapped[str] = mapped_column(
        ForeignKey("rooms.id", ondelete="CASCADE"), primary_key=True
    )
    slug: Mapped[str] = mapped_column(String(40), primary_key=True, index=True)


class RoomSeat(Base):
    """What is remembered of someone in a room: a role, an invitation, or that they were removed."""

    __tablename__ = "room_seats"

    room_id: Mapped[str] = mapped_column(
        ForeignKey("rooms.id", ondelete="CASCADE"), primary_key=True
    )
    member_id: Mapped[str] = mapped_column(
        ForeignKey("members.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    seat: Mapped[Seat] = mapped_column(
        one_of("seat", "host", "moderator", "speaker", "invited", "removed")
    )


class Attendance(Base):
    """Someone said they will come to a scheduled room, and perhaps was reminded."""

    __tablename__ = "attendances"

    room_id: Mapped[str] = mapped_column(
        ForeignKey("rooms.id", ondelete="CASCADE"), primary_key=True
    )
    member_id: Mapped[str] = mapped_column(
        ForeignKey("members.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    at: Mapped[datetime]
    reminded_at: Mapped[datetime | None]


class Talk(Base):
    """How long someone spoke in a room, in how many stints, and when they came and left."""

    __tablename__ = "talks"

    room_id: Mapped[str] = mapped_column(
        ForeignKey("rooms.id", ondelete="CASCADE"), primary_key=True
    )
    member_id: Mapped[str] = mapped_column(
        ForeignKey("members.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    spoken_ms: Mapped[int] = mapped_column(BigInteger, default=0)
    stints: Mapped[int] = mapped_column(default=0)
    joined_at: Mapped[datetime]
    left_at: Mapped[datetime | None]
