"""What a client says and hears about packets, beside the packets: reports, NACK, reference times,
when each stamped packet came, and the most that it can take.

It asks for what it misses as a browser does: once a later packet has shown the gap and reordering
had its chance, again after each round trip, and no longer than its jitter buffer waits.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from tests.sim import rtcp
from tests.sim.downlink import Heard
from tests.sim.transport_cc import CLOCK_WRAPS_S, Arrivals
from tests.sim.voice import TICKS_PER_S, Microphone

if TYPE_CHECKING:
    from tests.sim.client import SimClient

# A packet that comes this much later than the next one was only overtaken.
REORDER_S = 0.010
# Beyond this a gap is a new beginning and not a loss.
GAP_MAX = 64
ASKED_MAX = 10
# What a browser remembers of what it sent: its pacer's history of packets.
SENT_MAX = 128
# From the first stamped packet after the last feedback to the next; browsers take 50 to 250 ms.
TRANSPORT_WIDE_S = 0.1
# So many clients have a clock that comes round in the middle of the run.
COMES_ROUND = 0.1
# Until a round trip is known.
ROUND_TRIP_S = 0.1


class _Missing:
    """One packet that has not come."""

    __slots__ = ("asked", "due", "given_up")

    def __init__(self, due: float, given_up: float) -> None:
        self.due, self.given_up, self.asked = due, given_up, 0


class Feedback:
    """The RTCP of one client, from its keys on."""

    def __init__(self, client: SimClient) -> None:
        self._client = client
        self._missing: dict[tuple[int, int], _Missing] = {}
        self._is_asking = False
        self._sent: OrderedDict[int, tuple[bytes, int]] = OrderedDict()
        self._references: dict[int, float] = {}
        # The server's reference time that is still to be answered: of whom, which, when it came.
        self._to_answer: tuple[int, int, float] | None = None
        # Seconds, by the answers to reference times.
        self.round_trips: list[float] = []
        # Of checks, which every client has.
        self.check_round_trip_s = ROUND_TRIP_S
        self._arrivals: Arrivals | None = None
        self._is_telling = False

    def start(self, delay_s: float) -> None:
        """Report regularly, the first time after `delay_s`."""
        clock = self._client.wire.clock
        clock.at(clock.now + delay_s, self._report_timer)

    # Requests

    def note_gap(self, heard: Heard, highest: int, now: float) -> None:
        """`heard` came, and `highest` was the newest of its track until then (both extended)."""
        self._missing.pop((heard.ssrc, heard.sequence), None)
        ahead = (heard.sequence - highest) & 0xFFFF
        if not 1 < ahead < GAP_MAX:
            return
        wait_s = self._client.shape.jitter_buffer_s
        for back in range(ahead - 1, 0, -1):
            # Its time was as much earlier as it stands before the one that came.
            given_up = now + wait_s - back * self._client.shape.voice.frame_ms / 1000
            key = heard.ssrc, (heard.sequence - back) & 0xFFFF
            self._missing[key] = _Missing(now + REORDER_S, given_up)
        if not self._is_asking:
            self._is_asking = True
            self._client.wire.clock.at(now + REORDER_S, self._ask_timer)

    def _ask_timer(self, _: None, now: float) -> None:
        client = self._client
        wanted: dict[int, list[int]] = {}
        for (ssrc, sequence), missing in list(self._missing.items()):
            if now > missing.given_up or missing.asked >= ASKED_MAX:
                del self._missing[ssrc, sequence]
            elif missing.due <= now:
                missing.asked += 1
                missing.due = now + self.check_round_trip_s
                wanted.setdefault(ssrc, []).append(sequence)
        self._is_asking = bool(self._missing) and client.is_open
        for ssrc, sequences in wanted.items() if client.is_open else ():
            client.send_rtcp(self._compound(now, rtcp.build_nack(self._own_ssrc, ssrc, sequences)))
        if self._is_asking:
            client.wire.clock.at(now + REORDER_S, self._ask_timer)

    # Stamped packets

    def note_stamped(self, heard: Heard, now: float) -> None:
        """A packet came with a number that counts over the whole connection."""
        if self._arrivals is None:
            rng = self._client.random
            offset_s = rng.uniform(0.0, CLOCK_WRAPS_S)
            if rng.random() < COMES_ROUND:
                offset_s = CLOCK_WRAPS_S - now - rng.uniform(0.0, 5.0)
            self._arrivals = Arrivals(offset_s)
        self._arrivals.note(heard.wide, now)
        if not self._is_telling:
            self._is_telling = True
            self._client.wire.clock.at(now + TRANSPORT_WIDE_S, self._tell_timer, heard.ssrc)

    def _tell_timer(self, media_ssrc: int, now: float) -> None:
        """By itself and not within a compound packet, as browsers do (RFC 5506)."""
        assert self._arrivals is not None
        self._is_telling = False
        data = self._arrivals.take(self._own_ssrc, media_ssrc)
        if data and self._client.is_open:
            self._client.send_rtcp(data)

    # Answers

    def note_sent(self, sequence: int, data: bytes, packet: int) -> None:
        """A packet left, encrypted as `data`."""
        self._sent[sequence & 0xFFFF] = data, packet
        if len(self._sent) > SENT_MAX:
            self._sent.popitem(last=False)

    def take(self, compound: rtcp.Compound, now: float) -> None:
        """A compound packet came from the server."""
        client = self._client
        client.downlink.note_reports(compound, now)
        for nack in compound.nacks:
            for sequence in nack.sequences:
                data, packet = self._sent.get(sequence, (b"", -1))
                if packet >= 0 and client.microphone is not None:
                    client.microphone.uplink.repeated.add(packet)
                    client.wire.upload(client, data, packet)
        for ssrc, reference in compound.references:
            self._to_answer = ssrc, reference, now
        for delay in compound.delays:
            asked_at = self._references.get(delay.last_reference)
            if delay.ssrc == self._own_ssrc and asked_at is not None:
                self.round_trips.append(now - asked_at - delay.delay / 65_536)

    # Reports

    @property
    def _own_ssrc(self) -> int:
        microphone = self._client.microphone
        return 1 if microphone is None else microphone.ssrc

    def _report_timer(self, _: None, now: float) -> None:
        client = self._client
        if not client.is_open:
            return
        more = b""
        if client.shape.xr:
            ntp = int((now + rtcp.NTP_EPOCH) * 2**32)
            self._references[ntp >> 16 & 0xFFFFFFFF] = now
            more = rtcp.build_reference_time(self._own_ssrc, ntp)
            if self._to_answer is not None:
                ssrc, reference, came_at = self._to_answer
                self._to_answer = None
                delay = rtcp.DelaySince(ssrc, reference, int((now - came_at) * 65_536))
                more += rtcp.build_delay_since(self._own_ssrc, delay)
        if client.shape.remb_bps is not None:
            ssrcs = list(client.downlink.tracks)
            more += rtcp.build_remb(self._own_ssrc, client.shape.remb_bps, ssrcs)
        client.send_rtcp(self._compound(now, more))
        clock = client.wire.clock
        clock.at(now + client.random.uniform(*client.shape.report_s), self._report_timer)

    def _compound(self, now: float, more: bytes) -> bytes:
        microphone = self._client.microphone
        sender = None if microphone is None else _sender_report(microphone, now)
        blocks = self._client.downlink.report_blocks(now)
        return rtcp.build_report(self._own_ssrc, sender, blocks) + more


def _sender_report(microphone: Microphone, now: float) -> rtcp.SenderReport | None:
    uplink = microphone.uplink
    if not len(uplink):
        return None
    ticks = uplink.ticks[-1] + round((now - uplink.sent[-1]) * TICKS_PER_S)
    return rtcp.SenderReport(
        microphone.ssrc,
        int((now + rtcp.NTP_EPOCH) * 2**32),
        ticks & 0xFFFFFFFF,
        microphone.sent_packets,
        microphone.sent_octets,
    )
