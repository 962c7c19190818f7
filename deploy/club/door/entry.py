"""Which door lets somebody in: a pure rule."""

from __future__ import annotations

from enum import Enum

from deploy.club.settings import Door


class Entry(Enum):
    """How somebody who signs up enters the club."""

    BY_INVITATION = "invitation"
    BY_LIST = "list"
    WAITS = "waits"  # on the waiting list, until a host admits them

    @property
    def is_in(self) -> bool:
        """Whether this makes a member at once."""
        return self is not Entry.WAITS


def entry(doors: frozenset[Door], *, is_listed: bool, is_invited: bool) -> Entry:
    """How the number of somebody (`is_listed`: the hosts listed it) gets in through `doors`.

    An invitation goes first, because a profile names who invited its owner.
    """
    if is_invited and Door.INVITATION in doors:
        return Entry.BY_INVITATION
    if is_listed and Door.CLOSED in doors:
        return Entry.BY_LIST
    return Entry.WAITS
