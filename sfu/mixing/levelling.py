"""How loud a voice is, and the gain that brings it near the others.

What counts is the level while somebody speaks: the mean power of ticks that stand out from the
quietest of the last seconds, for speech has pauses and noise has none. Voices between -31 and -19
dBov are left as they are, exactly: browsers bring most of them there by themselves, and a listener
that changes between forwarded voices and the mix should not notice. A voice outside is brought to
-25 dBov, by at most 12 dB either way and 3 dB for each second in which it speaks, and is then left
alone until it leaves that range again. So nothing pumps, pauses and noise are never turned up by
themselves, and a full-scale voice beside a whisper ends 24 dB nearer to it.
"""

from __future__ import annotations

import math

TARGET_DB = -25.0
LEFT_ALONE_DB = (-31.0, -19.0)
GAIN_DB_MAX = 12.0
SLEW_DB_S = 3.0
# What is quieter is no voice, whatever it stands out from.
VOICE_DB_MIN = -50.0
ABOVE_FLOOR_DB = 8.0
# The floor is the lowest level of the last one to two windows; before the first has passed, none is
# known, and whatever is loud enough is a voice.
WINDOW_S = 2.0
UNKNOWN_DB = -127.0
# Loudness of the last few seconds of speech; nothing is judged before there is a floor.
MEMORY_S = 3.0
JUDGED_AFTER_S = 2.0
_LEAST_POWER = 1e-12


class Levelling:
    """One source. `observe` each tick in which it plays; `gain_db` is what it should have."""

    __slots__ = (
        "_adjusting",
        "_lowest_db",
        "_power",
        "_spoken_s",
        "_window_db",
        "_window_s",
        "gain_db",
        "is_voiced",
    )

    def __init__(self) -> None:
        self.gain_db = 0.0
        self.is_voiced = False  # in the tick that was observed last
        self._lowest_db = UNKNOWN_DB  # of the last complete window
        self._window_db = 0.0  # lowest of the running one
        self._window_s = 0.0
        self._power = 0.0
        self._spoken_s = 0.0
        self._adjusting = False

    def observe(self, power: float, db: float, seconds: float) -> None:
        """Its mean square in the last `seconds`, `db` the same in dBov."""
        self._follow_floor(db, seconds)
        floor_db = min(self._lowest_db, self._window_db)
        self.is_voiced = db >= VOICE_DB_MIN and db >= floor_db + ABOVE_FLOOR_DB
        if not self.is_voiced:
            return
        self._spoken_s += seconds
        self._power += seconds / min(MEMORY_S, self._spoken_s) * (power - self._power)
        if self._spoken_s >= JUDGED_AFTER_S:
            self._adjust(seconds)

    def pause(self) -> None:
        """It plays nothing."""
        self.is_voiced = False

    def _follow_floor(self, db: float, seconds: float) -> None:
        self._window_db = min(self._window_db, db)
        self._window_s += seconds
        if self._window_s >= WINDOW_S:
            self._lowest_db, self._window_db = self._window_db, db
            self._window_s = 0.0

    @property
    def _active_db(self) -> float:
        return 10 * math.log10(max(self._power, _LEAST_POWER))

    def _adjust(self, seconds: float) -> None:
        active_db = self._active_db
        if not LEFT_ALONE_DB[0] <= active_db + self.gain_db <= LEFT_ALONE_DB[1]:
            self._adjusting = True
        if not self._adjusting:
            return
        wanted = min(GAIN_DB_MAX, max(-GAIN_DB_MAX, TARGET_DB - active_db))
        step = SLEW_DB_S * seconds
        change = wanted - self.gain_db
        self.gain_db += min(step, max(-step, change))
        self._adjusting = abs(change) > step
