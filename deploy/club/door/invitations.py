"""Personal invitations: good for one person, by whoever holds the link, until used or revoked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from deploy.club.refusal import N_, Refused
from deploy.club.settings import Door, Settings
from deploy.club.store import Invitation, Member
from deploy.club.tokens import new_id

LABEL_CHARS_MAX = 60
# Longer input is no code; nothing is looked up for it.
CODE_CHARS_MAX = 64
# A host's invitations are not counted down, but so many unused ones are kept track of by nobody.
HOST_OPEN_MAX = 100
# On a page: a member has a handful, a host sees the newest.
LISTED_MAX = 200


class Given(NamedTuple):
    """An invitation as its inviter sees it; `used_by` is who came with it, once somebody did."""

    invitation: Invitation
    used_by: Member | None

    @property
    def is_open(self) -> bool:
        """Whether it still lets somebody in."""
        return self.invitation.used_at is None and self.invitation.revoked_at is None


async def invite(
    tx: AsyncSession, settings: Settings, inviter: Member, label: str, now: datetime
) -> Invitation:
    """One of the inviter's invitations, with a note to themselves whom it is for.

    Refused `invitations_closed`, `no_invitations_left`, or `bad_label`.
    """
    if Door.INVITATION not in settings.doors:
        raise Refused("invitations_closed", 403, N_("Nobody gets in by invitation at present."))
    label = " ".join(label.split())
    if len(label) > LABEL_CHARS_MAX or not label.isprintable():
        raise Refused("bad_label", 400, N_("That is too long for a note."))
    if inviter.is_host:
        await _check_open(tx, inviter.id)
    else:
        await _take_one(tx, inviter.id)
    invitation = Invitation(code=new_id("i"), inviter_id=inviter.id, label=label, created_at=now)
    tx.add(invitation)
    await tx.flush()
    return invitation


async def revoke(tx: AsyncSession, inviter: Member, code: str, now: datetime) -> None:
    """Void one's own unused invitation; it is there to be given again.

    Refused `no_invitation` for another's, a used and a void one alike.
    """
    revoked = await tx.scalar(
        update(Invitation)
        .where(
            Invitation.code == code[:CODE_CHARS_MAX],
            Invitation.inviter_id == inviter.id,
            Invitation.used_at.is_(None),
            Invitation.revoked_at.is_(None),
        )
        .values(revoked_at=now)
        .returning(Invitation.code)
    )
    if revoked is None:
        raise Refused("no_invitation", 404, N_("There is no such invitation to take back."))
    if not inviter.is_host:
        await tx.execute(
            update(Member)
            .where(Member.id == inviter.id)
            .values(invitations_left=Member.invitations_left + 1)
        )


async def inviter_of(tx: AsyncSession, code: str) -> Member | None:
    """Who invites with `code`; None when it lets nobody in, or does so no more."""
    if not code.isprintable():  # what PostgreSQL takes no question about
        return None
    return await tx.scalar(
        select(Member)
        .join(Invitation, Invitation.inviter_id == Member.id)
        .where(
            Invitation.code == code[:CODE_CHARS_MAX],
            Invitation.used_at.is_(None),
            Invitation.revoked_at.is_(None),
            Member.standing == "member",
            Member.deleted_at.is_(None),
        )
    )


async def use(tx: AsyncSession, code: str, member_id: str, now: datetime) -> str:
    """Spend `code` on a member who is in the table already; the inviter's id.

    Refused `bad_invitation`. Of two who use it at once one gets in.
    """
    inviter = await inviter_of(tx, code)
    if inviter is None:
        raise _bad_invitation()
    used = await tx.scalar(
        update(Invitation)
        .where(
            Invitation.code == code,
            Invitation.used_at.is_(None),
            Invitation.revoked_at.is_(None),
        )
        .values(used_by=member_id, used_at=now)
        .returning(Invitation.code)
    )
    if used is None:
        raise _bad_invitation()
    return inviter.id


async def given_by(tx: AsyncSession, inviter_id: str) -> Sequence[Given]:
    """A member's invitations, newest first, without those taken back; at most LISTED_MAX."""
    rows = await tx.execute(
        select(Invitation, Member)
        .outerjoin(Member, Member.id == Invitation.used_by)
        .where(Invitation.inviter_id == inviter_id, Invitation.revoked_at.is_(None))
        .order_by(Invitation.created_at.desc(), Invitation.code)
        .limit(LISTED_MAX)
    )
    return [Given(invitation, used_by) for invitation, used_by in rows]


async def _take_one(tx: AsyncSession, inviter_id: str) -> None:
    taken = await tx.scalar(
        update(Member)
        .where(Member.id == inviter_id, Member.invitations_left > 0)
        .values(invitations_left=Member.invitations_left - 1)
        .returning(Member.id)
    )
    if taken is None:
        raise _none_left()


async def _check_open(tx: AsyncSession, inviter_id: str) -> None:
    unused = await tx.scalar(
        select(func.count())
        .select_from(Invitation)
        .where(
            Invitation.inviter_id == inviter_id,
            Invitation.used_at.is_(None),
            Invitation.revoked_at.is_(None),
        )
    )
    if (unused or 0) >= HOST_OPEN_MAX:
        raise _none_left()


def _none_left() -> Refused:
    return Refused("no_invitations_left", 403, N_("You have no invitations left."))


def _bad_invitation() -> Refused:
    return Refused(
        "bad_invitation", 400, N_("This invitation is not good any more. Ask for another one.")
    )
