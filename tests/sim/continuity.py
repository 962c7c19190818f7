"""One track of one listener: numbering, time and markers of what the server sent (RFC 3550 5.1).

The rules, for packets in the order of their sequence numbers:

- a gap is as long as what the uplink lost in between, and none appears where another speaker or a
  mute lies in between: only what a decoder should conceal is shown as loss. Of two packets in the
  wrong order between which the speaker was unmuted or moved, the earlier one is missing;
- time strictly increases; without a marker it advances exactly as the source's did;
- a packet that was packed from several counts as all of them;
- frames of one mix follow each other without a gap exactly as they lie on the room's clock, with a
  marker after a pause;
- a marker stands where a talkspurt begins, and only there (a listener who comes in the middle of
  one gets none; so comes whoever changes rooms or chooses what to hear); what it begins
  does not overlap what was before, and is within 20 ms of the wall clock, give or take what the
  uplinks jittered.

A packet that the network reordered comes out later with its own number, so judgement waits until
nothing older can come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tests.sim.downlink import Heard
from tests.sim.payload import MIX, SERVER_SILENCE
from tests.sim.voice import TICKS_PER_S, Uplink

# Nothing arrives later than this behind a packet that it preceded.
JUDGED_AFTER_S = 0.5
# Whatever the clock's origin on this track: all talkspurts lie within this to either side of it.
WALL_ERROR_S_MAX = 0.020
FRAME_TICKS = 960
# Loss of more than this may be shown as no gap at all: nobody conceals a second of speech.
GAP_MAX = 64
# After this much silence a server may take it that a new talkspurt begins.
PAUSE_S = 0.150


class Speaker(Protocol):
    """The truth about somebody who is heard on a track."""

    @property
    def uplink(self) -> Uplink: ...
    @property
    def frame_ticks(self) -> int: ...
    @property
    def delay_spread_s(self) -> float: ...
    @property
    def audibility_changed_at(self) -> list[float]: ...


@dataclass(slots=True)
class Between:
    """What happened to a source's packets between two that came out on one track."""

    lost: int = 0
    overtaken: int = 0  # came before a change that the one before it came after
    refused: int = 0
    leap: int = 0
    changed: bool = False


class Listener(Protocol):
    """The truth about who listens to a track."""

    @property
    def moved_at(self) -> list[float]: ...
    @property
    def is_choosy(self) -> bool: ...
    def may_have_missed(self, since: float, until: float) -> bool: ...
    def was_on(self, tier: str, since: float, until: float) -> bool: ...


