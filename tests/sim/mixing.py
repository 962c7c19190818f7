"""The mixer of a simulation, and what is known for certain of all that comes out of it.

The real mixer works here, in line. It decodes what simulated voices say, which is noise; so levels
that it measures mean nothing and are kept from the worker. Each frame is remembered by its bytes:
whoever is sent those bytes is sent that frame, in whatever packet.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from sfu.mixing import Mixer, Order, SetSource, StartOutput
from sfu.worker.mix_port import InlineMixing, Mixed, Taken
from tests.sim.payload import MixFrame, identify

# Silence is the same bytes again and again; nobody is sent what is older than a second.
ALIKE_MAX = 8
# A jitter buffer holds no more, nor does a decoder conceal any longer.
HEARD_WITHIN_S = 0.2


class RecordedMixing(InlineMixing):
    """Mixes where it is called, and remembers what it was told and what came of it."""

    def __init__(self, mixer: Mixer) -> None:
        super().__init__(mixer)
        self.mixes: dict[bytes, list[MixFrame]] = {}
        self.frames = 0
        # Of each room and output as the mixer calls them: its tier, and the group it leaves out.
        self._outputs: dict[tuple[int, int], tuple[str, int | None]] = {}
        # Of each room: the echo group of a CSRC, as the mixer was told last.
        self.echo_groups: dict[int, dict[int, int]] = {}
        # Of each room: by client, when its packets came to the mixer.
        self.came: dict[int, dict[int, list[float]]] = {}

    def send(self, orders: Sequence[Order], taken: Sequence[Taken], now: float) -> None:
        """As `MixPort`."""
        for order in orders:
            if isinstance(order, StartOutput):
                self._outputs[order.room, order.output] = str(order.tier), order.minus
            elif isinstance(order, SetSource):
                self.echo_groups.setdefault(order.room, {})[order.csrc] = order.echo_group
        for room, _, packets in taken:
            came = self.came.setdefault(room, {})
            for packet in packets:
                speaker = identify(packet.payload, {}).speaker
                if speaker >= 0:
                    came.setdefault(speaker, []).append(packet.at)
        super().send(orders, taken, now)

    def take(self) -> Mixed:
        """As `MixPort`, without levels."""
        mixed = super().take()
        for frame in mixed.frames:
            tier, minus = self._outputs[frame.room, frame.output]
            known = self.mixes.setdefault(frame.payload, [])
            known.append(
                MixFrame(self.frames, frame.room, frame.output, tier, minus, frame.csrcs, frame.at)
            )
            del known[:-ALIKE_MAX]
            self.frames += 1
        return Mixed(mixed.frames, ())

    def said(self, room: int, client: int, at: float, until: float) -> list[float]:
        """When that came of this client which may be in a frame."""
        came = self.came.get(room, {}).get(client, [])
        first = bisect_left(came, at - HEARD_WITHIN_S)
        return came[first : bisect_right(came, until)]
