"""What an m-line carries when it no longer carries anything: a few frames of silence, then nothing.

The reason is that of `tails`: a decoder that gets nothing more goes on by itself, with the last
sound or with noise. There a voice ends for everybody; here everybody else goes on hearing it, and
one listener does not, because it changed to the mix, paused, or never wants to hear who holds the
slot now. So a room has one stream of silence for all who need it, a slot that nobody holds. It is
there only while somebody does: a room in which nothing changes keeps no row for it.

A line that is full gets CONGESTED_S, enough for the decoder if all arrives; any other gets as much
as a voice that was cut off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .tails import TAIL_S, Tails

if TYPE_CHECKING:
    from sfu.fast import Forwarder

# Five frames at the lowest bit rate there is.
CONGESTED_S = 0.1
CALM_S = TAIL_S
# In place of a slot's index among the tails of a room.
HUSH = -1
# The forwarder's id of nothing.
_NONE = -1


class Hush:
    """The silence of one room. `tails` asks for its frames, and is to be asked at its deadline."""

    __slots__ = ("_forwarder", "_slot", "_tails", "_until")

    def __init__(self, forwarder: Forwarder, tails: Tails) -> None:
        self._forwarder = forwarder
        self._tails = tails
        self._slot = _NONE
        self._until: dict[int, float] = {}  # by egress

    @property
    def stream(self) -> int:
        """The forwarder's stream of silence, -1 while nobody needs it."""
        return _NONE if self._slot == _NONE else self._forwarder.slot_stream(self._slot)

    def stream_of(self, egress: int) -> int:
        """What an egress that carries nothing else carries now."""
        return self.stream if egress in self._until else _NONE

    def begin(self, egress: int, lasts_s: float, now: float) -> None:
        """`egress` falls silent: subscribe it to what `stream_of` says then."""
        if self._slot == _NONE:
            try:
                self._slot = self._forwarder.add_slot()
            except OverflowError:
                return  # the forwarder is full, and silence is the least of its worries
        self._until[egress] = now + lasts_s
        self._tails.begin(HUSH, now, lasts_s)

    def forget(self, egress: int) -> None:
        """`egress` carries something again, or nothing at all: it is subscribed to that already."""
        if self._until.pop(egress, None) is not None and not self._until:
            self._end()

    def tick(self, now: float) -> None:
        """Those who had their silence carry nothing any more."""
        if not self._until:
            return
        for egress in [egress for egress, until in self._until.items() if until <= now]:
            self._forwarder.subscribe(egress, _NONE)
            self.forget(egress)

    def _end(self) -> None:
        """Nobody needs it any more."""
        self._tails.end(HUSH)
        self._forwarder.remove_slot(self._slot)
        self._slot = _NONE
