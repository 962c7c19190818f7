"""The dominant speaker: whom a client shows large. For display only, never for forwarding.

Theory. Volfin and Cohen ("Dominant speaker identification for multipoint videoconferencing", 2012)
score speech activity over three windows and change the dominant speaker only when all three agree:

    immediate   one sample (20 ms): how many tenths of the volume range are above the noise floor
    medium      100 ms: how many of 5 immediate values are high
    long        1 s: of how many of 10 medium windows all values are high

Each count is scored by its likelihood under speech (binomial) against its likelihood under silence
(exponential). The long window is what a cough cannot win while somebody else keeps talking.

Adaptation. The original is fed each packet. Packets of slot holders never reach this code, so
levels are sampled every 100 ms, which is exactly one medium window. Its five values are
interpolated between the smoothed levels of the previous tick and of this one, which hold what
happened in between; those after the last packet (by its age, so that 60 ms frames and DTX need no
special case) are silence. The immediate value is the last packet's. A late tick fills as many
windows as time has passed. The decision is taken on every tick instead of every 300 ms: hand-over
is faster, and the three windows, not the interval, are what prevents flapping.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .observation import TICK_S, Observation

if TYPE_CHECKING:
    from sfu.fast import SourceLevel

# RFC 6464 levels are 0..127 -dBov; volume is 127 - level.
_VOLUME_MAX = 127
# Volume above the noise floor from which a sample counts, and the width of one sub-band.
_SUBBAND = 10
_SUBBANDS = 13
# A sample is high from the eighth sub-band on: -47 dBov and louder.
_HIGH_VOLUME = 80.0
_SAMPLES = 5
_SAMPLE_S = TICK_S / _SAMPLES
_MEDIUMS = 10
# A source whose last packet is older than its frame plus this is silent (one lost packet is not).
_IDLE_AFTER_S = 0.04
# The noise floor falls at once and rises only after this many windows (15 s), by geometric mean.
_FLOOR_WINDOWS = 150
# Louder than -50 dBov is no background, however constant: a test tone or a singer counts.
_FLOOR_MAX = 77.0
# By how much each window's log score must exceed the dominant speaker's.
_MARGIN_IMMEDIATE, _MARGIN_MEDIUM, _MARGIN_LONG = 3.0, 2.0, 0.0


def _scores(size: int, rate: float) -> tuple[float, ...]:
    """Log of the activity score for each count 0..size."""

    def score(count: int) -> float:
        likelihood = math.log(math.comb(size, count)) + size * math.log(0.5)
        return math.log(max(1e-10, likelihood - math.log(rate) + rate * count))

    return tuple(score(count) for count in range(size + 1))


_IMMEDIATE_SCORE = _scores(_SUBBANDS, 0.78)
_MEDIUM_SCORE = _scores(_SAMPLES, 24.0)
_LONG_SCORE = _scores(_MEDIUMS, 47.0)


@dataclass(slots=True)
class _NoiseFloor:
    """The quietest volume a participant was heard at, forgotten slowly."""

    volume: float = 0.0
    _window_min: float = _VOLUME_MAX
    _windows: int = 0

    def learn(self, volume: float) -> None:
        if volume <= 0:
            return
        if volume > _FLOOR_MAX:
            volume = _FLOOR_MAX
        if self.volume == 0 or volume < self.volume:
            self.volume = volume
            self._window_min, self._windows = _VOLUME_MAX, 0
            return
        if volume < self._window_min:
            self._window_min = volume
        self._windows += 1
        if self._windows >= _FLOOR_WINDOWS:
            self.volume = math.sqrt(self.volume * self._window_min)
            self._window_min, self._windows = _VOLUME_MAX, 0


@dataclass(slots=True)
class Activity:
    """The windows of one participant; a new one has been silent for ever."""

    floor: _NoiseFloor = field(default_factory=_NoiseFloor)
    volume: float = 0.0
    immediate: int = 0
    mediums: deque[int] = field(default_factory=lambda: deque([0] * _MEDIUMS, maxlen=_MEDIUMS))
    high_windows: int = 0  # medium windows until those that may have a high sample are forgotten
    full_windows: int = 0  # the newest medium windows that had nothing but high samples

    @property
    def is_idle(self) -> bool:
        """Whether all windows are empty: nothing can be said of it but that it is silent."""
        return not (self.high_windows or self.immediate or self.volume)

    @property
    def scores(self) -> tuple[float, float, float]:
        """Log scores of the three windows."""
        return (
            _IMMEDIATE_SCORE[self.immediate],
            _MEDIUM_SCORE[self.mediums[-1]],
            _LONG_SCORE[self.mediums.count(_SAMPLES)],
        )

    def _fill(self, highs: int, windows: int) -> None:
        """`windows` medium windows that are all high or all low; none if all were so before."""
        if highs:
            if self.full_windows < _MEDIUMS:
                self.mediums.extend((highs,) * windows)
                self.full_windows += windows
            self.high_windows = _MEDIUMS
        elif self.high_windows:
            self.mediums.extend((highs,) * windows)
            self.high_windows = max(0, self.high_windows - windows)
            self.full_windows = 0

    def sample(self, level: SourceLevel, windows: int) -> None:
        """Fill `windows` medium windows up to now from what the source says of itself."""
        filled = windows * _SAMPLES
        # Most packets that are not silence are young: none is missing.
        is_young = level.packet_age <= _IDLE_AFTER_S
        silent = 0 if is_young else self._silent_samples(level, filled)
        if silent >= filled and self.is_idle:
            return
        newest = 0.0 if silent >= filled else _VOLUME_MAX + level.level_db
        instant = 0.0 if silent else float(_VOLUME_MAX - level.instant)
        self.floor.learn(instant)
        audible_from = self.floor.volume + _SUBBAND
        self.immediate = int(instant) // _SUBBAND if instant >= audible_from else 0
        high_from = audible_from if audible_from > _HIGH_VOLUME else _HIGH_VOLUME
        was_high, is_high = self.volume >= high_from, newest >= high_from
        if not was_high and not is_high:
            self._fill(0, windows)  # a common case: nothing to interpolate
        elif was_high and is_high and not silent:
            self._fill(_SAMPLES, windows)  # the other: everything between is as high
        else:
            self._interpolate(newest, filled, silent, high_from)
        self.volume = 0.0 if silent else newest

    def _interpolate(self, newest: float, filled: int, silent: int, high_from: float) -> None:
        """Count the high samples of each window between the last volume and the newest."""
        heard = filled - silent
        step = (newest - self.volume) / max(1, heard)
        highs = [self.volume + step * (index + 1) >= high_from for index in range(heard)]
        highs += [False] * silent
        self.high_windows, self.full_windows = _MEDIUMS, 0
        self.mediums.extend(
            sum(highs[start : start + _SAMPLES]) for start in range(0, filled, _SAMPLES)
        )

    @staticmethod
    def _silent_samples(level: SourceLevel, limit: int) -> int:
        """How many of the newest samples came after the source's last packet had been played."""
        idle_s = level.packet_age - max(level.frame_ms / 1000.0, _SAMPLE_S)
        if idle_s < _IDLE_AFTER_S:
            return 0
        return limit if idle_s >= limit * _SAMPLE_S else int(idle_s / _SAMPLE_S)


