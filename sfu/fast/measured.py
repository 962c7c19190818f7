"""What `Swarm` tells of its virtual clients: small immutable records. Times are realtime ns."""

from __future__ import annotations

from typing import NamedTuple


class Aside(NamedTuple):
    """A datagram that is no media: `kind` is STUN, DTLS or RTCP (still encrypted).

    It came at `arrived_ns` of the realtime clock, and may have waited in its socket since.
    """

    client: int
    kind: int
    data: bytes
    arrived_ns: int


class Position(NamedTuple):
    """Where a talker stopped: what `Swarm.talk` takes to go on with the same SSRC and voice."""

    sequence: int  # of the next packet, 16 bit
    timestamp: int  # of the next step, 32 bit
    step: int  # the next step of the voice


class Onset(NamedTuple):
    """A voice that begins on a track: its first packet, another CSRC, or the marker bit."""

    ssrc: int
    csrc: int  # the first CSRC; 0 when the packet carries none
    arrival_ns: int
    sent_ns: int  # 0 when the packet carries no send time
    is_switch: bool  # another CSRC than the track's last packet, or its first


class TrackStats(NamedTuple):
    """One SSRC as a listener got it."""

    ssrc: int
    payload_type: int  # of the last packet
    packets: int  # without duplicates
    lost: int  # a late packet takes its loss back
    reordered: int  # came after a later one
    duplicates: int
    too_old: int  # 64 or more behind the newest: left out, it stays lost
    highest_sequence: int  # extended: 16 bit with wraps counted above
    last_timestamp: int  # RTP time of the newest packet
    last_arrival_ns: int
    last_csrc: int


class ListenerStats(NamedTuple):
    """What one virtual client has received since it was added."""

    packets: int
    octets: int  # UDP payload, as on the wire
    lost: int
    reordered: int
    duplicates: int
    auth_errors: int
    first_packet_ns: int  # arrival of the first authentic packet; 0 before
    last_packet_ns: int
    worst_gap_us: float  # excess gap, see `Swarm.take_gaps`
    worst_delay_us: float
    last_csrc: int
    onset_count: int
    onsets: tuple[Onset, ...]  # the newest ONSETS_MAX, oldest first
    tracks: tuple[TrackStats, ...]  # in order of appearance, at most TRACKS_MAX
