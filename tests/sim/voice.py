"""A simulated microphone: Opus-shaped RTP with who, which and when inside, and the truth about it.

The payload of each packet is a valid table-of-contents byte (RFC 6716 3.1) followed by the number
of the client, the index of the packet and the time of sending. Whatever comes out of the server can
be traced to the packet that went in.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from struct import Struct

from tests.sim.red import RedEncoder

TICKS_PER_S = 48_000
# One mono frame (code 0) each: hybrid fullband of 10 and 20 ms, SILK wideband of 40 and 60 ms.
TABLES_OF_CONTENTS = {10: 0x70, 20: 0x78, 40: 0x50, 60: 0x58}
# What a server may put into a track itself: 20 ms of CELT silence.
SILENCE = b"\xf8\xff\xfe"
TIME_WRAP = 65_536

_HEADER = Struct("!BBHII")
# A voiced frame at 24 kbit/s, per 20 ms; comfort noise is a few bytes.
VOICED_BYTES = (45, 90)
_FILLER = bytes(range(1, 256)) * 2
# libopus' DTX stops after 200 ms of silence and refreshes each 400 ms.
DTX_AFTER_MS = 200
DTX_REFRESH_MS = 400


class Identity:
    """Client, packet index, time in 0.1 ms as eight bytes: with the first byte of a payload small
    enough to pass as comfort noise.

    They are spread over all bits, as sound is: a decoder makes of plain numbers the same silence
    again and again, and of these noise.
    """

    size = 8
    _FACTOR = 0x9E3779B97F4A7C15
    _INVERSE = pow(_FACTOR, -1, 2**64)
    _MASK = 2**64 - 1

    def pack(self, client: int, packet: int, time: int) -> bytes:
        """The eight bytes."""
        word = client << 48 | packet << 16 | time
        return (word * self._FACTOR & self._MASK).to_bytes(8, "big")

    def unpack_from(self, data: bytes, offset: int = 0) -> tuple[int, int, int]:
        """What `pack` was given."""
        word = int.from_bytes(data[offset : offset + 8], "big") * self._INVERSE & self._MASK
        return word >> 48, word >> 16 & 0xFFFFFFFF, word & 0xFFFF


IDENTITY = Identity()


@dataclass(frozen=True, slots=True)
class Voice:
    """How a client speaks. Levels are -dBov; a `pause_s` of zeros never pauses."""

    frame_ms: int = 20
    talk_s: tuple[float, float] = (1.0, 3.0)
    pause_s: tuple[float, float] = (0.3, 0.8)
    level: tuple[int, int] = (15, 30)
    quiet_level: tuple[int, int] = (85, 120)
    dtx: bool = False
    tells_level: bool = True
    sequence: int | None = None
    timestamp: int | None = None
    # The publisher's timestamps stand still while its microphone is off.
    clock_stops: bool = False
    # How much faster its sampling clock runs than the wall's.
    drift_ppm: float = 0.0


class Uplink:
    """What one client sent, by packet index, and what became of it on the way up.

    `ticks` are timestamps and `sequences` sequence numbers before they wrap. `arrived` is when the
    server got it first, negative for never; `audible` whether it was allowed to be heard then.
    `copied` is when copies of it came in the RED of others, and whether they could be heard then;
    `repeated` are those that were sent again.
    """

    __slots__ = (
        "arrived",
        "audible",
        "carries",
        "copied",
        "copies",
        "marked",
        "repeated",
        "sent",
        "sequences",
        "ticks",
    )

    def __init__(self) -> None:
        self.sent: list[float] = []
        self.ticks: list[int] = []
        self.sequences: list[int] = []
        self.marked = bytearray()
        self.arrived: list[float] = []
        self.audible = bytearray()
        self.copies = 0
        self.carries: dict[int, list[int]] = {}
        self.copied: dict[int, list[tuple[float, bool]]] = {}
        self.repeated: set[int] = set()

    def __len__(self) -> int:
        return len(self.sent)

    def add(self, now: float, ticks: int, sequence: int, marked: bool) -> int:
        """Note a packet that leaves the client; returns its index."""
        self.sent.append(now)
        self.ticks.append(ticks)
        self.sequences.append(sequence)
        self.marked.append(marked)
        self.arrived.append(-1.0)
        self.audible.append(0)
        return len(self.sent) - 1

    def arrive(self, index: int, now: float, audible: bool) -> None:
        """Note that a packet came to the server from an address it accepts."""
        if self.arrived[index] < 0:
            self.arrived[index] = now
            self.audible[index] = audible
            for copied in self.carries.get(index, ()):
                self.copied.setdefault(copied, []).append((now, audible))
        else:
            self.copies += 1

    def came_at(self, index: int, emitted: float, hold_s: float) -> tuple[float, bool] | None:
        """When what was emitted then came, itself or as a copy, and whether it was audible."""
        arrived = self.arrived[index]
        if 0 <= arrived <= emitted <= arrived + hold_s:
            return arrived, bool(self.audible[index])
        ways = self.copied.get(index, ())
        return next((way for way in ways if 0 <= way[0] <= emitted <= way[0] + hold_s), None)


class Microphone:
    """Makes the packets of one client, one frame at a time."""

    def __init__(
        self,
        client: int,
        voice: Voice,
        rng: random.Random,
        *,
        ssrc: int,
        payload_type: int,
        level_extension: int,
        red: RedEncoder | None = None,
    ) -> None:
        self.voice = voice
        self.ssrc = ssrc
        self.uplink = Uplink()
        # Each SSRC that it ever had, with the index of the first packet under it.
        self.eras: list[tuple[int, int]] = [(ssrc, 0)]
        self.sent_packets = 0
        self.sent_octets = 0
        self._red = red
        self.is_speaking = False
        self._client = client
        self._random = rng
        self._payload_type = payload_type
        self._extensions: dict[int, bytes] = {}
        self._level_extension = level_extension
        self._sequence = rng.randrange(65_536) if voice.sequence is None else voice.sequence
        first = rng.randrange(2**32) if voice.timestamp is None else voice.timestamp
        self._ticks = first
        self._phase_voiced = False
        self._phase_ends = 0.0
        self._quiet_ms = 0
        self._marker = True

    @property
    def frame_s(self) -> float:
        """Seconds from one frame to the next."""
        return self.voice.frame_ms / 1000 / (1.0 + self.voice.drift_ppm * 1e-6)

    def open(self, now: float, closed_s: float) -> None:
        """Begin a talkspurt after `closed_s` without frames."""
        if not self.voice.clock_stops:
            self._ticks += round(closed_s * TICKS_PER_S)
        self._phase_ends = now
        self._phase_voiced = False
        self._quiet_ms = 0
        self._marker = True

    def jump(self, sequences: int, ticks: int) -> None:
        """Skip ahead, as a client does whose sender was rebuilt."""
        self._sequence += sequences
        self._ticks += ticks

    def change_ssrc(self, ssrc: int) -> None:
        """Go on as another stream."""
        self.ssrc = ssrc
        self.eras.append((ssrc, len(self.uplink)))
        self.sent_packets = self.sent_octets = 0
        self._marker = True
        if self._red is not None:
            self._red.forget()

    def era(self, ssrc: int) -> range | None:
        """The packets sent under this SSRC, None for one that it never had."""
        for place, (known, begin) in enumerate(self.eras):
            if known == ssrc:
                later = self.eras[place + 1 :]
                return range(begin, later[0][1] if later else len(self.uplink))
        return None

    def frame(self, now: float) -> tuple[bytes, int] | None:
        """The next frame as plain RTP with its index, None when DTX leaves it out."""
        voiced = self._is_voiced(now)
        ticks = self._ticks
        self._ticks += self.voice.frame_ms * TICKS_PER_S // 1000
        if voiced:
            self._quiet_ms = 0
        else:
            self._quiet_ms += self.voice.frame_ms
            if self.voice.dtx and not self._is_refresh():
                self._marker = True
                return None
        return self._packet(now, ticks, voiced)

    def _is_voiced(self, now: float) -> bool:
        if not self.is_speaking:
            self._phase_ends, self._phase_voiced = now, False
            return False
        if now >= self._phase_ends:
            self._phase_voiced = not self._phase_voiced or self.voice.pause_s[1] <= 0.0
            length = self.voice.talk_s if self._phase_voiced else self.voice.pause_s
            self._phase_ends = now + self._random.uniform(*length)
        return self._phase_voiced

    def _is_refresh(self) -> bool:
        past = self._quiet_ms - DTX_AFTER_MS
        return past <= 0 or past % DTX_REFRESH_MS < self.voice.frame_ms

    def _packet(self, now: float, ticks: int, voiced: bool) -> tuple[bytes, int]:
        rng, voice = self._random, self.voice
        index = self.uplink.add(now, ticks, self._sequence, self._marker)
        marker = 0x80 if self._marker else 0
        self._marker = False
        header = _HEADER.pack(
            0x90 if self._level_extension else 0x80,
            marker | (self._payload_type if self._red is None else self._red.payload_type),
            self._sequence & 0xFFFF,
            ticks & 0xFFFFFFFF,
            self.ssrc,
        )
        self._sequence += 1
        if self._level_extension:
            low, high = voice.level if voiced else voice.quiet_level
            header += self._extension(int(rng.random() * (high - low + 1)) + low, voiced)
        stamp = IDENTITY.pack(self._client, index, int(now * 10_000) % TIME_WRAP)
        payload = bytes((TABLES_OF_CONTENTS[voice.frame_ms],)) + stamp
        if voiced:
            low, high = VOICED_BYTES
            size = int(rng.random() * (high - low + 1)) + low
            payload += _FILLER[: size * voice.frame_ms // 20 - len(payload)]
        if self._red is not None:
            payload, copies = self._red.wrap(index, ticks, payload)
            if copies:
                self.uplink.carries[index] = copies
        self.sent_packets += 1
        self.sent_octets += len(payload)
        return header + payload, index

    def _extension(self, level: int, voiced: bool) -> bytes:
        """The header extension with this level, voice bit included (RFC 6464, RFC 8285)."""
        key = level | voiced << 7
        extension = self._extensions.get(key)
        if extension is None:
            identifier = self._level_extension
            if identifier <= 14:
                extension = bytes((0xBE, 0xDE, 0, 1, identifier << 4, key, 0, 0))
            else:
                extension = bytes((0x10, 0x00, 0, 1, identifier, 1, key, 0))
            self._extensions[key] = extension
        return extension
