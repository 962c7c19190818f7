"""What the oracle keeps of a source: who may speak for it, how loud it is, what it lost."""

from __future__ import annotations

import math

from sfu.fast import SourceLevel, SourceStats
from tests.fast.oracle_packet import RtpPacket

RATE_PER_S = 200.0
RATE_BUCKET = 100.0
BYTES_PER_S = 80_000.0
BYTES_BUCKET = 65_536.0
SSRC_ALIVE_S = 1.0
ROC_KEEP_SEQUENCES = 4096
SILENCE_DBOV = -127.0
ATTACK = 0.5
RELEASE = 0.1
HOLD_S = 0.06
STEP_S = 0.02
FLOOR_WINDOW_S = 5.0
FLOOR_MAX_DBOV = -45.0
VOICED_LEVEL_MAX = 50
VOICED_ABOVE_FLOOR_DB = 6.0
DTX_BYTES_MAX = 10
UNKNOWN_LEVEL = 30
DECODED_AGE_S = 1.0
RECOVERED_KNOWN = 64
GAP_MAX = 4
BITS = 64


def signed16(value: int) -> int:
    """`value` modulo 2^16 as a signed distance."""
    return (value + 0x8000) % 0x10000 - 0x8000


def signed32(value: int) -> int:
    """`value` modulo 2^32 as a signed distance."""
    return (value + 2**31) % 2**32 - 2**31


class NoiseFloor:
    """The lowest level of a finished and a running window of 5 s; silent windows do not count."""

    def __init__(self) -> None:
        self.finished = SILENCE_DBOV
        self.running = math.inf
        self.started: float | None = None

    def follow(self, level_dbov: float, now: float) -> float:
        """Take a claimed level; returns the floor it has to stand above."""
        if self.started is None:
            self.started = now
        if now - self.started >= FLOOR_WINDOW_S:
            if self.running < math.inf:
                self.finished = self.running
            self.running, self.started = math.inf, now
        if level_dbov > SILENCE_DBOV:
            self.running = min(self.running, level_dbov)
        return min(self.finished, self.running, FLOOR_MAX_DBOV)


