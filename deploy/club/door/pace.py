"""How often a number gets a code and how often one may be tried: pure rules.

Together they bound guessing: SENT_MAX codes with TRIES_MAX tries each are 50 guesses a day among a
million, for each number, however many addresses the guesses come from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from deploy.club.refusal import N_, Refused

# Long enough for a message that is slow, short enough that a lost telephone is no way in.
CODE_LIFE = timedelta(minutes=10)
# Slips of the finger; the next code is one click away.
TRIES_MAX = 5
# A message takes a while to arrive; impatience shall not cost the club two messages.
AGAIN_AFTER = timedelta(seconds=30)
# Of one number in a WINDOW: what a person with several devices may need, and a flood may not.
SENT_MAX = 10
WINDOW = timedelta(hours=24)


class Answer(Enum):
    """What a code that somebody typed is worth."""

    RIGHT = "right"
    WRONG = "wrong"  # another try is left
    VOID = "void"  # too late, used, or tried too often: only a new code helps


@dataclass(frozen=True, slots=True)
class Sent:
    """What is remembered of the codes that went to one number."""

    at: datetime
    count: int  # since `window_began_at`
    window_began_at: datetime


def next_sent(last: Sent | None, now: datetime) -> Sent:
    """What to remember when a code is sent now; raises Refused `too_many` with `retry_after_s`.

    The same for every number, so that an answer tells nothing about who is a member.
    """
    if last is None or now >= last.window_began_at + WINDOW:
        return Sent(at=now, count=1, window_began_at=now)
    if now < last.at + AGAIN_AFTER:
        # No longer than the pause, even where the clock was set back since.
        raise too_many(min(last.at + AGAIN_AFTER - now, AGAIN_AFTER))
    if last.count >= SENT_MAX:
        raise too_many(last.window_began_at + WINDOW - now)
    return Sent(at=now, count=last.count + 1, window_began_at=last.window_began_at)


def too_many(wait: timedelta) -> Refused:
    """The refusal of somebody who has to wait for `wait`."""
    return Refused(
        "too_many",
        429,
        N_("That was asked for too often. Try again later."),
        retry_after_s=math.ceil(wait.total_seconds()),
    )


def answered(tries: int, expires_at: datetime, now: datetime, *, is_equal: bool) -> Answer:
    """What an answer is worth after `tries` earlier ones to the same code."""
    if tries >= TRIES_MAX or now >= expires_at:
        return Answer.VOID
    if is_equal:
        return Answer.RIGHT
    return Answer.WRONG if tries + 1 < TRIES_MAX else Answer.VOID
