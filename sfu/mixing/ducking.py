"""Whoever has priority is understood: while it speaks, the others are 9 dB quieter.

Down within 50 ms of its first voiced tick, held for 400 ms after its last, back within 400 ms; in
dB both ways are straight lines.
"""

from __future__ import annotations

DEPTH_DB = -9.0
ATTACK_S = 0.050
HOLD_S = 0.400
RELEASE_S = 0.400


class Ducking:
    """The gain of all who have no priority in one room."""

    __slots__ = ("_held_s", "gain_db")

    def __init__(self) -> None:
        self.gain_db = 0.0
        self._held_s = 0.0

    def advance(self, *, is_voiced: bool, seconds: float) -> float:
        """`gain_db` after `seconds` in which a priority speaker did or did not speak."""
        if is_voiced:
            self._held_s = HOLD_S
            self.gain_db = max(DEPTH_DB, self.gain_db + DEPTH_DB / ATTACK_S * seconds)
            return self.gain_db
        if self._held_s > 0:
            # What is left of the hold comes first; a tick may end it in its middle.
            held = min(self._held_s, seconds)
            self._held_s -= held
            self.gain_db = max(DEPTH_DB, self.gain_db + DEPTH_DB / ATTACK_S * held)
            seconds -= held
        self.gain_db = min(0.0, self.gain_db - DEPTH_DB / RELEASE_S * seconds)
        return self.gain_db
