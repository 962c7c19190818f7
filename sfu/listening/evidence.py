"""What is known of a line at one moment, as the ladder judges it."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(slots=True)
class Evidence:
    """Ratios 0 to 1, times seconds; loss, delay and rate are of what is sent since the last change.

    `loss` smoothed, with `bad` words in a row of too much and `told` words in all, `is_whole` when
    the last was of nothing that was sent before the change. `waits`: whether packets stand in a
    queue, None when it is not known; `standing_s` how long and `standing_at` when that was
    measured; `over_s` for how long the queue has been growing, and `newest_s` how long the newest
    packet waited, `is_sudden` when nearly all of that from one packet to the next. `can_protect`:
    copies are understood, and did not make the loss worse; `is_testing`: it is still to be seen
    whether they do. `can_repeat`: what is lost is asked for again.
    `estimate_bps` is the least of all estimates, `carries_bps` without the one by delay; infinite
    when there is none. `acked_bps` is what came: by feedback while it may be asked for, else as a
    report had it.
    """

    now: float
    is_active: bool = True
    has_feedback: bool = False
    can_probe: bool = False
    loss: float | None = None
    bad: int = 0
    told: int = 0
    is_whole: bool = False
    waits: bool | None = None
    standing_s: float | None = None
    standing_at: float = 0.0
    is_draining: bool = False
    over_s: float = 0.0
    newest_s: float = 0.0
    is_sudden: bool = False
    can_protect: bool = True
    can_repeat: bool = False
    is_testing: bool = False
    estimate_bps: float = math.inf
    carries_bps: float = math.inf
    acked_bps: float | None = None
    rtt_s: float = 0.1
    silent_s: float = 0.0
    heard_at: float = -math.inf
