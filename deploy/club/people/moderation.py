"""What is done with power, and by whom: reports, removal, and the log that only grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from deploy.club.door.sessions import end_all
from deploy.club.people.named import named
from deploy.club.people.notices import notify
from deploy.club.refusal import N_, Refused
from deploy.club.store import (
    Invitation,
    Member,
    ModerationEntry,
    Report,
    Room,
    publish_after,
)
from deploy.club.tokens import new_id

# Bus: {"member": id, "standing": "removed" | "deleted"}, so that open pages and live rooms follow.
STANDING_TOPIC = "standing"
REPORT_TEXT_MAX = 1_000
# Open reports of one member; more are no help to who reads them.
OPEN_REPORTS_EACH_MAX = 20
# What the page of moderation shows of each list.
SHOWN_MAX = 100

REASONS: dict[str, str] = {
    "abuse": N_("Insults or threats"),
    "hate": N_("Hate against a group"),
    "harassment": N_("Does not leave somebody alone"),
    "impersonation": N_("Pretends to be somebody else"),
    "spam": N_("Advertising or noise"),
    "danger": N_("Somebody is in danger"),
    "other": N_("Something else"),
}

# What a host can make of a report.
OUTCOMES: dict[str, str] = {
    "dismissed": N_("Nothing to do"),
    "warned": N_("Warn"),
    "removed": N_("Remove from the club"),
}

# How the log reads; an action that is not here is shown by its own word.
ACTIONS: dict[str, str] = {
    "report.dismissed": N_("Found nothing in a report"),
    "report.warned": N_("Warned after a report"),
    "report.removed": N_("Removed from the club after a report"),
    "member.removed": N_("Removed from the club"),
    "admit": N_("Admitted from the waiting list"),
    "numbers.add": N_("Put numbers on the list"),
    "numbers.remove": N_("Took a number off the list"),
    "room.move_down": N_("Moved off the stage"),
    "room.mute_other": N_("Muted"),
    "room.make_moderator": N_("Made a moderator"),
    "room.unmake_moderator": N_("Made no moderator any more"),
    "room.remove": N_("Removed from the room"),
    "room.lock": N_("Locked the room"),
    "room.unlock": N_("Unlocked the room"),
    "room.lock_hands": N_("Closed the queue of hands"),
    "room.unlock_hands": N_("Opened the queue of hands"),
    "room.call_up": N_("Called to the stage"),
    "room.invite": N_("Invited to the stage"),
    "room.end": N_("Ended the room"),
}


@dataclass(frozen=True, slots=True)
class OpenReport:
    """A report with whom it concerns; `reporter` is None once that account is gone."""

    report: Report
    reported: Member
    reporter: Member | None
    room: Room | None


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the log with whom it names."""

    entry: ModerationEntry
    actor: Member | None
    subject: Member | None
    room: Room | None


