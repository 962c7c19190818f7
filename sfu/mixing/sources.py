"""The sources of one room, which of them hold its slots, and whose voices are decoded."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence

from .orders import NOBODY, Packet, SetSource
from .source import Source
from .stats import Buffer, Counts

# As many as speak in a large room within hours; of more, who was silent for longest is forgotten.
SOURCES_MAX = 1_024
# Beside the holder of each slot, one that fades.
VOICES_PER_SLOT = 2
# A decoder whose source is silent for longer goes (60 KB); the next word makes a new one.
IDLE_TICKS_MAX = 500  # 10 s


class Sources:
    """`slots` voices at once and as many that end."""

    def __init__(self, slots: int, counts: Counts) -> None:
        self.voices_max = slots * VOICES_PER_SLOT
        self.speaking: dict[int, Source] = {}  # those with a voice
        self._counts = counts
        self._known: OrderedDict[int, Source] = OrderedDict()
        self._holders: list[int] = [NOBODY] * slots
        self._newest: list[int] = [-1] * slots  # index on the slot
        self._idle_ticks: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._known)

    def describe(self, order: SetSource) -> None:
        """Take over who a source is. Nothing is left of another participant of its number."""
        known = self._known.get(order.source)
        if known is not None and known.echo_group is not None and known.csrc != order.csrc:
            self.forget(order.source)
        self._source(order.source).describe(order)

    def forget(self, number: int) -> None:
        """Not a word follows of what has come of this source, if any has."""
        source = self._known.pop(number, None)
        if source is not None and source.voice is not None:
            self._fall_silent(source)

    def take(self, slot: int, packets: Sequence[Packet]) -> None:
        """Packets of one slot, in the order in which they came."""
        if not 0 <= slot < len(self._holders):
            self._counts.stray_packets += len(packets)
            return
        for packet in packets:
            if packet.index > self._newest[slot]:
                self._newest[slot] = packet.index
                self._hold(slot, packet.source)
            if packet.source != NOBODY:
                self._hear(slot, packet)

    def rest(self, source: Source) -> None:
        """A tick in which it said nothing; its decoder goes after many of them."""
        source.levelling.pause()
        assert source.voice is not None
        idle = self._idle_ticks.get(source.number, 0) + 1 if source.voice.is_idle else 0
        self._idle_ticks[source.number] = idle
        if idle > IDLE_TICKS_MAX:
            self._fall_silent(source)

    def lies(self) -> Iterator[tuple[int, int]]:
        """Whose claims differ from what is heard, with the level (-dBov) that is heard.

        Of who is not heard nothing is known: a level from before would keep it from being heard.
        """
        for number, source in self.speaking.items():
            assert source.voice is not None
            if source.claims.is_lying and source.voice.is_playing:
                yield number, source.claims.measured

    def buffers(self) -> list[Buffer]:
        """How long packets of those that play wait, and how long they should."""
        return [
            Buffer(number, 1_000 * source.voice.delay_s, 1_000 * source.voice.target_s)
            for number, source in self.speaking.items()
            if source.voice is not None and source.voice.is_playing
        ]

    def _hold(self, slot: int, number: int) -> None:
        before = self._holders[slot]
        if number == before:
            return
        self._holders[slot] = number
        ended = self.speaking.get(before)
        if ended is not None and ended.slot == slot and ended.voice is not None:
            ended.voice.end()

    def _hear(self, slot: int, packet: Packet) -> None:
        source = self._source(packet.source)
        if source.voice is None:
            self._make_room()
            self.speaking[source.number] = source
        if source.echo_group is None:
            source.csrc = packet.csrc
        self._idle_ticks[source.number] = 0
        source.speak(slot, self._counts).take(packet)
        if self._holders[slot] != packet.source:
            assert source.voice is not None
            source.voice.end()  # a straggler: it holds the slot no more

    def _source(self, number: int) -> Source:
        source = self._known.get(number)
        if source is None:
            source = self._known[number] = Source(number)
            self._forget_surplus()
        self._known.move_to_end(number)
        return source

    def _forget_surplus(self) -> None:
        if len(self._known) > SOURCES_MAX:
            silent = next(number for number in self._known if number not in self.speaking)
            del self._known[silent]

    def _make_room(self) -> None:
        """One more voice must fit: who has said nothing for longest goes, or who came first."""
        if len(self.speaking) < self.voices_max:
            return
        longest = max(self.speaking, key=lambda number: self._idle_ticks.get(number, 0))
        self._fall_silent(self.speaking[longest])

    def _fall_silent(self, source: Source) -> None:
        source.voice = None
        del self.speaking[source.number]
        self._idle_ticks.pop(source.number, None)
