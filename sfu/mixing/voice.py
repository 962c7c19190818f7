"""One source on the room clock: its packets come irregularly, its sound is fetched tick by tick.

Theory. The room clock counts 48 kHz ticks of `now`; the source's timeline is its slot's. While a
voice plays, both advance alike, so how long a packet waits is one number:

    delay = room clock now - time of the sample played now - least transit (see jitter)

The delay changes only where this happens:

- nothing has come when it is due: concealment is put in between, and the voice goes on later (up to
  the cap; beyond it time is lost instead). If it turns out that a packet was lost, not late, what
  was concealed has filled its place and the delay is as before;
- the wait that the line wants has changed by more than 10 ms: a period of the voice is left out or
  repeated, at most every 100 ms, or quiet is made shorter or longer;
- a pause of the talker: what follows is played when its own wait is over.

A gap in the index is loss; a gap in time without one is a pause (DTX), during which the source
contributes nothing. Whatever begins, ends or jumps is ramped over 5 to 20 ms.

Times are what a publisher says. A packet that was overtaken and claims to be later than the one
that overtook it is dropped; and when whatever is new has been late for half a second, the timeline
has leapt back and begins anew.
"""

from __future__ import annotations

from dataclasses import replace

from . import stretching
from .claims import LEVEL_MAX, NO_CLAIM
from .decoding import TAIL_TICKS, Decoding, is_comfort
from .jitter import TARGET_S_MAX, Arrivals
from .opus import PACKET_TICKS_MAX, RATE_HZ, STEP_TICKS, Pcm, packet_ticks
from .orders import Packet
from .sound import Sound
from .stats import Counts
from .stretching import BLEND_TICKS, RISE
from .waiting import Waiting

TICK_TICKS = 960  # 20 ms
# The wait may be this far from what is wanted: a period of most voices.
PACE_ERROR_S = 0.010
PACE_TICKS = 4_800  # 100 ms between two changes of the wait
# A seam that is heard is better than a delay that stays: after so many ticks any is taken.
SEARCHES_MAX = 15
# This far above the cap something is wrong (a burst after an outage): it is cut at once.
CUT_ABOVE_S = 0.010
# Longer than any line holds up packets one after the other that are as far apart as ever.
LEFT_BEHIND_S = 0.5
_NEVER = -(1 << 62)
_SILENCE: Pcm = RISE * 0


