"""Who is in charge when nobody is: the one who has been on stage longest. Pure.

A room whose hosts and moderators have all left, or lost their lines for good, would have nobody to
call up a hand, to mute, or to end it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from control.types import ParticipantState
from deploy.club.room.authority import Rank
from deploy.club.room.scenes import rank_of
from deploy.club.store import Seat


def successor(
    participants: Collection[ParticipantState], seats: Mapping[str, Seat], members: Collection[str]
) -> ParticipantState | None:
    """Who becomes a moderator: of the `members` on stage the one who came first. None where
    somebody is in charge, on stage or not, and where no member is on stage.
    """
    for one in participants:
        if rank_of(seats.get(one.participant), one.role) >= Rank.MODERATOR:
            return None
    stage = [one for one in participants if one.role.is_on_stage and one.participant in members]
    return min(stage, key=lambda one: (one.joined_at, one.participant), default=None)
