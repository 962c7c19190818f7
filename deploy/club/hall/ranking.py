"""The order of the live rooms for one member.

A room's score is the sum of

- `INVITED` when the member was invited to this room by its hosts;
- `HOST_FOLLOWED` for each host and `STAGE_FOLLOWED` for each other person on stage whom the member
  follows, together at most `PEOPLE_MAX`, so that three friends outweigh everything but a
  personal invitation and more of them change nothing;
- `INTEREST` for each interest that the room and the member share, at most `INTERESTS_MAX`;
- liveliness, log2(1 + people) / 2 and at most `LIVELINESS_MAX`: a room of ten beats an empty one, a
  room of a thousand does not beat a friend's;
- freshness, `FRESHNESS` when a room opens and half of it after each `FRESHNESS_HALF_LIFE`;
- `EMPTY_STAGE`, below zero, where nobody is on stage: there is nothing to hear.

Equal scores: the room opened last is first, then the identifiers decide, so that two pages never
show two orders.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Set
from dataclasses import dataclass
from datetime import datetime, timedelta

INVITED = 8.0
HOST_FOLLOWED = 3.0
STAGE_FOLLOWED = 2.0
PEOPLE_MAX = 9.0
INTEREST = 1.5
INTERESTS_MAX = 4.5
LIVELINESS_MAX = 4.0
FRESHNESS = 2.0
FRESHNESS_HALF_LIFE = timedelta(minutes=30)
EMPTY_STAGE = -3.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """What the order of a live room depends on."""

    room_id: str
    opened_at: datetime
    interests: frozenset[str] = frozenset()  # slugs
    hosts: frozenset[str] = frozenset()  # members' ids
    stage: frozenset[str] = frozenset()  # members' ids; hosts may be among them
    speakers: int = 0
    listeners: int = 0
    is_invited: bool = False


def score(room: Candidate, interests: Set[str], follows: Set[str], now: datetime) -> float:
    """How much `room` is for a member with these interests who follows these people."""
    total = INVITED if room.is_invited else 0.0
    people = HOST_FOLLOWED * len(room.hosts & follows)
    people += STAGE_FOLLOWED * len((room.stage - room.hosts) & follows)
    total += min(people, PEOPLE_MAX)
    total += min(INTEREST * len(room.interests & interests), INTERESTS_MAX)
    total += min(math.log2(1 + room.speakers + room.listeners) / 2, LIVELINESS_MAX)
    # A clock that is a little behind must not make a room fresher than new.
    age = max(now - room.opened_at, timedelta())
    total += FRESHNESS * math.exp2(-(age / FRESHNESS_HALF_LIFE))
    return total if room.speakers else total + EMPTY_STAGE


def rank(
    rooms: Iterable[Candidate], interests: Set[str], follows: Set[str], now: datetime
) -> list[Candidate]:
    """`rooms`, the one that is most for this member first."""

    def key(room: Candidate) -> tuple[float, float, str]:
        return (
            -score(room, interests, follows, now),
            -room.opened_at.timestamp(),
            room.room_id,
        )

    return sorted(rooms, key=key)