class Voice:
    """The sound of one source. `take` its packets, `pull` once a tick."""

    __slots__ = (
        "_arrivals", "_clock", "_counts", "_decoding", "_frame_ticks", "_index", "_inserted",
        "_is_ending", "_is_paused", "_is_playing", "_late_since", "_newest_index", "_newest_time",
        "_next", "_paced_at", "_searches", "_seam", "_sound", "_waiting", "claimed",
    )  # fmt: skip

    def __init__(self, counts: Counts) -> None:
        self.claimed = NO_CLAIM  # by the packet that was decoded last: -dBov
        self._counts = counts
        self._arrivals = Arrivals()
        self._waiting = Waiting()
        self._decoding = Decoding(counts)
        self._sound = Sound()
        self._is_playing = False
        self._is_ending = False  # somebody else holds the slot
        self._is_paused = False  # the talker has said so
        self._clock = 0  # of the next tick
        self._next = _NEVER  # time of what is decoded next
        self._index = 0  # of what was decoded last
        self._newest_index = self._newest_time = _NEVER  # of what has come
        self._late_since: float | None = None  # whatever is new has come too late since then
        self._frame_ticks = TICK_TICKS
        self._inserted = 0  # concealment of which it is not known whether it fills a gap
        self._seam: Pcm | None = None  # passes into what is decoded next
        self._paced_at = _NEVER
        self._searches = 0

    @property
    def is_playing(self) -> bool:
        """Something of it is under way."""
        return self._is_playing

    @property
    def is_idle(self) -> bool:
        """Nothing is under way and nothing waits."""
        return not self._is_playing and not len(self._waiting)

    @property
    def target_s(self) -> float:
        """How long a packet should wait."""
        return self._arrivals.target_s

    @property
    def delay_s(self) -> float:
        """How long a packet that comes as early as any has come waits until its tick."""
        played = self._next - self._sound.ticks
        return (self._clock - played) / RATE_HZ - self._arrivals.base_s

    def take(self, packet: Packet) -> None:
        """A packet has come, in whatever order."""
        ticks = packet_ticks(packet.payload)
        if not ticks:
            self._counts.bad_packets += 1
            return
        if packet.ticks != ticks:
            packet = replace(packet, ticks=ticks)
        if not self._is_plausible(packet, ticks):
            self._counts.bad_packets += 1
            return
        self._is_ending = False
        if packet.marker and not self._is_playing:
            self._arrivals.restart()
        self._arrivals.observe(packet.time_ticks / RATE_HZ, packet.at, ticks / RATE_HZ)
        if packet.time_ticks + ticks <= self._next:
            self._counts.late_packets += 1
            self._arrivals.lose(packet.at)
        elif not self._waiting.add(packet):
            self._counts.duplicate_packets += 1
        else:
            self._counts.dropped_packets += self._waiting.dropped
            self._waiting.dropped = 0

    def end(self) -> None:
        """Nothing will follow what has come: the slot is somebody else's."""
        self._is_ending = True

    def move(self) -> None:
        """What follows is of another slot, with another timeline."""
        self._arrivals.restart()
        self._waiting.clear()
        self._sound.clear()
        self._next = self._newest_index = self._newest_time = _NEVER
        self._late_since = None
        self._is_playing = False

    def pull(self, clock: int, row: Pcm) -> bool:
        """Put the tick that begins at `clock` (room ticks) into `row`; False: it says nothing.

        Ticks may be skipped, and then what would have been played in them is left out.
        """
        if not self._is_playing:
            self._clock = clock
            if not self._begin():
                return False
        elif clock != self._clock:
            self._cut(clock - self._clock)
            self._clock = clock
        self._keep_pace()
        while self._is_playing and self._sound.ticks < TICK_TICKS:
            self._extend()
        self._sound.take(row)
        self._clock += TICK_TICKS
        return True

    def _is_plausible(self, packet: Packet, ticks: int) -> bool:
        """Whether it may be where it says; begins anew when all that is new says otherwise."""
        if packet.index <= self._newest_index:
            return packet.time_ticks <= self._newest_time
        if packet.time_ticks + ticks > self._next:
            self._late_since = None
        elif self._late_since is None:
            self._late_since = packet.at
        elif packet.at - self._late_since >= LEFT_BEHIND_S:
            self.move()
        self._newest_index, self._newest_time = packet.index, packet.time_ticks
        return True

    def _begin(self) -> bool:
        """Begin to play if the first packet's wait ends within this tick."""
        first = self._waiting.first
        while first is not None and is_comfort(first.payload):
            self._next = first.time_ticks + first.ticks
            self._waiting.pop()
            first = self._waiting.first
        if first is None:
            return False
        wait_s = self._arrivals.base_s + self._arrivals.target_s
        lead = first.time_ticks + round(wait_s * RATE_HZ) - self._clock
        if lead >= TICK_TICKS:
            return False
        self._next = first.time_ticks
        self._index = first.index - 1
        self._sound.clear()
        self._sound.append_silence(max(0, lead))
        self._seam = _SILENCE
        self._is_playing, self._is_paused = True, False
        self._inserted = self._searches = 0
        return True

    def _stop(self) -> None:
        self._is_playing = False
        self._inserted = 0

    def _extend(self) -> None:
        """Decode, or make up, what comes next."""
        packet = self._waiting.first
        if packet is None:
            self._starve()
        elif packet.time_ticks + packet.ticks <= self._next:
            self._waiting.pop()
            self._counts.late_packets += 1
        elif packet.time_ticks <= self._next:
            self._play(self._waiting.pop())
        else:
            self._bridge(packet)

    def _play(self, packet: Packet) -> None:
        sound = None
        if not is_comfort(packet.payload):
            sound = self._decoding.packet(packet.payload)
            if sound is None:
                return  # as if it had been lost: what follows may have a copy of it
            self.claimed = packet.level
        self._index = packet.index
        self._frame_ticks = packet.ticks
        self._inserted = 0
        said = self._next - packet.time_ticks  # overlaps what was played by so much
        self._next = packet.time_ticks + packet.ticks
        if sound is None:
            self._fall_silent(packet.ticks - said)
        else:
            self._is_paused = False
            self._append(sound[said:])

    def _append(self, sound: Pcm) -> None:
        if self._seam is not None:
            stretching.blend(sound, self._seam)
            self._seam = None
        self._sound.append(sound)

    def _fall_silent(self, ticks: int) -> None:
        """Silence for `ticks`, into which the voice fades."""
        if not self._is_paused and ticks >= TAIL_TICKS:
            self._append(self._decoding.tail())
            ticks -= TAIL_TICKS
        self._sound.append_silence(min(ticks, PACKET_TICKS_MAX))
        self._is_paused = True
        self.claimed = LEVEL_MAX
        self._seam = _SILENCE

    def _starve(self) -> None:
        """Nothing has come."""
        if self._is_paused:
            self._stop()
        elif self._is_ending:
            self._append(self._decoding.tail())
            self._stop()
        else:
            wanted = TICK_TICKS - self._sound.ticks
            sound = self._decoding.missing(wanted + -wanted % STEP_TICKS)
            if self.delay_s + len(sound) / RATE_HZ <= TARGET_S_MAX:
                self._inserted += len(sound)
            else:
                self._next += len(sound)
            self._append(sound)
            if self._decoding.is_spent:
                self._stop()

    def _bridge(self, following: Packet) -> None:
        """Something is missing before the first packet that waits."""
        gap = following.time_ticks - self._next
        if self._inserted:
            filled = min(gap, self._inserted)
            self._next += filled
            self._inserted -= filled
        elif self._is_paused or following.index == self._index + 1:
            self._pause(following, gap)
        else:
            self._arrivals.lose(following.at)
            self._conceal(following, gap)

    def _conceal(self, following: Packet, gap: int) -> None:
        """Make up the next frame that was lost."""
        ticks = min(gap, self._frame_ticks)
        ticks -= ticks % STEP_TICKS
        if not ticks:
            self._next = following.time_ticks  # less than 2.5 ms: no codec's frame
            return
        self._next += ticks
        last = following.payload if ticks == gap else None
        self._append(self._decoding.missing(ticks, last))
        if self._decoding.is_spent:
            self._stop()

    def _pause(self, following: Packet, gap: int) -> None:
        """The talker said nothing for `gap` ticks: the wait of what follows is chosen anew."""
        gap += round((self._arrivals.target_s - self.delay_s) * RATE_HZ)
        if gap > PACKET_TICKS_MAX:
            self._fall_silent(TAIL_TICKS)
            self._stop()
            return
        self._fall_silent(max(gap, TAIL_TICKS))
        self._next = following.time_ticks
        self._index = following.index - 1

    def _keep_pace(self) -> None:
        """Bring the delay nearer to what the line wants."""
        delay_s = self.delay_s
        excess_s = delay_s - self._arrivals.target_s
        if delay_s > TARGET_S_MAX + CUT_ABOVE_S:
            self._cut(round(excess_s * RATE_HZ))
        elif abs(excess_s) > PACE_ERROR_S and self._clock >= self._paced_at:
            self._stretch(longer=excess_s < 0)

    def _stretch(self, *, longer: bool) -> None:
        needed = TICK_TICKS + stretching.NEEDED_TICKS
        while self._sound.ticks < needed and self._has_next():
            self._extend()
        sound = self._sound.view
        if len(sound) < (stretching.NEEDED_TICKS if longer else needed):
            return
        seam = stretching.find(sound)
        self._searches += 1
        if seam.alike < stretching.ALIKE and self._searches < SEARCHES_MAX:
            return
        change = stretching.lengthened if longer else stretching.shortened
        self._sound.replace(change(sound, seam.lag))
        self._searches = 0
        self._paced_at = self._clock + PACE_TICKS

    def _has_next(self) -> bool:
        first = self._waiting.first
        return first is not None and first.time_ticks <= self._next

    def _cut(self, ticks: int) -> None:
        """Leave out the next `ticks`, whether they are decoded or not."""
        assert ticks > 0
        sound = self._sound.view
        if len(sound) >= ticks + BLEND_TICKS:
            self._sound.replace(stretching.shortened(sound, ticks))
            return
        if self._seam is None:
            self._seam = sound.copy() if len(sound) else self._decoding.tail()
        self._next += ticks - len(sound)
        self._inserted = 0
        self._sound.clear()