# What a challenger is compared with when nobody is dominant.
_SILENCE = (_IMMEDIATE_SCORE[0], _MEDIUM_SCORE[0], _LONG_SCORE[0])


class DominantSpeaker:
    """Follows the audible participants of one room. It stays with a speaker through silence."""

    __slots__ = ("_activities", "_dominant", "_sampled_at")

    def __init__(self) -> None:
        self._activities: dict[str, Activity] = {}
        self._dominant: str | None = None
        self._sampled_at: float | None = None

    @property
    def participant(self) -> str | None:
        """The dominant speaker, None until somebody spoke or after it left the stage."""
        return self._dominant

    def forget(self, participant: str) -> None:
        """`participant` may not be heard any more."""
        self._activities.pop(participant, None)
        if self._dominant == participant:
            self._dominant = None
        if not self._activities:
            self._sampled_at = None  # the next one to speak was not silent since the last tick

    def update(self, observations: Sequence[Observation], now: float) -> str | None:
        """Sample every audible participant and decide. `observations` are all of them."""
        windows = self._windows_since(now)
        if windows:
            for seen in observations:
                activity = seen.activity
                if activity is None:
                    activity = self._activities.get(seen.participant) or Activity()
                    seen.activity = self._activities[seen.participant] = activity
                activity.sample(seen.level, windows)
            self._decide(observations)
        return self._dominant

    def _windows_since(self, now: float) -> int:
        """How many medium windows passed since the last sample, at most one long window's."""
        if self._sampled_at is None:
            self._sampled_at = now
            return 1
        windows = round((now - self._sampled_at) / TICK_S)
        if windows:
            self._sampled_at = now
        return min(windows, _MEDIUMS)

    def _decide(self, observations: Sequence[Observation]) -> None:
        """Hand over to the challenger whose medium window leads most, if all windows agree."""
        before = self._dominant
        holder_scores: tuple[float, float, float] | None = None
        best_lead = _MARGIN_MEDIUM
        for seen in observations:
            activity, participant = seen.activity, seen.participant
            assert activity is not None, "it was sampled just now"
            if participant == before or activity.is_idle:
                continue
            if holder_scores is None:
                holder_scores = self._scores_of(before)
            immediate, medium, long = holder_scores
            scores = activity.scores
            lead = scores[1] - medium
            if (
                lead > best_lead
                and scores[0] - immediate > _MARGIN_IMMEDIATE
                and scores[2] - long > _MARGIN_LONG
            ):
                self._dominant, best_lead = participant, lead

    def _scores_of(self, participant: str | None) -> tuple[float, float, float]:
        activity = None if participant is None else self._activities.get(participant)
        return _SILENCE if activity is None else activity.scores
