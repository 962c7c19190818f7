"""What the compiled core tells Python: small immutable records."""

from __future__ import annotations

from typing import NamedTuple


class Challenge(NamedTuple):
    """A voiced packet of a source without a slot. Valid until the next `receive`."""

    source: int
    level: int  # smoothed, dBov (0 loudest, negative)
    handle: int


class Slow(NamedTuple):
    """A datagram that compiled code does not handle: `kind` is STUN, DTLS or RTCP (still
    encrypted).
    """

    kind: int
    transport: int  # -1 for STUN from an address that no transport has validated
    address: bytes
    data: bytes


class Gap(NamedTuple):
    """Packets that a publisher's line lost, or that come late."""

    source: int
    ssrc: int
    after_at: float  # when the packet before them came: none of them is older than that
    sequences: list[int]  # extended, oldest first


class SourceLevel(NamedTuple):
    """How loud a source is. Ages are seconds; infinite when it has not happened."""

    level_db: float  # smoothed level in dBov, <= 0
    voiced: bool  # the last packet was voiced
    voiced_age: float  # since the last voiced packet
    packet_age: float  # since the last audible packet
    instant: int  # last claimed level, 0..127 = -dBov
    frame_ms: int  # duration of the last packet
    measured: bool  # False: the client sends no level extension, the packet's size decides
    pausing: bool = False  # the last packet was comfort noise: what follows may be a pause


class Tapped(NamedTuple):
    """A packet that was placed on a tapped slot."""

    slot: int
    source: int  # -1: it was pushed
    csrc: int  # the first one, 0 without
    # Its place on the slot's stream; a gap is a loss, or a packet that is late.
    index: int  # type: ignore[assignment]  # a tuple has a method of that name
    time_ticks: int  # where it begins on the room clock, 48 kHz
    ticks: int  # how long it lasts, 48 kHz
    level: int  # as the packet claims it, 0..127 = -dBov; -1: it claims none
    marker: bool
    payload: bytes  # one Opus packet
    at: float  # when it was placed, seconds


class SourceStats(NamedTuple):
    """What a receiver report about this source says (RFC 3550 6.4.1, A.3, A.8)."""

    ssrc: int  # 0 until the first packet
    packets: int
    highest_sequence: int  # extended, 32 bit
    expected: int
    jitter_ticks: int


class Delivery(NamedTuple):
    """What became of a packet that carried a transport-wide number. Times are seconds."""

    sent_at: float
    arrived_at: float | None  # on the receiver's clock; None: lost, or sent again since
    size: int  # bytes on the wire, with IP and UDP headers


class EgressStats(NamedTuple):
    """What a sender report about this egress says. Times are seconds, `rtp_time` is 32 bit."""

    packets: int  # those sent again too
    octets: int
    rtp_time: int
    sent_at: float
    last_sequence: int  # the newest, extended; before the first packet one below that of it
