"""What the mixer counts, from its start on, and what it tells of itself."""

from __future__ import annotations

from dataclasses import dataclass, field

FRAME_TICKS = 960


@dataclass(slots=True)
class Counts:
    """Packets of all rooms; sound in ticks of 48 kHz."""

    decoded_ticks: int = 0
    concealed_ticks: int = 0  # nothing was known of it
    recovered_ticks: int = 0  # from the copy in the packet after it
    bad_packets: int = 0  # no Opus, or later than those that overtook them: as good as lost
    late_packets: int = 0  # when their time had been played
    duplicate_packets: int = 0
    dropped_packets: int = 0  # more than a source may have waiting
    stray_packets: int = 0  # of a room or slot that is not open
    encoded_frames: int = 0
    late_ticks: int = 0
    skipped_ticks: int = 0

    @property
    def decoded_frames(self) -> int:
        """Frames of 20 ms that were decoded, of whatever length they came."""
        return self.decoded_ticks // FRAME_TICKS

    @property
    def concealed_frames(self) -> int:
        """Frames of 20 ms that were made up."""
        return self.concealed_ticks // FRAME_TICKS

    @property
    def recovered_frames(self) -> int:
        """Frames of 20 ms that were decoded from a copy."""
        return self.recovered_ticks // FRAME_TICKS


@dataclass(frozen=True, slots=True)
class Buffer:
    """Of one voice, in milliseconds."""

    source: int
    delay_ms: float  # how long its packets wait
    target_ms: float  # how long they should


@dataclass(frozen=True, slots=True)
class Stats:
    """Everything counted since the start, and what there is now."""

    counts: Counts
    tick_us: tuple[int, ...]  # by durations.EDGES_US; empty sums without a stopwatch
    tick_us_sum: int
    rooms: int
    encoders: int
    sources: int  # of which something is remembered
    voices: int  # with a decoder
    buffers: dict[int, list[Buffer]] = field(default_factory=dict)  # by room