class TrackJudge:
    """Follows one track; `take` returns what is wrong with the packets that can be judged now."""

    def __init__(
        self, track: list[Heard], speakers: Sequence[Speaker], listener: Listener | None = None
    ) -> None:
        self._listener = listener
        self._track = track
        self._all = speakers
        self._taken = 0
        self._waiting: list[Heard] = []
        self._last: Heard | None = None
        self._last_sequence = 0
        self._time = 0
        self._origin: tuple[int, float] | None = None  # the first voice's
        self._error_min = self._error_max = 0.0
        self._speakers: dict[int, Speaker] = {}
        # Of each speaker: the first and last packet in the last that was sent on this track.
        self._voices: dict[int, tuple[int, int]] = {}

    def take(self, until: float) -> list[str]:
        """Judge what was emitted up to `until`; faults as text."""
        track = self._track
        self._waiting += track[self._taken :]
        self._taken = len(track)
        if not self._waiting or self._waiting[0].emitted > until:
            return []
        reference = (self._last or self._waiting[0]).sequence
        place = {id(h): _signed16(h.sequence - reference) for h in self._waiting}
        newest = max(place[id(h)] for h in self._waiting if h.emitted <= until)
        ready = [h for h in self._waiting if place[id(h)] <= newest]
        self._waiting = [h for h in self._waiting if place[id(h)] > newest]
        ready.sort(key=lambda heard: place[id(heard)])
        return [f"{fault}: {heard}" for heard in ready for fault in self._judge(heard)]

    def _judge(self, heard: Heard) -> list[str]:
        last = self._last
        self._last = heard
        if heard.speaker >= 0:
            self._speakers[heard.speaker] = self._all[heard.speaker]
        if last is None:
            return self._judge_first(heard)
        step = _signed16(heard.sequence - last.sequence)
        # After half a day of silence 32 bits alone no longer tell forwards from backwards.
        elapsed = round((heard.emitted - last.emitted) * TICKS_PER_S)
        advance = elapsed + _signed32(heard.timestamp - last.timestamp - elapsed)
        self._time += advance
        faults = []
        if step <= 0:
            faults.append(f"sequence {heard.sequence} after {last.sequence}")
        if advance <= 0:
            faults.append(f"time advances by {advance}")
        moved_at = self._moved_at()
        if moved_at and any(last.emitted <= at < heard.emitted for at in moved_at):
            self._note_voice(heard)
            if step > 1:
                faults.append(f"gap of {step - 1} over a move")
            return faults + self._judge_time(last, heard, advance)
        faults += self._judge_step(last, heard, step, advance)
        if heard.marker:
            faults += self._judge_time(last, heard, advance)
        return faults

    def _judge_time(self, last: Heard, heard: Heard, advance: int) -> list[str]:
        """A talkspurt begins after what was before it, and when the wall clock says."""
        length = self._length(last)
        if advance < length:
            return [f"time advances by {advance} after a frame of {length}"]
        if heard.speaker in (SERVER_SILENCE, MIX):
            return []  # it makes way for voices: behind the clock, and held for its tick
        if self._origin is None:
            self._origin = (self._time, heard.emitted)
        ticks, began = self._origin
        error = (self._time - ticks) / TICKS_PER_S - (heard.emitted - began)
        self._error_min = min(self._error_min, error)
        self._error_max = max(self._error_max, error)
        speakers = self._speakers.values()
        spread = max((speaker.delay_spread_s for speaker in speakers), default=0.0)
        # Whoever interrupts a long frame can only begin after it.
        longest = max((speaker.frame_ticks for speaker in speakers), default=0)
        allowed = 2 * WALL_ERROR_S_MAX + spread + max(0, longest - FRAME_TICKS) / TICKS_PER_S
        # What comes next may have to make way for the end of what was heard elsewhere, but never
        # for what made way itself.
        if self._moved_at() or self._is_choosy:
            allowed += FRAME_TICKS / TICKS_PER_S
        if self._error_max - self._error_min > allowed:
            low, high = self._error_min * 1000, self._error_max * 1000
            return [f"talkspurts begin {low:.1f} to {high:.1f} ms off the wall clock"]
        return []

    def _moved_at(self) -> Sequence[float]:
        """When the listener changed rooms."""
        return () if self._listener is None else self._listener.moved_at

    @property
    def _is_choosy(self) -> bool:
        """Whether it may begin to hear another stream at any moment, so without a marker."""
        return self._listener is not None and self._listener.is_choosy

    def _judge_first(self, heard: Heard) -> list[str]:
        self._time = heard.timestamp
        if heard.speaker != SERVER_SILENCE:
            self._origin = (heard.timestamp, heard.emitted)
        faults = []
        if not 1 <= heard.sequence <= 32_767:
            faults.append(f"the first sequence number is {heard.sequence}")
        self._note_voice(heard)
        return faults

    def _note_voice(self, heard: Heard) -> tuple[int, int] | None:
        """Remember what was sent of this speaker; what was before."""
        if heard.speaker < 0:
            return None
        before = self._voices.get(heard.speaker)
        self._voices[heard.speaker] = heard.packet, heard.said[-1][1]
        return before

    def _length(self, heard: Heard) -> int:
        """How long a packet lasts, in ticks."""
        if heard.ticks or heard.speaker < 0:
            return heard.ticks or FRAME_TICKS
        speaker: Speaker = self._all[heard.speaker]
        return speaker.frame_ticks

    def _judge_mix(self, last: Heard, heard: Heard, gap: int, advance: int) -> list[str]:
        """A mix is one clock's; whoever comes to it from elsewhere may come to any frame."""
        faults = [f"gap of {gap} before a mix"] if gap else []
        length = self._length(last)
        if advance < length:
            faults.append(f"time advances by {advance} after a frame of {length}")
        pairs = [
            round((now.at - then.at) * TICKS_PER_S)
            for then in last.mixes
            for now in heard.mixes
            if (then.room, then.output) == (now.room, now.output)
        ]
        if pairs:
            if not any(abs(advance - expected) <= 1 for expected in pairs):
                faults.append(f"time advances by {advance}, the mix's by {pairs[-1]}")
            if heard.marker != (advance > length):
                faults.append(f"marker {heard.marker} after {advance} of {length}")
        return faults

    def _judge_step(self, last: Heard, heard: Heard, step: int, advance: int) -> list[str]:
        if heard.speaker == SERVER_SILENCE:
            return [f"gap of {step - 1} before silence"] if step > 1 else []
        if heard.speaker == MIX:
            return self._judge_mix(last, heard, step - 1, advance)
        if heard.speaker < 0:
            return []
        gap = step - 1
        previous = self._note_voice(heard)
        misses = self._is_choosy or self._may_have_missed(last, heard)
        if last.speaker != heard.speaker:
            return self._judge_switch(last, heard, gap, previous, misses=misses)
        assert previous is not None
        speaker = self._all[heard.speaker]
        uplink = speaker.uplink
        is_packed = bool(last.frames or heard.frames) or self._is_packed(last, heard)
        between = _between(speaker, previous[1], heard, last.emitted, is_packed=is_packed)
        spacing = uplink.ticks[heard.packet] - uplink.ticks[previous[0]]
        pause_s = max(spacing / TICKS_PER_S, heard.emitted - last.emitted)
        faults = _judge_gap(gap, between, pause_s, heard, is_packed=is_packed)
        whole = not (between.refused or between.changed)
        advance += heard.lead_ticks - last.lead_ticks
        if not heard.marker:
            if not whole and not misses:
                faults.append("no marker after packets were left out")
            if advance != spacing and (whole or not misses):
                faults.append(f"time advances by {advance}, the source's by {spacing}")
        elif whole and not between.lost and not between.leap and not uplink.marked[heard.packet]:
            # Whoever chooses may not have been sent what came between.
            if spacing == self._length(last) and pause_s < PAUSE_S and not misses:
                faults.append("a marker within a talkspurt")
        return faults

    def _is_packed(self, last: Heard, heard: Heard) -> bool:
        """Whether what was sent alone then was one of those that others did not join in time."""
        listener = self._listener
        return listener is not None and listener.was_on("A2", last.emitted, heard.emitted)

    def _may_have_missed(self, last: Heard, heard: Heard) -> bool:
        """Whether the listener was sent something else in between."""
        listener = self._listener
        return listener is not None and listener.may_have_missed(last.emitted, heard.emitted)

    def _judge_switch(
        self, last: Heard, heard: Heard, gap: int, previous: tuple[int, int] | None, *, misses: bool
    ) -> list[str]:
        faults = []
        allowed = 0
        if last.speaker == SERVER_SILENCE and previous is not None:
            allowed = heard.packet - previous[1] - 1
        if gap > allowed:
            faults.append(f"gap of {gap} at a switch from {last.speaker}")
        if not heard.marker and not misses:
            faults.append(f"no marker at a switch from {last.speaker}")
        return faults