class Loudness:
    """The smoothed level of a source and whether it speaks."""

    def __init__(self) -> None:
        self.floor = NoiseFloor()
        self.frame_ms = 0
        self.measured = False
        self.decoded: int | None = None  # by whoever decodes it
        self.decoded_at = -math.inf
        self.fall_silent()

    def fall_silent(self) -> None:
        """Muted: what was heard no longer counts."""
        self.smoothed = SILENCE_DBOV
        self.packet_at = -math.inf
        self.voiced_at = -math.inf
        self.voiced = False
        self.pausing = False
        self.instant = 127

    def decayed(self, now: float) -> float:
        """The smoothed level after the silence since the last packet."""
        silence = now - self.packet_at - HOLD_S
        if silence <= 0 or math.isinf(silence):
            return self.smoothed
        keep = (1 - RELEASE) ** math.floor(silence / STEP_S + 1e-9)
        return SILENCE_DBOV + (self.smoothed - SILENCE_DBOV) * keep

    def hear(self, level_byte: int | None, payload_bytes: int, ticks: int, now: float) -> int:
        """Take one packet's claim; returns the byte to pass on, made up where there was none."""
        is_decoded = self.decoded is not None and now - self.decoded_at <= DECODED_AGE_S
        self.measured = level_byte is not None or is_decoded
        self.pausing = payload_bytes <= DTX_BYTES_MAX
        if is_decoded:
            assert self.decoded is not None
            voice_bit = (level_byte or 0) & 0x80
            level_byte = voice_bit | (127 if self.pausing else self.decoded)
        elif level_byte is None:
            level_byte = 127 if payload_bytes <= DTX_BYTES_MAX else UNKNOWN_LEVEL
        level = level_byte & 0x7F
        self.smoothed = self.decayed(now)
        for _ in range(max(1, ticks // 960)):
            step = ATTACK if -level > self.smoothed else RELEASE
            self.smoothed += step * (-level - self.smoothed)
        floor = self.floor.follow(-level, now)
        self.voiced = level <= VOICED_LEVEL_MAX and -level >= floor + VOICED_ABOVE_FLOOR_DB
        if self.voiced:
            self.voiced_at = now
        self.packet_at, self.instant, self.frame_ms = now, level, ticks // 48
        return level_byte

    def report(self, now: float) -> SourceLevel:
        """What `Forwarder.level` answers."""
        return SourceLevel(
            self.decayed(now),
            self.voiced,
            now - self.voiced_at,
            now - self.packet_at,
            self.instant,
            self.frame_ms,
            self.measured,
            self.pausing,
        )


class Reception:
    """The statistics of RFC 3550 A.3 and A.8 over one SSRC."""

    def __init__(self) -> None:
        self.packets = 0
        self.first = 0
        self.highest = 0
        self.highest_timestamp = 0
        self.transit: int | None = None
        self.jitter = 0.0

    def extend(self, sequence: int) -> int:
        """The sequence number with its roll-overs; a late one lies below the highest."""
        if self.packets == 0:
            return sequence
        return self.highest + signed16(sequence - self.highest)

    def count(self, packet: RtpPacket, clock: int) -> int:
        """Take an authentic packet; returns its extended sequence number."""
        extended = self.extend(packet.sequence)
        if self.packets == 0:
            self.first = self.highest = extended
            self.highest_timestamp = packet.timestamp
        self.packets += 1
        self._move_on(extended, packet.timestamp)
        transit = clock - packet.timestamp
        distance = 0 if self.transit is None else abs(signed32(transit - self.transit))
        self.jitter += (distance - self.jitter) / 16
        self.transit = transit
        return extended

    def count_unread(self, packet: RtpPacket) -> None:
        """Take a packet that was dropped without decryption."""
        self._move_on(self.extend(packet.sequence), packet.timestamp)
        self.packets += 1

    def _move_on(self, extended: int, timestamp: int) -> None:
        if extended > self.highest:
            self.highest, self.highest_timestamp = extended, timestamp


class Lost:
    """Which packets of one SSRC have come, which gap is still to be told, what was asked for."""

    def __init__(self) -> None:
        self.arrived: set[int] = set()
        self.asked: set[int] = set()
        self.newest_at = -math.inf
        self.untold: tuple[int, float] | None = None

    def come(self, sequence: int, highest: int, now: float) -> None:
        """A packet came, or was dropped unread."""
        if sequence == highest and sequence not in self.arrived:
            self.newest_at = now
        self.arrived.add(sequence)

    def is_repair(self, sequence: int, highest: int) -> bool:
        """Whether it was asked for, and not too long ago to know."""
        return sequence in self.asked and 0 < highest - sequence < BITS

    def note_gap(self, newest: int, newest_at: float, sequence: int) -> bool:
        """`sequence` came after `newest`; True if that is a gap worth telling."""
        is_gap = 1 < sequence - newest < BITS
        if is_gap:
            self.untold = newest, newest_at
        return is_gap

    def take_gap(self, highest: int) -> tuple[float, list[int]] | None:
        """What is missing after the packet before the gap, if anything still is."""
        if self.untold is None:
            return None
        (newest, newest_at), self.untold = self.untold, None
        first = max(newest + 1, highest - BITS + 1)
        missing = [one for one in range(first, highest) if one not in self.arrived]
        return (newest_at, missing) if missing else None


class OracleSource:
    """The one track of a transport: identity, admission, loudness, reception."""

    def __init__(
        self,
        transport: int,
        csrc: int,
        echo_group: int,
        payload_type: int,
        red_payload_type: int,
        level_extension: int,
        ssrc: int,
        repeats: bool,
    ) -> None:
        self.transport = transport
        self.csrc = csrc
        self.echo_group = echo_group
        self.payload_type = payload_type
        self.red_payload_type = red_payload_type
        self.recovered: set[int] = set()
        self.repeats = repeats
        self.lost = Lost()
        self.level_extension = level_extension
        self.ssrc = ssrc or None
        self.audible = False
        self.slot = -1
        self.seen_at = -math.inf
        self.checked_sequence = 0
        self.tokens = RATE_BUCKET
        self.byte_tokens = BYTES_BUCKET
        self.tokens_at: float | None = None
        self.loudness = Loudness()
        self.reception = Reception()
        self.repairs = 0  # packets that came because they were asked for again

    def is_foreign(self, ssrc: int, now: float) -> bool:
        """Whether another SSRC speaks while the known one is alive."""
        return self.ssrc not in (None, ssrc) and now - self.seen_at < SSRC_ALIVE_S

    def take_token(self, size: int, now: float) -> bool:
        """Whether a packet of `size` bytes is within the rate limits."""
        if self.tokens_at is not None:
            elapsed = now - self.tokens_at
            self.tokens = min(RATE_BUCKET, self.tokens + elapsed * RATE_PER_S)
            self.byte_tokens = min(BYTES_BUCKET, self.byte_tokens + elapsed * BYTES_PER_S)
        self.tokens_at = now
        if self.tokens < 1 or self.byte_tokens < size:
            return False
        self.tokens -= 1
        self.byte_tokens -= size
        return True

    def skips_decryption(self, packet: RtpPacket, now: float) -> bool:
        """Whether an inaudible packet is dropped unread: all but one in 4,096 sequence numbers."""
        if self.audible or packet.ssrc != self.ssrc or self.reception.packets == 0:
            return False
        sequence = self.reception.extend(packet.sequence)
        if sequence - self.checked_sequence >= ROC_KEEP_SEQUENCES:
            return False
        sequence = self.reception.extend(packet.sequence)
        self.reception.count_unread(packet)
        self.lost.come(sequence, self.reception.highest, now)
        self.seen_at = now
        return True

    def latch(self, ssrc: int) -> int | None:
        """An authentic packet came: take its SSRC. Returns the SSRC that it replaces, if any."""
        if self.ssrc == ssrc:
            return None
        replaced = self.ssrc if self.reception.packets else None
        self.ssrc, self.reception = ssrc, Reception()
        self.recovered.clear()
        self.lost = Lost()
        return replaced

    def is_late_original(self, sequence: int) -> bool:
        """Whether a copy took this packet's place, or so long ago that it is not known any more."""
        too_old = sequence <= self.reception.highest - RECOVERED_KNOWN
        return too_old if too_old and self.red_payload_type else sequence in self.recovered

    def missing_before(self, packet: RtpPacket, highest: int, newest: int) -> dict[int, int]:
        """Places of the gap before a packet, oldest first: sequence number by ticks before it.

        `highest` and `newest` are the sequence number and timestamp of what came before.
        """
        sequence = self.reception.extend(packet.sequence)
        gap, elapsed = sequence - highest, signed32(packet.timestamp - newest)
        if not 1 < gap <= GAP_MAX + 1 or elapsed <= 0 or elapsed % gap:
            return {}
        return {back * (elapsed // gap): sequence - back for back in range(gap - 1, 0, -1)}

    def count(self, packet: RtpPacket, now: float, clock: int) -> int:
        """Count an authentic packet; returns its extended sequence number."""
        self.seen_at = now
        sequence = self.reception.extend(packet.sequence)
        if self.lost.is_repair(sequence, self.reception.highest):
            self.repairs += 1
        else:
            self.reception.count(packet, clock)
        self.lost.come(sequence, self.reception.highest, now)
        self.checked_sequence = sequence
        return sequence

    def is_missing(self, sequence: int) -> bool:
        """Whether this packet has not come, and is young enough to know that."""
        behind = self.reception.highest - sequence
        return 0 < behind < BITS and sequence not in self.lost.arrived

    def stats(self) -> SourceStats:
        """What `Forwarder.source_stats` answers."""
        seen = self.reception
        expected = seen.highest - seen.first + 1 if seen.packets else 0
        return SourceStats(
            self.ssrc or 0, seen.packets, seen.highest % 2**32, expected, int(seen.jitter)
        )
