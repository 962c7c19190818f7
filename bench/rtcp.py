"""The RTCP of a virtual client: compound reports out, the times of sender reports in (RFC 3550 6).

Jitter is estimated over the packets that are newest at each report instead of over all of them: the
compiled core measures gaps more closely than this field can tell, and servers only look at it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sfu.fast.measured import TrackStats

CLOCK_RATE = 48_000
NTP_EPOCH_S = 2_208_988_800  # 1900 to 1970
_SENDER_REPORT = 200
_RECEIVER_REPORT = 201
_SOURCE_DESCRIPTION = 202
_CNAME = 1
_VERSION = 0x80
_LOST_MAX = 0x7FFFFF
# A report carries five bits of count.
BLOCKS_MAX = 31


@dataclass(frozen=True)
class Sent:
    """What a speaker has sent, for its sender report."""

    rtp_time: int  # now
    packets: int
    octets: int  # payload


class Reception:
    """What one client's reports remember between two of them, by SSRC."""

    __slots__ = ("_senders", "_tracks")

    def __init__(self) -> None:
        self._senders: dict[int, tuple[int, int]] = {}  # middle of NTP, arrival ns
        self._tracks: dict[int, tuple[int, int, float, float]] = {}

    def take(self, compound: bytes, now_ns: int) -> None:
        """Note the sender reports of an unprotected compound packet."""
        for kind, body in _packets(compound):
            if kind == _SENDER_REPORT and len(body) >= 24:
                ssrc, middle = struct.unpack_from("!I2xI", body)
                if ssrc in self._senders or len(self._senders) < BLOCKS_MAX:
                    self._senders[ssrc] = (middle, now_ns)

    def blocks(self, tracks: Sequence[TrackStats], now_ns: int) -> bytes:
        """Report blocks of what was received (6.4.1)."""
        return b"".join(self._block(track, now_ns) for track in tracks[:BLOCKS_MAX])

    def _block(self, track: TrackStats, now_ns: int) -> bytes:
        expected = track.packets + track.lost
        known = self._tracks.get(track.ssrc)
        before, lost_before, transit_before, jitter = known or (0, 0, None, 0.0)
        interval, lost = expected - before, track.lost - lost_before
        fraction = min(255, (lost << 8) // interval) if interval > 0 and lost > 0 else 0
        transit = track.last_arrival_ns * CLOCK_RATE / 1e9 - track.last_timestamp
        if transit_before is not None:
            # Both clocks are this machine's, so a wrap of the RTP time is a difference too large.
            difference = abs(transit - transit_before)
            jitter += (difference - jitter) / 16 if difference < CLOCK_RATE else 0.0
        self._tracks[track.ssrc] = (expected, track.lost, transit, jitter)
        middle, arrival_ns = self._senders.get(track.ssrc, (0, now_ns))
        return struct.pack(
            "!IIIIII",
            track.ssrc,
            fraction << 24 | max(0, min(track.lost, _LOST_MAX)),
            track.highest_sequence & 0xFFFFFFFF,
            min(round(jitter), 0xFFFFFFFF),
            middle,
            ((now_ns - arrival_ns) << 16) // 10**9 & 0xFFFFFFFF if middle else 0,
        )


def report(ssrc: int, cname: str, blocks: bytes, sent: Sent | None, now_ns: int) -> bytes:
    """A compound packet: a sender report for who `sent`, else a receiver report; the CNAME."""
    count = len(blocks) // 24
    body = struct.pack("!I", ssrc)
    kind = _RECEIVER_REPORT
    if sent is not None:
        kind = _SENDER_REPORT
        body += struct.pack(
            "!QIII",
            ntp_time(now_ns),
            sent.rtp_time & 0xFFFFFFFF,
            sent.packets & 0xFFFFFFFF,
            sent.octets & 0xFFFFFFFF,
        )
    item = struct.pack("!IBB", ssrc, _CNAME, len(cname)) + cname.encode()
    item += bytes(4 - len(item) % 4)
    return _packet(kind, count, body + blocks) + _packet(_SOURCE_DESCRIPTION, 1, item)


def ntp_time(now_ns: int) -> int:
    """64 bits of NTP time of a realtime clock's ns."""
    seconds, rest = divmod(now_ns, 10**9)
    return (seconds + NTP_EPOCH_S) << 32 | (rest << 32) // 10**9


def _packet(kind: int, count: int, body: bytes) -> bytes:
    return struct.pack("!BBH", _VERSION | count, kind, len(body) // 4) + body


def _packets(compound: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position + 4 <= len(compound):
        kind = compound[position + 1]
        end = position + 4 + 4 * int.from_bytes(compound[position + 2 : position + 4], "big")
        yield kind, compound[position + 4 : end]
        position = end
