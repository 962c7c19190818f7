"""A forwarder that records what a room does to it, and whose sources speak by script.

It stands in for the compiled one, so that a room's decisions are tested without packets: `speak`
is one packet's level, smoothed as sfu/fast/README.md says.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, cast

if TYPE_CHECKING:
    from sfu.fast import Challenge, Forwarder
    from sfu.stage import Participant

SILENT = 127
VOICED_MAX = 50
ATTACK, RELEASE = 0.5, 0.1


class FakeLevel(NamedTuple):
    """As `sfu.fast.SourceLevel`."""

    level_db: float = -127.0
    voiced: bool = False
    voiced_age: float = math.inf
    packet_age: float = math.inf
    instant: int = SILENT
    frame_ms: int = 20
    measured: bool = True
    pausing: bool = False


class FakeChallenge(NamedTuple):
    """As `sfu.fast.Challenge`."""

    source: int
    level: int
    handle: int = 0


@dataclass
class FakeSource:
    """What the forwarder knows of a source."""

    audible: bool = False
    level_db: float = -127.0
    instant: int = SILENT
    frame_ms: int = 20
    voiced_at: float = -math.inf
    packet_at: float = -math.inf


class FakeForwarder:
    """Tables as Python writes them; every write that the contract forbids is an assertion."""

    def __init__(self) -> None:
        self.sources: dict[int, FakeSource] = {}
        self.slots: dict[int, int] = {}  # slot id -> source, -1 for nobody
        self.subscriptions: dict[int, int] = {}  # egress -> stream, -1 for nothing
        self.red_egresses: set[int] = set()
        self.is_full = False  # no row is free for anything more
        self.subscribe_calls: list[tuple[int, int]] = []
        self.assign_calls: list[tuple[int, int]] = []
        self._ids = iter(range(100, 1_000_000))

    def as_forwarder(self) -> Forwarder:
        """For the type checker: a room needs only the methods below."""
        return cast("Forwarder", self)

    def new_source(self) -> int:
        source = next(self._ids)
        self.sources[source] = FakeSource()
        return source

    def new_egresses(self, count: int) -> list[int]:
        egresses = [next(self._ids) for _ in range(count)]
        self.subscriptions.update(dict.fromkeys(egresses, -1))
        return egresses

    def remove_transport(self, source: int, egresses: tuple[int, ...]) -> None:
        self.sources.pop(source, None)
        for egress in egresses:
            assert self.subscriptions.pop(egress) == -1, "left while still subscribed"

    # What a room calls

    def add_audience(self) -> int:
        return next(self._ids)

    def remove_audience(self, audience: int) -> None:
        assert not self.slots, "slots go first"

    def set_segmented(self, audience: int, segmented: bool) -> None:
        pass

    def add_slot(self, audience: int = -1) -> int:
        if self.is_full:
            raise OverflowError
        slot = next(self._ids)
        self.slots[slot] = -1
        return slot

    def remove_slot(self, slot: int) -> None:
        streams = {
            self.slot_stream(slot, redundancy, packed=packed)
            for redundancy in range(3)
            for packed in ((False,) if self.is_full else (False, True))
        }
        assert not streams & set(self.subscriptions.values()), "stream is subscribed"
        del self.slots[slot]

    def slot_stream(self, slot: int, redundancy: int = 0, *, packed: bool = False) -> int:
        assert slot in self.slots
        assert 0 <= redundancy <= 2
        if packed and self.is_full:
            raise OverflowError
        return slot + 1_000_000 * (1 + redundancy + (3 if packed else 0))

    def assign(self, slot: int, source: int, now: float) -> None:
        assert slot in self.slots
        if source != -1:
            assert self.sources[source].audible, "an inaudible source got a slot"
            assert source not in self.slots.values(), "a source holds at most one slot"
        self.slots[slot] = source
        self.assign_calls.append((slot, source))

    def set_audible(self, source: int, audible: bool) -> None:
        self.sources[source].audible = audible

    def subscribe(self, egress: int, stream: int) -> None:
        assert self.subscriptions[egress] != stream, "subscribed to what it carries already"
        assert stream == -1 or stream % 1_000_000 in self.slots
        is_red = stream // 1_000_000 in (2, 3, 5, 6)
        assert not is_red or egress in self.red_egresses, "RED for who takes none"
        self.subscriptions[egress] = stream
        self.subscribe_calls.append((egress, stream))

    def egress_stream(self, egress: int) -> int:
        return self.subscriptions[egress]

    def level(self, source: int, now: float) -> FakeLevel:
        row = self.sources[source]
        return FakeLevel(
            level_db=row.level_db,
            voiced=row.instant <= VOICED_MAX,
            voiced_age=now - row.voiced_at,
            packet_age=now - row.packet_at,
            instant=row.instant,
            frame_ms=row.frame_ms,
        )

    def levels(self, sources: list[int], now: float) -> list[FakeLevel]:
        return [self.level(source, now) for source in sources]

    # What packets do

    def speak(self, source: int, level: int, now: float, frame_ms: int = 20) -> Challenge | None:
        """One packet: a challenge when it is voiced and its source holds no slot."""
        row = self.sources[source]
        if not row.audible:
            return None
        for _ in range(max(1, frame_ms // 20)):
            coefficient = ATTACK if -level > row.level_db else RELEASE
            row.level_db += coefficient * (-level - row.level_db)
        row.instant, row.frame_ms, row.packet_at = level, frame_ms, now
        if level > VOICED_MAX:
            return None
        row.voiced_at = now
        if source in self.slots.values():
            return None
        return cast("Challenge", FakeChallenge(source, round(row.level_db)))


class FakeMixes:
    """The mixes of a room on a `FakeForwarder`: slots that nobody holds, made when asked for."""

    def __init__(self, forwarder: FakeForwarder) -> None:
        self._forwarder = forwarder
        self.is_available = True
        self.flowing = True  # whether new ones flow at once
        self.own_max = 32
        self.slots: dict[tuple[str, int | None], int] = {}  # by tier and echo group left out
        self.waiting: set[tuple[str, int | None]] = set()

    def stream(self, tier: str, participant: Participant | None, copies: int) -> int | None:
        key = (tier, None if participant is None else participant.echo_group)
        if not self.is_available:
            return None
        if key not in self.slots:
            if key[1] is not None and sum(own is not None for _, own in self.slots) >= self.own_max:
                return None
            self.slots[key] = self._forwarder.add_slot()
            if not self.flowing:
                self.waiting.add(key)
        return self._forwarder.slot_stream(self.slots[key], copies)

    def is_flowing(self, tier: str, participant: Participant | None) -> bool:
        key = (tier, None if participant is None else participant.echo_group)
        return self.is_available and key in self.slots and key not in self.waiting
