"""What the mixer counts, from its start on, and what it tells of itself."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Counts:
    """Packets and frames of all rooms."""

    decoded_frames: int = 0
    concealed_frames: int = 0  # nothing was known of them
    recovered_frames: int = 0  # from the copy in the packet after them
    bad_packets: int = 0  # not Opus; each costs a concealed frame if it was due
    late_packets: int = 0  # when their time had been played
    duplicate_packets: int = 0
    dropped_packets: int = 0  # more than a source may have waiting
    stray_packets: int = 0  # of a room or slot that is not open
    encoded_frames: int = 0
    late_ticks: int = 0
    skipped_ticks: int = 0


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
