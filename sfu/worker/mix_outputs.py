"""One room's mixes: which there are, and on which slot of the forwarder each of them runs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from sfu.mixing.orders import CloseRoom, OpenRoom, Order, StartOutput, StopOutput
from sfu.worker.mix_sources import MixSources

if TYPE_CHECKING:
    from sfu.fast import Forwarder
    from sfu.stage import Participant, Room
    from sfu.worker.peers import Peers

# After the last listener: a line that wavers between two tiers comes back within this.
LINGER_S = 10.0
# Those without somebody's own voice, in one room: with those of its audience they take less than
# half of all that can be mixed.
MINUS_MAX = 20


class MixKey(NamedTuple):
    """Which mix: `minus` is the echo group that is left out, None for nobody."""

    tier: str
    minus: int | None


class Output:
    """One mix: `number` is the mixer's name for it, `slot` the forwarder's."""

    __slots__ = (
        "_forwarder",
        "_streams",
        "_used_at",
        "ends_at",
        "is_asked_for",
        "is_flowing",
        "key",
        "number",
        "slot",
    )

    def __init__(self, number: int, key: MixKey, slot: int, forwarder: Forwarder) -> None:
        self.number = number
        self.key = key
        self.slot = slot
        self.is_flowing = False  # its frames come
        # Of the last frame: where the next one follows without a pause.
        self.ends_at = 0.0
        # Somebody wanted it since the last look.
        self.is_asked_for = True
        self._forwarder = forwarder
        self._streams: dict[int, int] = {}  # by copies
        self._used_at = -math.inf

    def stream(self, copies: int) -> int:
        """The forwarder's stream of it with so many earlier frames in each packet."""
        stream = self._streams.get(copies)
        if stream is None:
            stream = self._streams[copies] = self._forwarder.slot_stream(self.slot, copies)
        return stream

    def is_over(self, now: float) -> bool:
        """Look: whether nobody has carried it or asked for it for LINGER_S."""
        if self.is_asked_for or any(map(self._forwarder.carriers, self._streams.values())):
            self.is_asked_for = False
            self._used_at = now
        return now - self._used_at >= LINGER_S


class RoomMixes:
    """Of one room, which asks here; `number` is the mixer's name for it.

    `add` makes an output, or None when there cannot be one more; `is_available` says whether
    anything is mixed at all.
    """

    __slots__ = ("_add", "_is_available", "number", "outputs", "room", "slot_ids", "sources")

    def __init__(
        self,
        number: int,
        peers: Peers,
        *,
        add: Callable[[RoomMixes, MixKey], Output | None],
        is_available: Callable[[], bool],
    ) -> None:
        self.number = number
        self.room: Room | None = None
        self.sources = MixSources(number, peers)
        self.outputs: dict[MixKey, Output] = {}
        self.slot_ids: tuple[int, ...] = ()  # of the forwarder, those that are tapped
        self._add = add
        self._is_available = is_available

    @property
    def is_available(self) -> bool:
        """Whether anybody can be sent a mix at this time."""
        return self._is_available()

    def stream(self, tier: str, participant: Participant | None, copies: int) -> int | None:
        """The forwarder's stream of the mix of `tier`, with so many earlier frames in each packet.

        With `participant` its echo group is left out: for everybody of whose echo group somebody
        may be heard. It is made from now on, and for LINGER_S after the last egress that carries it
        or the last call. None when there is no mix at this time, or there cannot be one more.
        """
        if not self.is_available:
            return None
        key = _key(tier, participant)
        output = self.outputs.get(key)
        if output is None:
            output = self._add(self, key)
        if output is None:
            return None
        output.is_asked_for = True
        return output.stream(copies)

    def is_flowing(self, tier: str, participant: Participant | None) -> bool:
        """Whether its frames come, so that whoever changes to it does not fall silent."""
        output = self.outputs.get(_key(tier, participant))
        return self.is_available and output is not None and output.is_flowing

    @property
    def has_room_for_one(self) -> bool:
        """Whether there may be one more mix that leaves somebody out."""
        return sum(key.minus is not None for key in self.outputs) < MINUS_MAX

    def opening(self) -> list[Order]:
        """What makes a mixer that knows nothing of this room make all of its mixes."""
        self.sources.forget_all()
        orders: list[Order] = [OpenRoom(room=self.number, slots=len(self.slot_ids))]
        return orders + [self.starting(output) for output in self.outputs.values()]

    def closing(self) -> Order:
        """The order that ends all of that."""
        return CloseRoom(room=self.number)

    def starting(self, output: Output) -> Order:
        """The order that begins one of its outputs."""
        tier, minus = output.key
        return StartOutput(room=self.number, output=output.number, tier=tier, minus=minus)

    def stopping(self, output: Output) -> Order:
        """The order that ends one of its outputs."""
        return StopOutput(room=self.number, output=output.number)


def _key(tier: str, participant: Participant | None) -> MixKey:
    return MixKey(tier, None if participant is None else participant.echo_group)
