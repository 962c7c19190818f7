"""The way to the mixer and back: orders and packets go in, frames and measured levels come out.

`InlineMixing` mixes where it is called, for the simulator and tests; the daemon's port does it in a
thread of its own (`sfu.shell.mixing_thread`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from sfu.mixing.orders import Frame, Order, Packet

if TYPE_CHECKING:
    from sfu.mixing import Mixer


class Taken(NamedTuple):
    """Packets of one slot of a room, in the order they came."""

    room: int
    slot: int  # its index in the room
    packets: Sequence[Packet]


class Mixed(NamedTuple):
    """What came out of the mixer since it was last asked.

    `measured`: sources with the level of what was decoded, in dBov as a packet would claim it (0
    to 127), where their packets claim none or another; None: they tell the truth again.
    """

    frames: Sequence[Frame]
    measured: Sequence[tuple[int, int | None]]


class MixPort(Protocol):
    """A mixer somewhere. Nothing here waits for it, and nothing of it raises."""

    @property
    def is_running(self) -> bool:
        """Whether orders are carried out; False while it is broken, before it is started again."""

    @property
    def starts(self) -> int:
        """How often it was started. What was ordered before the last time is forgotten."""

    @property
    def load(self) -> float:
        """The share of its time that it has worked lately."""

    def send(self, orders: Sequence[Order], taken: Sequence[Taken], now: float) -> None:
        """First the orders, then the packets, after whatever was sent before."""

    def take(self) -> Mixed:
        """What is finished, each once."""

    def handle_timer(self, now: float) -> bool:
        """Mix what is due, where this is done in line: True when there is something to take."""

    def next_deadline(self) -> float | None:
        """When `handle_timer` has something to do while anything is mixed, None for never."""


class InlineMixing:
    """A mixer that works on the caller's time."""

    is_running = True
    starts = 1
    load = 0.0  # time does not pass while it works

    def __init__(self, mixer: Mixer) -> None:
        self._mixer = mixer
        self._frames: list[Frame] = []

    def send(self, orders: Sequence[Order], taken: Sequence[Taken], now: float) -> None:
        """As `MixPort`; what is wrong with it is raised."""
        for order in orders:
            self._mixer.apply(order)
        for room, slot, packets in taken:
            self._mixer.take(room, slot, packets)

    def take(self) -> Mixed:
        """As `MixPort`."""
        frames, self._frames = self._frames, []
        return Mixed(frames, self._mixer.measured())

    def handle_timer(self, now: float) -> bool:
        """As `MixPort`."""
        if self._mixer.next_deadline() > now:
            return False
        self._frames += self._mixer.tick(now)
        return True

    def next_deadline(self) -> float | None:
        """As `MixPort`."""
        return self._mixer.next_deadline()
