"""What a decoder would have had at playout: the original, a repetition, a copy, or nothing.

Frames are the packets of a track in the order of their numbers, and the numbers missing between
them. A frame's time is its timestamp on the fastest way that packets of this track took lately, as
a jitter buffer finds out; it must be there a fixed time later. A copy in the RED of a later packet
counts from when that one came.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from tests.sim.downlink import Heard
from tests.sim.payload import SERVER_SILENCE
from tests.sim.voice import TICKS_PER_S

NEVER = 1e12
# What is packed or mixed counts as so many frames of 20 ms.
FRAME_TICKS = 960
# For how long a jitter buffer remembers how fast the way was.
FASTEST_WITHIN_S = 5.0
# A longer gap is a new talkspurt, which nobody conceals.
GAP_MAX = 64


@dataclass(slots=True)
class Decoded:
    """Counts of frames."""

    original: int = 0
    repeated: int = 0
    recovered: int = 0
    concealed: int = 0

    @property
    def frames(self) -> int:
        """All that should have been heard."""
        return self.original + self.repeated + self.recovered + self.concealed

    @property
    def concealment(self) -> float:
        """The share that a decoder had to invent."""
        return self.concealed / self.frames if self.frames else 0.0


def decode(track: list[Heard], buffer_s: float, since: float, until: float) -> Decoded:
    """Play the frames of a track that were emitted from `since` to `until`."""
    decoded = Decoded()
    order = _in_order(track)
    copied = _copies(order)
    last: Heard | None = None
    for heard, due in zip(order, _due(order, buffer_s), strict=True):
        if since <= heard.emitted <= until:
            frames = max(1, heard.ticks // FRAME_TICKS)
            decoded.concealed += _hidden(last, heard)
            if heard.delivered is not None and heard.delivered <= due:
                repeated = bool(heard.repeats) and heard.delivered > heard.repeats[0]
                decoded.repeated += repeated * frames
                decoded.original += (not repeated) * frames
            elif copied.get((heard.speaker, heard.packet), NEVER) <= min(due, NEVER - 1.0):
                decoded.recovered += frames
            else:
                decoded.concealed += frames
        last = heard
    return decoded


def _in_order(track: list[Heard]) -> list[Heard]:
    """By number; what is late stands at most some packets behind its place."""
    extended: list[tuple[int, Heard]] = []
    highest = track[0].sequence if track else 0
    for heard in track:
        number = highest + ((heard.sequence - highest + 0x8000) & 0xFFFF) - 0x8000
        highest = max(highest, number)
        extended.append((number, heard))
    extended.sort(key=lambda entry: entry[0])
    return [heard for _, heard in extended]


def _copies(track: Iterable[Heard]) -> dict[tuple[int, int], float]:
    """When the first copy of each packet came."""
    came: dict[tuple[int, int], float] = {}
    for heard in track:
        if heard.delivered is not None:
            for copy in heard.copies:
                key = copy.speaker, copy.packet
                came[key] = min(came.get(key, heard.delivered), heard.delivered)
    return came


def _due(order: list[Heard], buffer_s: float) -> Iterable[float]:
    """By when each packet must be there, infinite while nothing has come on this track."""
    ways: deque[tuple[float, float]] = deque()
    ticks, reference = 0, order[0].timestamp if order else 0
    for heard in order:
        elapsed = round((heard.emitted - order[0].emitted) * TICKS_PER_S)
        wrapped = heard.timestamp - reference - elapsed
        ticks = elapsed + ((wrapped + 2**31) & 0xFFFFFFFF) - 2**31
        said = ticks / TICKS_PER_S
        if heard.delivered is not None and not heard.repeats:
            way = heard.delivered - said
            while ways and ways[-1][1] >= way:
                ways.pop()
            ways.append((heard.emitted, way))
        while len(ways) > 1 and ways[0][0] < heard.emitted - FASTEST_WITHIN_S:
            ways.popleft()
        yield said + ways[0][1] + buffer_s if ways else float("inf")


def _hidden(last: Heard | None, heard: Heard) -> int:
    """How many frames before this one the listener was shown as lost."""
    if last is None or heard.marker or heard.speaker == SERVER_SILENCE:
        return 0
    gap = ((heard.sequence - last.sequence) & 0xFFFF) - 1
    return gap * max(1, heard.ticks // FRAME_TICKS) if 0 < gap < GAP_MAX else 0
