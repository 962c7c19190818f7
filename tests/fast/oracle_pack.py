"""Packed streams as the oracle knows them: Opus packets taken apart and put together, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.fast.oracle_packet import _frame_length, _frame_ticks
from tests.fast.oracle_stream import Placed

PACK_S = 0.060
PACK_TICKS_MAX = 2_880
PAYLOAD_BYTES_MAX = 1_280
KEPT_BYTES_MAX = 2_560
LOST_MAX = 64
GRAIN_S = 1e-6


class Opus(NamedTuple):
    """An Opus packet: the frames of one configuration. Empty frames are lost ones."""

    toc: int  # without the code
    frames: list[bytes]
    padding: bytes = b""

    @property
    def frame_ticks(self) -> int:
        """How long one frame lasts."""
        return _frame_ticks(self.toc >> 3)


def take_apart(payload: bytes) -> Opus:
    """RFC 6716 3.2; the packet is known to be well formed."""
    toc, code, body = payload[0] & 0xFC, payload[0] & 3, payload[1:]
    if code == 0:
        return Opus(toc, [body])
    if code == 1:
        return Opus(toc, [body[: len(body) // 2], body[len(body) // 2 :]])
    count, padding, lengths = 2, b"", code == 2
    if code == 3:
        count, lengths, flag, body = body[0] & 0x3F, body[0] & 0x80 > 0, body[0] & 0x40, body[1:]
        size = 0
        while flag:
            flag = body[0] == 255
            size, body = size + min(body[0], 254), body[1:]
        padding, body = body[len(body) - size :], body[: len(body) - size]
    if not lengths:
        size = len(body) // count
        return Opus(toc, [body[size * at : size * (at + 1)] for at in range(count)], padding)
    sizes, at = [], 0
    for _ in range(count - 1):
        found = _frame_length(body, at)
        assert found is not None
        sizes.append(found[0])
        at = found[1]
    frames = []
    for size in sizes:
        frames.append(body[at : at + size])
        at += size
    return Opus(toc, [*frames, body[at:]], padding)


def put_together(toc: int, frames: Sequence[bytes], padding: bytes = b"") -> bytes:
    """One packet of `frames`: code 3, or code 0 for one without padding."""
    if len(frames) == 1 and not padding:
        return bytes([toc]) + frames[0]
    varies = len({len(frame) for frame in frames}) > 1
    head = bytes([toc | 3, len(frames) | (0x80 if varies else 0) | (0x40 if padding else 0)])
    if padding:
        more, last = divmod(len(padding), 254)
        if last == 0:
            more, last = more - 1, 254
        head += bytes([255] * more + [last])
    lengths = [_length(len(frame)) for frame in frames[:-1]] if varies else []
    return head + b"".join(lengths) + b"".join(frames) + padding


def _length(size: int) -> bytes:
    if size < 252:
        return bytes([size])
    return bytes([252 + size % 4, (size - 252 - size % 4) // 4])


@dataclass
class Waiting:
    """What waits to leave as one packet. A frame that is None has not come."""

    first: Placed
    time: int
    begun_at: float
    opus: Opus
    frames: list[bytes | None] = field(default_factory=list)
    packets: list[Placed] = field(default_factory=list)
    size: int = 2
    marker: bool = False
    padding: bytes = b""

    @property
    def ticks(self) -> int:
        """How long it lasts."""
        return len(self.frames) * self.opus.frame_ticks

    def is_full(self, packet: Placed) -> bool:
        """Whether no other packet as long as this one finds room."""
        return self.ticks + packet.ticks > PACK_TICKS_MAX

    def put_in(self, packet: Placed, at: int) -> bool:
        """The packet's frames get their places, if there is room for their bytes."""
        opus = take_apart(packet.payload)
        is_first = not self.frames
        size = sum(len(frame) + len(_length(len(frame))) for frame in opus.frames)
        if is_first:
            self.padding, self.marker = opus.padding, packet.marker
            size += len(opus.padding) + (len(opus.padding) // 254 + 1 if opus.padding else 0)
        kept = sum(len(one.payload) for one in self.packets) + len(packet.payload)
        if not is_first and (self.size + size > PAYLOAD_BYTES_MAX or kept > KEPT_BYTES_MAX):
            return False
        self.frames[at : at + len(opus.frames)] = opus.frames
        self.packets.append(packet)
        self.size += size
        return True

    def payload(self) -> bytes:
        """One packet alone stays as it came."""
        if len(self.packets) == 1 and None not in self.frames:
            return self.packets[0].payload
        return put_together(self.opus.toc, [frame or b"" for frame in self.frames], self.padding)

    def level_byte(self) -> int:
        """The loudest of all, with the voice bit if any has it."""
        levels = [one.mark.level_byte for one in self.packets]
        return (0x80 if max(levels) & 0x80 else 0) | min(level & 0x7F for level in levels)


class Packer:
    """Makes packs of a slot's packets, with numbers of their own."""

    def __init__(self) -> None:
        self.index = 0
        self.waiting: Waiting | None = None
        self.made = self.late = 0
        self._last: Placed | None = None
        self._out: list[Placed] = []

    def rest(self) -> None:
        """Nobody listens: what waits is worth nothing."""
        self.waiting = self._last = None

    def due_at(self) -> float | None:
        """When what waits leaves at the latest."""
        return None if self.waiting is None else self.waiting.begun_at + PACK_S

    def due(self, now: float) -> list[Placed]:
        """What has waited for long enough."""
        if self.waiting is not None and now >= self.waiting.begun_at + PACK_S - GRAIN_S:
            self._end()
        return self._taken()

    def take(self, packet: Placed, now: float) -> list[Placed]:
        """A packet has its place on the slot's stream; returns the packs that leave."""
        if packet.late:
            self._take_late(packet)
            return self._taken()
        lost = self._lost_before(packet)
        if lost is None or (self.waiting and now >= self.waiting.begun_at + PACK_S - GRAIN_S):
            self._end()
        if packet.ticks > PACK_TICKS_MAX:
            self._end()
            self._leave(packet)
            self._last = None
            return self._taken()
        if lost:
            self._lose(packet, lost, now)
        if self.waiting is not None:
            at = len(self.waiting.frames)
            if self.waiting.is_full(packet) or not self.waiting.put_in(packet, at):
                self._end()
        if self.waiting is None:
            self.waiting = Waiting(packet, packet.time, now, take_apart(packet.payload))
            self.waiting.put_in(packet, 0)
        self._last = packet
        self._end_if_whole(packet)
        return self._taken()

    def _end_if_whole(self, packet: Placed) -> None:
        waiting = self.waiting
        if waiting is not None and waiting.is_full(packet) and None not in waiting.frames:
            self._end()

    def _lost_before(self, packet: Placed) -> int | None:
        """Ticks that are missing before a packet that goes on with the last one; None if not."""
        last = self._last
        if last is None or packet.marker or packet.mark.voice != last.mark.voice:
            return None
        if packet.payload[0] & 0xFC != last.payload[0] & 0xFC:
            return None
        lost = packet.stream_index - last.stream_index - 1
        gap = packet.time - last.time - last.ticks
        return gap if 0 <= lost <= LOST_MAX and gap == lost * packet.ticks else None

    def _lose(self, packet: Placed, ticks: int, now: float) -> None:
        """What is missing is missing from the packs that it would have been in."""
        assert self._last is not None
        time = self._last.time + self._last.ticks
        opus = take_apart(packet.payload)
        frame = opus.frame_ticks
        while ticks > 0:
            if self.waiting is None:
                self.waiting = Waiting(packet, time, now, opus)
            room = PACK_TICKS_MAX // frame * frame - self.waiting.ticks
            part = min(ticks, room)
            if self.waiting.size + part // frame > PAYLOAD_BYTES_MAX:
                self._end()
                continue
            self.waiting.frames += [None] * (part // frame)
            self.waiting.size += part // frame
            ticks, time = ticks - part, time + part
            if part == room:
                self._end()

    def _take_late(self, packet: Placed) -> None:
        waiting, last = self.waiting, self._last
        if waiting is not None and last is not None:
            at, odd = divmod(packet.time - waiting.time, waiting.opus.frame_ticks)
            count = packet.ticks // waiting.opus.frame_ticks
            if (
                packet.mark.voice == last.mark.voice
                and packet.payload[0] & 0xFC == waiting.opus.toc
                and odd == 0
                and at >= 0
                and waiting.frames[at : at + count] == [None] * count
                and waiting.put_in(packet, at)
            ):
                self._end_if_whole(packet)
                return
        self.late += 1

    def _end(self) -> None:
        """What waits leaves; of what is lost as a whole only the number does."""
        waiting, self.waiting = self.waiting, None
        if waiting is None:
            return
        if not waiting.packets:
            self.index += 1
            return
        mark = waiting.first.mark._replace(level_byte=waiting.level_byte())
        self._leave(
            Placed(
                0,
                waiting.time,
                waiting.marker,
                False,
                waiting.payload(),
                waiting.ticks,
                mark,
            )
        )

    def _leave(self, pack: Placed) -> None:
        self.index += 1
        self.made += 1
        self._out.append(pack._replace(stream_index=self.index))

    def _taken(self) -> list[Placed]:
        taken, self._out = self._out, []
        return taken


def unheard(pack: Placed, heard: int) -> Placed | None:
    """The frames of a pack that do not begin before `heard`; None for none."""
    opus = take_apart(pack.payload)
    skipped = -(-(heard - pack.time) // opus.frame_ticks)
    if skipped >= len(opus.frames):
        return None
    ticks = skipped * opus.frame_ticks
    return pack._replace(
        time=pack.time + ticks,
        ticks=pack.ticks - ticks,
        marker=False,
        payload=put_together(opus.toc, opus.frames[skipped:]),
    )
