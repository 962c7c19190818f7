"""How people get in: codes, sessions, invitations, and the list of numbers let in."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from deploy.club.store.base import HASH_LENGTH, Base


class LoginCode(Base):
    """The newest code sent to a number, and how many were sent to it in the running window."""

    __tablename__ = "login_codes"

    phone_hash: Mapped[str] = mapped_column(String(HASH_LENGTH), primary_key=True)
    code_hash: Mapped[str] = mapped_column(String(HASH_LENGTH))
    expires_at: Mapped[datetime] = mapped_column(index=True)
    tries: Mapped[int] = mapped_column(default=0)
    sent_at: Mapped[datetime]
    sent_count: Mapped[int] = mapped_column(default=1)
    window_began_at: Mapped[datetime]


class Session(Base):
    """A browser that gave a right code. `id` is a hash of the cookie: the table opens no door.

    `member_id` is null from the right code until the number's owner has signed up.
    """

    __tablename__ = "sessions"

    id: Mapped[str] = mapped_column(String(HASH_LENGTH), primary_key=True)
    member_id: Mapped[str | None] = mapped_column(
        ForeignKey("members.id", ondelete="CASCADE"), index=True
    )
    phone_hash: Mapped[str] = mapped_column(String(HASH_LENGTH), index=True)
    csrf: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column(index=True)
    seen_at: Mapped[datetime] = mapped_column(index=True)


class Invitation(Base):
    """A personal way in, good for one person until used or revoked."""

    __tablename__ = "invitations"

    code: Mapped[str] = mapped_column(String(64), primary_key=True)
    inviter_id: Mapped[str] = mapped_column(ForeignKey("members.id"), index=True)
    label: Mapped[str] = mapped_column(String(80), default="")
    created_at: Mapped[datetime]
    used_by: Mapped[str | None] = mapped_column(ForeignKey("members.id"), index=True)
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class AllowedNumber(Base):
    """A number on the list of a closed test; `added_by` is null when an operator added it."""

    __tablename__ = "allowed_numbers"

    phone_hash: Mapped[str] = mapped_column(String(HASH_LENGTH), primary_key=True)
    added_by: Mapped[str | None] = mapped_column(ForeignKey("members.id"), index=True)
    added_at: Mapped[datetime] = mapped_column(index=True)
