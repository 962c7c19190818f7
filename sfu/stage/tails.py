"""What follows a voice that is cut off: half a second of silence, until somebody speaks.

Theory. An Opus decoder that gets nothing more goes on by itself. After speech it stretches the last
sounds, after comfort noise (DTX) it keeps making noise as loud as the last it heard of, for as long
as nothing comes: a talker who was muted in a noisy street would be heard as that street. Frames of
silence end it. One does not: the decoder fades, and the network may lose some. So silence goes out
frame by frame, as a voice would come, for TAIL_S: enough for every decoder to have faded with half
of the frames lost, and little in the life of a slot. Sent in one burst it would end up as delay in
listeners' jitter buffers.

It is for voices that are cut off: mute, demotion, leaving, moving, and a publisher of whom nothing
comes for LOST_AFTER_S although its last packet did not announce a pause. A voice that pauses by its
own DTX has told the decoder what to play meanwhile. A slot that goes to another speaker needs none:
the new voice replaces what the decoder had. The first packet of any voice ends it, also that of a
lost publisher who is back.

Silence must not cost who speaks next a syllable. So it is pushed as `yields` (sfu/fast/README.md):
never ahead of the clock. Nothing here is exact to the millisecond: a frame that falls out because a
timer was late is silence, too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sfu.fast import SourceLevel

# 20 ms of fullband CELT, mono, that decode to zeros (RFC 6716 3.1, 4.3).
SILENCE = b"\xf8\xff\xfe"
# Of a voice that was cut off; a decoder needs some 100 ms to fade, a jitter buffer as much to play.
TAIL_S = 0.5
# A network that stalls for less will go on in the middle of the word.
LOST_AFTER_S = 0.3
# Half a frame after one was due the next is asked for. Timers come at multiples of a frame, up to
# one late; so the next multiple it is, also when this one came late.
STEP_S = 0.01


def is_lost(level: SourceLevel) -> bool:
    """Whether a voice broke off lately without having announced a pause."""
    return not level.pausing and LOST_AFTER_S <= level.packet_age < LOST_AFTER_S + TAIL_S


class Tails:
    """Of one room: the slots, by index, on which silence follows a voice.

    `stream_of(slot, now)` is where a slot's silence goes, None when somebody speaks there.
    """

    __slots__ = ("_due", "_stream_of", "_until", "deadline")

    def __init__(self, stream_of: Callable[[int, float], int | None]) -> None:
        self._stream_of = stream_of
        self._until: dict[int, float] = {}
        self._due: deque[int] = deque()
        # When `tick` has something to do, None while there is no tail; for others to read only.
        self.deadline: float | None = None

    def __contains__(self, slot: int) -> bool:
        return slot in self._until

    def begin(self, slot: int, now: float, lasts_s: float = TAIL_S) -> None:
        """The voice of `slot` was cut off; a tail that is there already never ends sooner."""
        self._until[slot] = max(now + lasts_s, self._until.get(slot, now))
        if self.deadline is None:
            self.deadline = now

    def end(self, slot: int) -> None:
        """Somebody speaks on `slot`, or it is gone."""
        if self._until.pop(slot, None) is not None and not self._until:
            self.deadline = None

    def tick(self, now: float) -> None:
        """Each tail wants its next frame, or is over. Early and repeated calls do nothing."""
        if self.deadline is None or now < self.deadline:
            return
        self._until = {slot: until for slot, until in self._until.items() if now < until}
        self._due = deque(self._until)
        self.deadline = now + STEP_S if self._until else None

    @property
    def has_due(self) -> bool:
        """Whether `take` has anything to give."""
        return bool(self._due)

    def take(self, now: float) -> int | None:
        """The next stream to push `SILENCE` onto; None for none. Ask again when that is out."""
        while self._due:
            slot = self._due.popleft()
            if slot in self._until:
                stream = self._stream_of(slot, now)
                if stream is not None:
                    return stream
                self.end(slot)
        return None
