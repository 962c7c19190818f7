"""The tiers a listener may be on, and what each costs on the wire.

    A0, A1   every slot as it comes, with (A0) or without earlier packets along (RED, RFC 2198)
    A2       the same slots, three packets in one of 60 ms
    B1..B5   one mix of the room, at falling rates and with fewer, longer frames
    C        nothing but what keeps the connection
    paused   nothing, because it was asked for; never the ladder's choice

At these rates headers weigh more than sound. Every packet has

    IPv4 20 (IPv6 40) + UDP 8 + RTP 12 + tag of AES-GCM 16

and what its tier adds: the number of the speaker (CSRC 4) and the level (extension 8) but for the
lean mixes; the transport-wide number (4, and 4 for the extension's head where there is no other);
with copies one octet, and for each its head of 4 and once more the payload. Beside the packets the
line carries sender reports and answers to connectivity checks.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

# What a line carries whatever its tier: 4 sender reports of 100 octets in 5 s, two answers of 150
# octets to the checks of those 5 s, and the same share of what DTLS and repairs cost at times.
BESIDE_BPS = 1_000.0
_LEAN_BYTES = 20 + 8 + 12 + 16
_FULL_BYTES = _LEAN_BYTES + 4 + 8
_IPV6_BYTES = 20
_STAMP_BYTES = 4
_EXTENSION_HEAD_BYTES = 4
_RED_BYTES = 1
_COPY_BYTES = 4
# A packed packet: the count of frames, and the lengths of all but the last.
_PACKED_MS = 60
_PACKED_EXTRA_BYTES = 3


class Tier(StrEnum):
    """What a listener is sent; the texts are those of the control protocol."""

    A0 = "A0"
    A1 = "A1"
    A2 = "A2"
    B1 = "B1"
    B2 = "B2"
    B3 = "B3"
    B4 = "B4"
    B5 = "B5"
    C = "C"
    PAUSED = "paused"

    @property
    def is_mix(self) -> bool:
        """Whether it carries a mix."""
        return self in MIXES

    @property
    def is_forwarded(self) -> bool:
        """Whether it carries slots."""
        return self in (Tier.A0, Tier.A1, Tier.A2)


class Cause(StrEnum):
    """Why a tier is what it is; the texts are those of the control protocol."""

    JOIN = "join"
    REQUESTED = "requested"  # mode, most rate, pause: the listener's or its backend's wish
    SLOTS = "slots"  # how many talk changes what fits into the most rate
    LOSS = "loss"
    DELAY = "delay"
    ESTIMATE = "estimate"
    SILENCE = "silence"  # nothing was told of what was sent
    RECOVERED = "recovered"
    UNAVAILABLE = "unavailable"  # the tier is not to be had any more


@dataclass(frozen=True, slots=True)
class Mix:
    """How a mix is encoded; `is_lean`: its packets have neither CSRC nor level."""

    rate_bps: float
    frame_ms: int
    is_lean: bool = False


# The best first. A0 is A1 with copies: not a step of its own.
LADDER = (Tier.A0, Tier.A1, Tier.A2, Tier.B1, Tier.B2, Tier.B3, Tier.B4, Tier.B5, Tier.C)
RANK = {tier: rank for rank, tier in enumerate(LADDER)}
MIXES = {
    Tier.B1: Mix(32_000.0, 20),
    Tier.B2: Mix(24_000.0, 40),
    Tier.B3: Mix(16_000.0, 60, is_lean=True),
    Tier.B4: Mix(10_000.0, 60, is_lean=True),
    Tier.B5: Mix(8_000.0, 120, is_lean=True),
}


@dataclass(frozen=True, slots=True)
class Demand:
    """What a room would send: how many slots had voice lately, and how those packets are.

    `slot_payload_bps` is of one talking slot. Too few talkers count as one: somebody will talk.
    """

    talkers: int = 1
    slot_payload_bps: float = 32_000.0
    frame_ms: float = 20.0
    is_ipv6: bool = False


@dataclass(frozen=True, slots=True)
class Terms:
    """What a listener may get at all: by mode, m-lines and mixes, and what it or its backend set.

    `tiers` the best first, as in `LADDER`; none stands for `C` alone. A0 among them allows copies
    on A1. `max_bps` is the most that it shall cost while everybody who has voice talks. `cause` is
    why they are so, and what a change is put down to that follows from them alone.
    """

    tiers: tuple[Tier, ...]
    max_bps: float | None = None
    cause: Cause = Cause.REQUESTED

    def __post_init__(self) -> None:
        ranks = [RANK[tier] for tier in self.tiers]
        if ranks != sorted(set(ranks)):
            raise ValueError(f"not in the order of the ladder: {self.tiers}")
        if Tier.A0 in self.tiers and Tier.A1 not in self.tiers:
            raise ValueError("A0 without A1")

    @property
    def rungs(self) -> tuple[Tier, ...]:
        """What there is to choose from, the best first; never empty."""
        return tuple(tier for tier in self.tiers if tier is not Tier.A0) or (Tier.C,)


def cost_bps(tier: Tier, demand: Demand, copies: int = 0, *, is_stamped: bool = False) -> float:
    """What `tier` takes of a line, in bits/s with all headers, while every talker talks."""
    if tier in (Tier.C, Tier.PAUSED):
        return BESIDE_BPS
    streams = 1 if tier in MIXES else max(1, demand.talkers)
    frame_ms, octets = _packet(tier, demand, copies, is_stamped=is_stamped)
    return BESIDE_BPS + streams * octets * 8_000.0 / frame_ms


def packet_bits(tier: Tier, demand: Demand, copies: int = 0) -> float:
    """How large a packet of `tier` is on the wire; 0 where there are none."""
    if tier in (Tier.C, Tier.PAUSED):
        return 0.0
    return 8.0 * _packet(tier, demand, copies, is_stamped=False)[1]


def _packet(tier: Tier, demand: Demand, copies: int, *, is_stamped: bool) -> tuple[float, float]:
    """How long a packet lasts, in ms, and its octets on the wire."""
    mix = MIXES.get(tier)
    if mix is None:
        payload_bps = demand.slot_payload_bps
        frame_ms, header = _slot_frame(tier, demand.frame_ms)
    else:
        payload_bps, frame_ms = mix.rate_bps, float(mix.frame_ms)
        header = _LEAN_BYTES if mix.is_lean else _FULL_BYTES
    if is_stamped:
        header += _STAMP_BYTES + (_EXTENSION_HEAD_BYTES if mix and mix.is_lean else 0)
    if demand.is_ipv6:
        header += _IPV6_BYTES
    if copies:
        header += _RED_BYTES + copies * _COPY_BYTES
    return frame_ms, header + payload_bps * (1 + copies) * frame_ms / 8_000.0


def _slot_frame(tier: Tier, frame_ms: float) -> tuple[float, int]:
    """How long a packet of a slot is, and what precedes its sound."""
    if tier is not Tier.A2 or frame_ms > _PACKED_MS / 2:
        return frame_ms, _FULL_BYTES
    return frame_ms * (_PACKED_MS // frame_ms), _FULL_BYTES + _PACKED_EXTRA_BYTES
