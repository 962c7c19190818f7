"""Transport-wide feedback as a receiver writes it: which of the stamped packets came, and when
(draft-holmer-rmcat-transport-wide-cc-extensions-01). Nothing is shared with the server's parser.
"""

from __future__ import annotations

from struct import pack

TRANSPORT_FEEDBACK, TRANSPORT_WIDE = 205, 15
# Arrivals are told in quarters of a millisecond, the reference in 64 ms (24 bits of it).
TICKS_PER_S = 4_000
REFERENCE_TICKS = 256
REFERENCES = 2**24
CLOCK_WRAPS_S = REFERENCES * REFERENCE_TICKS / TICKS_PER_S
# Two bits for each packet: it did not come, came within 64 ms of the one before, or otherwise.
LOST, SMALL, LARGE = range(3)
SMALL_MAX = 255
LARGE_MAX = 32_767
# A run is worth its two bytes from as many packets on as a vector of two-bit symbols holds.
RUN_MIN = 7
RUN_MAX = 2**13 - 1
STATUSES_MAX = 2**16 - 1


def build_feedback(
    ssrc: int, media_ssrc: int, number: int, first: int, arrivals: list[float | None]
) -> bytes:
    """One packet about the numbers from `first` on; None is one that did not come.

    `arrivals` are seconds of the receiver's clock, at least one of them; two that follow each other
    here lie within 8 s.
    """
    ticks = [None if at is None else round(at * TICKS_PER_S) for at in arrivals]
    earliest = next(tick for tick in ticks if tick is not None)
    reference = earliest // REFERENCE_TICKS
    previous = reference * REFERENCE_TICKS
    symbols, deltas = [], b""
    for tick in ticks:
        if tick is None:
            symbols.append(LOST)
            continue
        delta = tick - previous
        previous = tick
        symbols.append(SMALL if 0 <= delta <= SMALL_MAX else LARGE)
        deltas += pack("!B" if symbols[-1] == SMALL else "!h", delta)
    body = pack("!II", ssrc, media_ssrc)
    body += pack("!HHI", first & 0xFFFF, len(symbols), reference % REFERENCES << 8 | number & 0xFF)
    body += b"".join(pack("!H", chunk) for chunk in _chunks(symbols)) + deltas
    padding = -len(body) % 4
    if padding:
        body += bytes(padding - 1) + bytes((padding,))
    first_byte = 0x80 | (0x20 if padding else 0) | TRANSPORT_WIDE
    return pack("!BBH", first_byte, TRANSPORT_FEEDBACK, len(body) // 4) + body


def _chunks(symbols: list[int]) -> list[int]:
    """The symbols as runs, and as vectors of one or two bits each (draft 3.1.1 to 3.1.5)."""
    chunks, place = [], 0
    while place < len(symbols):
        symbol = symbols[place]
        run = 1
        while run < min(RUN_MAX, len(symbols) - place) and symbols[place + run] == symbol:
            run += 1
        if run >= RUN_MIN:
            chunks.append(symbol << 13 | run)
            place += run
            continue
        bits = 1 if LARGE not in symbols[place : place + 14] else 2
        taken = symbols[place : place + 14 // bits]
        vector = 0
        for offset, one in enumerate(taken):
            vector |= one << (14 - bits * (offset + 1))
        chunks.append(0x8000 | (bits - 1) << 14 | vector)
        place += len(taken)
    return chunks


class Arrivals:
    """What a receiver knows of stamped packets, and has not told or may have to tell again.

    `clock_offset_s` is how far its clock is from the simulation's.
    """

    def __init__(self, clock_offset_s: float) -> None:
        self._offset_s = clock_offset_s
        self._number = 0
        self._highest: int | None = None
        self._next = 0  # the first that was not told
        self._came: dict[int, float] = {}

    def note(self, wide: int, now: float) -> None:
        """A packet came with this number (16 bits); only its first coming counts."""
        if self._highest is None:
            self._highest = self._next = wide
        extended = self._highest + ((wide - self._highest + 0x8000) & 0xFFFF) - 0x8000
        if extended in self._came or extended < self._highest - STATUSES_MAX:
            return
        self._came[extended] = now
        self._highest = max(self._highest, extended)
        # One that was overtaken is told after all, with what was told of those after it.
        self._next = min(self._next, extended)

    def take(self, ssrc: int, media_ssrc: int) -> bytes:
        """Feedback about what came since the last one, empty for nothing."""
        assert self._highest is not None
        if self._next > self._highest:
            return b""
        begin = max(self._next, self._highest - STATUSES_MAX + 1)
        arrivals = [
            None if number not in self._came else self._came[number] + self._offset_s
            for number in range(begin, self._highest + 1)
        ]
        self._next = self._highest + 1
        for number in [one for one in self._came if one < self._highest - RUN_MAX]:
            del self._came[number]
        data = build_feedback(ssrc, media_ssrc, self._number, begin, arrivals)
        self._number += 1
        return data