def _between(
    speaker: Speaker, previous: int, heard: Heard, since: float, *, is_packed: bool
) -> Between:
    """Sum up a source's packets after `previous` and before `heard`.

    Those that were overtaken by the first that is packed find no place before it.
    """
    between, uplink = Between(), speaker.uplink
    began = uplink.arrived[previous]
    arrived = uplink.arrived[heard.packet]  # negative for one that only came as a copy
    until = arrived if is_packed and arrived >= 0 else heard.emitted
    for packet in range(previous + 1, heard.packet):
        arrived = uplink.arrived[packet]
        if arrived < 0 or arrived > until:
            between.lost += 1
        elif any(arrived <= at < began for at in speaker.audibility_changed_at):
            between.overtaken += 1
        else:
            between.refused += 1
    steps = uplink.sequences[heard.packet] - uplink.sequences[previous]
    between.leap = steps - (heard.packet - previous)
    between.changed = any(
        since <= at < heard.emitted for at in reversed(speaker.audibility_changed_at)
    )
    return between


def _judge_gap(
    gap: int, between: Between, pause_s: float, heard: Heard, *, is_packed: bool
) -> list[str]:
    missing = between.lost + between.leap + between.overtaken
    if gap > missing:
        return [f"gap of {gap}, the uplink lost {missing}"]
    is_whole = not (between.refused or between.changed)
    if is_packed:
        return []  # one number may stand for three that are missing, or none for one
    is_short = missing < GAP_MAX and pause_s < PAUSE_S
    if gap != missing and is_whole and (is_short or not heard.marker):
        return [f"gap of {gap} hides a loss of {missing}"]
    return []


def _signed16(value: int) -> int:
    return (value + 0x8000 & 0xFFFF) - 0x8000


def _signed32(value: int) -> int:
    return (value + 0x80000000 & 0xFFFFFFFF) - 0x80000000
