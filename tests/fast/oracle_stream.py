"""The oracle's numbering: where a packet stands on its slot's stream, and on each egress."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from sfu.fast import EgressStats
from tests.fast.oracle_packet import HeaderLayout, Stamp
from tests.fast.oracle_source import signed16, signed32

CLOCK_HZ = 48_000
FRAME_TICKS = 960
LEAP_MAX = 64
EARLY_TICKS_MAX = 960
OVERLAP_TICKS_MAX = 4_800
LATE_MAX = 64
PAUSE_S = 1.0
PAUSE_DRIFT_TICKS = 960
AHEAD_TICKS_MAX = 24_000
BEHIND_TICKS_MAX = 48_000
SENT_MAX = 64
RESEND_BUCKET = 16.0
RESEND_SHARE = 0.25
RESEND_TIMES = 2


def room_clock(now: float) -> int:
    """`now` in ticks of the room clock."""
    return math.floor(now * CLOCK_HZ + 0.5)


class Mark(NamedTuple):
    """Whose voice a packet is. `source` and `echo_group` None: made here, nobody's echo."""

    source: int | None
    csrcs: tuple[int, ...]
    level_byte: int
    claimed: int | None  # of the level, by the packet itself
    echo_group: int | None

    @property
    def voice(self) -> tuple[int | None, int]:
        """What tells one speaker from another; all that is made here is one."""
        return (None, 0) if self.source is None else (self.source, self.csrcs[0])


class Placed(NamedTuple):
    """A packet with its place on a stream."""

    stream_index: int
    time: int
    marker: bool
    late: bool
    payload: bytes
    ticks: int
    mark: Mark