def record(
    tx: AsyncSession,
    actor_id: str | None,
    action: str,
    subject_id: str | None,
    now: datetime,
    *,
    room_id: str | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    """Adds a line to the log; `action` is a key of ACTIONS. `detail` holds no names or texts of
    people: it outlives their accounts.
    """
    tx.add(
        ModerationEntry(
            id=new_id("e"),
            at=now,
            actor_id=actor_id,
            action=action,
            subject_id=subject_id,
            room_id=room_id,
            detail=detail or {},
        )
    )


async def report(
    tx: AsyncSession,
    reporter_id: str,
    reported_id: str,
    reason: str,
    text: str,
    now: datetime,
    *,
    room_id: str | None = None,
) -> Report:
    """Tells the hosts of the club about somebody, perhaps in a room.

    Refused: `not_found`, `yourself`, `bad_reason`, `bad_text`, `too_many_reports`.
    """
    if reporter_id == reported_id:
        raise Refused("yourself", 400, N_("You cannot report yourself."))
    await named(tx, reported_id)
    if reason not in REASONS:
        raise Refused("bad_reason", 400, N_("Please choose what it is about."))
    if len(text) > REPORT_TEXT_MAX:
        message = N_("This text is too long: %(limit)d characters at most.")
        raise Refused("bad_text", 400, message, limit=REPORT_TEXT_MAX)
    await named(tx, reporter_id, is_locked=True)
    await _check_open_reports(tx, reporter_id)
    known_room = room_id if room_id and await tx.get(Room, room_id) is not None else None
    made = Report(
        id=new_id("x"),
        reporter_id=reporter_id,
        reported_id=reported_id,
        room_id=known_room,
        reason=reason,
        text=text.strip(),
        at=now,
    )
    tx.add(made)
    return made


async def open_reports(tx: AsyncSession) -> Sequence[OpenReport]:
    """What waits for a host, oldest first."""
    reported, reporter = aliased(Member), aliased(Member)
    rows = await tx.execute(
        select(Report, reported, reporter, Room)
        .join(reported, reported.id == Report.reported_id)
        .outerjoin(reporter, reporter.id == Report.reporter_id)
        .outerjoin(Room, Room.id == Report.room_id)
        .where(Report.resolved_at.is_(None))
        .order_by(Report.at, Report.id)
        .limit(SHOWN_MAX)
    )
    return [OpenReport(*row) for row in rows]


async def log(tx: AsyncSession) -> Sequence[Entry]:
    """The newest lines of the log, newest first."""
    actor, subject = aliased(Member), aliased(Member)
    rows = await tx.execute(
        select(ModerationEntry, actor, subject, Room)
        .outerjoin(actor, actor.id == ModerationEntry.actor_id)
        .outerjoin(subject, subject.id == ModerationEntry.subject_id)
        .outerjoin(Room, Room.id == ModerationEntry.room_id)
        .order_by(ModerationEntry.at.desc(), ModerationEntry.id)
        .limit(SHOWN_MAX)
    )
    return [Entry(*row) for row in rows]


async def resolve(
    tx: AsyncSession, host: Member, report_id: str, outcome: str, now: datetime
) -> None:
    """What a host of the club makes of a report: one of OUTCOMES.

    Refused: `not_found`, `bad_outcome`, `resolved` by somebody else meanwhile, and as
    `remove_member` where that is the outcome.
    """
    found = await tx.get(Report, report_id, with_for_update=True)
    if found is None:
        raise Refused("not_found", 404, N_("There is no such report."))
    if outcome not in OUTCOMES:
        raise Refused("bad_outcome", 400, N_("Please choose what to do."))
    if found.resolved_at is not None:
        raise Refused("resolved", 409, N_("Somebody has dealt with this report already."))
    reported = await tx.get(Member, found.reported_id)
    is_there = reported is not None and reported.standing == "member"
    if outcome == "removed" and is_there:
        await _remove(tx, host, found.reported_id, now)
    elif outcome == "warned" and is_there:
        await notify(tx, found.reported_id, "warned", {}, now)
    found.resolved_by, found.resolved_at, found.outcome = host.id, now, outcome
    record(tx, host.id, f"report.{outcome}", found.reported_id, now, room_id=found.room_id)


async def remove_member(tx: AsyncSession, host: Member, member_id: str, now: datetime) -> None:
    """Puts somebody out of the club: signed out everywhere, their invitations void.

    The number cannot sign up again. Refused `not_found`, `yourself`, `is_host`.
    """
    await _remove(tx, host, member_id, now)
    record(tx, host.id, "member.removed", member_id, now)


async def _remove(tx: AsyncSession, host: Member, member_id: str, now: datetime) -> None:
    if member_id == host.id:
        raise Refused("yourself", 400, N_("You cannot remove yourself."))
    member = await named(tx, member_id, is_locked=True)
    if member.is_host:
        raise Refused("is_host", 403, N_("A host of the club can only be removed by its operator."))
    member.standing = "removed"
    await end_all(tx, member_id)
    await revoke_unused(tx, member_id, now)
    publish_after(tx, STANDING_TOPIC, {"member": member_id, "standing": "removed"})


async def revoke_unused(tx: AsyncSession, member_id: str, now: datetime) -> None:
    """No invitation of the member that is still unused lets anybody in any more."""
    await tx.execute(
        update(Invitation)
        .where(
            Invitation.inviter_id == member_id,
            Invitation.used_by.is_(None),
            Invitation.revoked_at.is_(None),
        )
        .values(revoked_at=now)
    )


async def _check_open_reports(tx: AsyncSession, reporter_id: str) -> None:
    count = await tx.scalar(
        select(func.count())
        .select_from(Report)
        .where(Report.reporter_id == reporter_id, Report.resolved_at.is_(None))
    )
    if (count or 0) >= OPEN_REPORTS_EACH_MAX:
        text = N_("The hosts have not read your earlier reports yet.")
        raise Refused("too_many_reports", 429, text)