class Timeline:
    """The index V and the time of a stream's packets, period by period of one holder."""

    def __init__(self) -> None:
        self.index = 0
        self.time: int | None = None
        self.anchored = False
        # Of the present period: the source's sequence numbers, and how the newest was placed.
        self.oldest = self.newest = self.offset = 0
        self.newest_timestamp = 0
        self.newest_at = 0.0
        self.newest_ticks = 0

    def restart(self) -> None:
        """Something came between: the next packet takes an anchor."""
        self.anchored = False

    def place(
        self, sequence: int, timestamp: int, marker: bool, ticks: int, now: float
    ) -> tuple[int, int, bool, bool] | str:
        """Index, time, marker and lateness of a source's packet, or why it has no place."""
        if self.anchored and sequence <= self.newest:
            return self._place_late(sequence, timestamp, marker)
        if not self.anchored or self._must_anchor(sequence, timestamp, now):
            if not self._step(ticks, now):
                self.restart()
                return "early"
            self._anchor(sequence, timestamp, now)
            return self.index, self._time, True, False
        self.index = self._index_of(sequence)
        self.time = self._time_of(timestamp)
        self.newest_ticks = ticks
        self._advance(sequence, timestamp, now)
        return self.index, self._time, marker, False

    def has_room(self, sequence: int) -> bool:
        """Whether a late packet of the present period would still get its place."""
        return self.anchored and sequence >= self.oldest

    def drop(self, sequence: int) -> None:
        """A packet of the period was dropped by policy: what follows closes its gap."""
        if not self.anchored or sequence <= self.newest:
            return
        if sequence - self.newest > LEAP_MAX:
            self.restart()
            return
        self.index = self._index_of(sequence) - 1
        self.newest = sequence
        # As if there had been an anchor here: what is older would share its place with another.
        self.oldest, self.offset = sequence + 1, self.index - sequence

    def append(
        self, ticks: int, now: float, *, at: float | None, yields: bool
    ) -> tuple[int, int] | None:
        """Index and time of a packet made here, at the end of the timeline; None when too early."""
        if at is not None:
            if not self._step_to(room_clock(at), ticks, room_clock(now)):
                return None
        elif yields and self.time is not None:
            frames = math.floor((room_clock(now) - self.time) / FRAME_TICKS)
            if frames * FRAME_TICKS < self.newest_ticks:
                return None
            self.time += frames * FRAME_TICKS
            self.index += 1
            self.newest_ticks = ticks
        elif not self._step(ticks, now):
            return None
        self.restart()
        return self.index, self._time

    @property
    def _time(self) -> int:
        assert self.time is not None
        return self.time

    def _index_of(self, sequence: int) -> int:
        return sequence + self.offset

    def _time_of(self, timestamp: int) -> int:
        return self._time + signed32(timestamp - self.newest_timestamp)

    def _place_late(
        self, sequence: int, timestamp: int, marker: bool
    ) -> tuple[int, int, bool, bool] | str:
        if sequence < self.oldest or self.newest - sequence > LATE_MAX:
            return "late"
        return self._index_of(sequence), self._time_of(timestamp), marker, True

    def _must_anchor(self, sequence: int, timestamp: int, now: float) -> bool:
        if sequence - self.newest > LEAP_MAX:
            return True
        time = self._time_of(timestamp)
        if time <= self._time:
            return True
        drift = time - room_clock(now)
        if not -BEHIND_TICKS_MAX <= drift <= AHEAD_TICKS_MAX:
            return True
        return now - self.newest_at >= PAUSE_S and abs(drift) > PAUSE_DRIFT_TICKS

    def _anchor(self, sequence: int, timestamp: int, now: float) -> None:
        self.anchored = True
        self.oldest, self.offset = sequence, self.index - sequence
        self._advance(sequence, timestamp, now)

    def _advance(self, sequence: int, timestamp: int, now: float) -> None:
        self.newest, self.newest_timestamp, self.newest_at = sequence, timestamp, now

    def _step_to(self, time: int, ticks: int, clock: int) -> bool:
        """Move to a packet's own time, or up to 20 ms later to the end of the last packet."""
        if not clock - AHEAD_TICKS_MAX <= time <= clock + EARLY_TICKS_MAX:
            return False
        end = time if self.time is None else self.time + self.newest_ticks
        if end - time > EARLY_TICKS_MAX:
            return False
        self.time, self.newest_ticks = max(time, end), ticks
        self.index += 1
        return True

    def _step(self, ticks: int, now: float) -> bool:
        """Move to the next packet's place; False when its time has not come."""
        clock = room_clock(now)
        if self.time is None:
            self.time = clock
        else:
            step = FRAME_TICKS * math.floor((clock - self.time) / FRAME_TICKS + 0.5)
            end = self.time + self.newest_ticks
            ahead = end - clock
            early = EARLY_TICKS_MAX < ahead <= OVERLAP_TICKS_MAX or ahead > AHEAD_TICKS_MAX
            if self.time + step < end and early:
                return False
            self.time = max(end, self.time + step)
        self.index += 1
        self.newest_ticks = ticks
        return True


@dataclass
class Sent:
    """How a packet left, and how often it left again."""

    sequence: int
    redundancy: int
    times: int = 0
    again_at: float = -math.inf


class OracleEgress:
    """An output track: its numbering, its header and what it has sent."""

    def __init__(
        self,
        transport: int,
        layout: HeaderLayout,
        first_sequence: int,
        first_timestamp: int,
        echo_group: int,
        red_payload_type: int,
        repeats: bool,
    ) -> None:
        self.transport = transport
        self.layout = layout
        self.echo_group = echo_group
        self.red_payload_type = red_payload_type
        self.repeats = repeats
        self.sent: dict[int, Sent] = {}
        self.resends = 0.0
        self.sequence_offset = 0
        self.stream = -1
        self.sequence = first_sequence - 1
        self.first_timestamp = first_timestamp
        self.timestamp: int | None = None
        self.last_ticks = 0
        self.base_offset = 0
        self.time_offset = 0
        self.anchored = False
        self.switching = False  # it goes on with the same speech in another form
        self.anchor_index = 0
        self.packets = 0
        self.octets = 0
        self.sent_at = -math.inf

    def stamp(self, packet: Placed) -> Stamp | None:
        """The header fields of `packet` on this egress; None when it is not carried."""
        if packet.mark.echo_group == self.echo_group:
            self.anchored = self.switching = False
            return None
        if packet.late and not (self.anchored and packet.stream_index >= self.anchor_index):
            return None
        if not self.anchored:
            if self.is_early(packet):
                return None
            self._anchor(packet)
        sequence = packet.stream_index + self.sequence_offset
        timestamp = packet.time + self.time_offset
        if not packet.late:
            self.sequence, self.timestamp = sequence, timestamp
            self.last_ticks = packet.ticks
        return Stamp(packet.marker, sequence, timestamp, packet.mark.csrcs, packet.mark.level_byte)

    def is_early(self, packet: Placed) -> bool:
        """Whether `packet` is left out until what this track carried before has ended."""
        if self.anchored or packet.late or packet.mark.echo_group == self.echo_group:
            return False
        if self.switching:
            return False
        return FRAME_TICKS < self._overlap(packet) <= OVERLAP_TICKS_MAX

    def _overlap(self, packet: Placed) -> int:
        """By how much the last packet would reach into this one, unmoved."""
        if self.timestamp is None:
            return 0
        return self.timestamp + self.last_ticks - (packet.time + self.base_offset)

    def _anchor(self, packet: Placed) -> None:
        self.anchored = True
        self.anchor_index = packet.stream_index
        self.sequence_offset = self.sequence + 1 - packet.stream_index
        if self.switching:
            self.switching = False
            return
        if self.timestamp is None:
            self.base_offset = self.time_offset = self.first_timestamp - packet.time
            return
        moves = max(0, math.ceil(self._overlap(packet) / FRAME_TICKS))
        self.time_offset = self.base_offset + moves * FRAME_TICKS

    @property
    def heard_until(self) -> int:
        """Where the last packet ended, on the slot's own timeline."""
        assert self.timestamp is not None
        return self.timestamp + self.last_ticks - self.time_offset

    def is_part_heard(self, packet: Placed) -> bool:
        """Whether it has heard the beginning of this pack already, as plain packets."""
        if not self.switching or packet.late or packet.mark.echo_group == self.echo_group:
            return False
        return packet.time < self.heard_until

    def count(self, packet: Placed, payload: bytes, redundancy: int | None, now: float) -> None:
        """Note a sent packet for the sender reports and, unless it was made for this track alone
        (`redundancy` None), for repetition.
        """
        self.packets += 1
        self.octets += len(payload)
        if not packet.late:
            self.sent_at = now
        if redundancy is None:
            return
        sequence = packet.stream_index + self.sequence_offset
        other = self.sent.get(sequence % SENT_MAX)
        if other is None or other.sequence < sequence:
            again_at = now if packet.late else -math.inf
            self.sent[sequence % SENT_MAX] = Sent(sequence, redundancy, again_at=again_at)
            self.resends = min(RESEND_BUCKET, self.resends + RESEND_SHARE)

    def sent_as(self, asked: int) -> Sent | None:
        """How the packet that its listener knows by `asked` left, since the last anchor."""
        if not self.repeats or not self.anchored or self.stream < 0:
            return None
        sequence = self.sequence + signed16(asked - self.sequence)
        if sequence - self.sequence_offset < self.anchor_index:
            return None
        sent = self.sent.get(sequence % SENT_MAX)
        return sent if sent is not None and sent.sequence == sequence else None

    def use_resend(self, sent: Sent, now: float, spacing_s: float) -> bool:
        """Whether one more repetition is allowed; it counts as made."""
        if sent.times >= RESEND_TIMES or self.resends < 1 or now - sent.again_at < spacing_s:
            return False
        self.resends -= 1
        sent.times, sent.again_at = sent.times + 1, now
        return True

    def stats(self) -> EgressStats:
        """What `Forwarder.egress_stats` answers."""
        rtp_time = 0 if self.timestamp is None else self.timestamp % 2**32
        return EgressStats(self.packets, self.octets, rtp_time, self.sent_at, self.sequence)
