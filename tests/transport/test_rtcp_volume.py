"""RTCP beside media over thousands of connections: how much of it, and how evenly."""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter

import pytest

from sfu.fast.records import EgressStats, SourceLevel, SourceStats
from sfu.transport.answer import negotiate
from sfu.transport.candidates import Endpoint, candidates_for
from sfu.transport.dtls import DtlsState
from sfu.transport.negotiation import Negotiation
from sfu.transport.offer import parse_offer
from sfu.transport.rtcp import ExtendedReport, ntp_time
from sfu.transport.settings import TransportSettings
from sfu.transport.transport import Transport
from tests.transport.peer import FINGERPRINT, HOME, FakeDtls, check, offer_text, seeded

CONNECTIONS = 2_000
SECONDS = 25.0
WALL = 1_700_000_000.0
UDP_BYTES = 28  # with IPv4
# Header, one CSRC, extensions with level and MID, the tag of SRTP; and what encrypts RTCP.
RTP_BYTES = UDP_BYTES + 16 + 8 + 16
SOURCE, EGRESSES = 1, (10, 11, 12)


class Talk:
    """So many of the tracks carry so many packets a second, of so many bytes."""

    def __init__(self, tracks: int, rate: float, payload_bytes: int) -> None:
        self.tracks = tracks
        self.rate = rate
        self.payload_bytes = payload_bytes
        self.now = 0.0

    @property
    def packets(self) -> int:
        """Of each track so far."""
        return int(self.now * self.rate)

    def media_bytes(self) -> int:
        """Of all tracks of one connection so far."""
        return self.tracks * self.packets * (RTP_BYTES + self.payload_bytes)

    def egress_stats(self, egress: int, /) -> EgressStats:
        """A track that is sent."""
        packets = self.packets if egress - EGRESSES[0] < self.tracks else 0
        return EgressStats(packets, packets * self.payload_bytes, 0, self.now, packets)

    def source_stats(self, source: int, /) -> SourceStats:
        """What a publisher sent."""
        return SourceStats(7, self.packets, self.packets, self.packets, 0)

    def level(self, source: int, now: float, /) -> SourceLevel:
        """Never silent."""
        return SourceLevel(0.0, False, math.inf, 0.0, 127, 20, False)

    def missing(self, source: int, ssrc: int, sequences: list[int], /) -> list[int]:
        """Nothing."""
        return []


class Crowd:
    """Connections that were all made at the same moment, and what they send as RTCP."""

    def __init__(self, talk: Talk, *, publishes: bool = False) -> None:
        self.talk = talk
        self.bytes = 0
        self.times: list[float] = []
        self._transports = [
            self._connected(number, publishes=publishes) for number in range(CONNECTIONS)
        ]
        self._run()

    def _connected(self, number: int, *, publishes: bool) -> Transport:
        negotiation = _NEGOTIATION
        dtls = FakeDtls()
        transport = Transport(
            negotiation,
            dtls,
            0.0,
            stats=self.talk,
            source=SOURCE if publishes else None,
            egresses=EGRESSES,
            entropy=seeded(f"reports {number}"),
            wall_at_zero=WALL,
            settings=TransportSettings(),
            count=lambda name: None,
        )
        assert transport.receive_stun(_CHECK, HOME, 0.0)
        dtls.next_state = DtlsState.CONNECTED
        transport.receive_dtls(b"\x16hello", HOME, 0.0)
        transport.datagrams_to_send()
        return transport

    def _run(self) -> None:
        """From deadline to deadline; each client is heard and sends a reference time before."""
        turns = itertools.count()
        due = [(one.next_deadline() or 0.0, next(turns), one) for one in self._transports]
        heapq.heapify(due)
        while due[0][0] <= SECONDS:
            now, _, transport = due[0]
            self.talk.now = now
            transport.heard(now)
            transport.reporter.receive([ExtendedReport(5, ntp_time(WALL + now))], now)
            transport.handle_timer(now)
            sent = transport.datagrams_to_send()
            self.bytes += sum(UDP_BYTES + len(data) for data, _ in sent)
            self.times += [now] * bool(sent)
            heapq.heapreplace(due, (transport.next_deadline() or 0.0, next(turns), transport))
        self.talk.now = SECONDS


def _negotiated() -> Negotiation:
    text = offer_text("chromium_4_audio")
    mux = "a=rtcp-mux\r\n"
    return negotiate(
        parse_offer(text.replace(mux, mux + "a=rtcp-xr:rcvr-rtt=all\r\n")),
        tracks=3,
        candidates=candidates_for([Endpoint("192.0.2.1", 7800)]),
        fingerprint=FINGERPRINT,
        entropy=seeded("transport"),
    )


_NEGOTIATION = _negotiated()
_CHECK = check(
    f"{_NEGOTIATION.ice.local_ufrag}:{_NEGOTIATION.ice.remote_ufrag}", _NEGOTIATION.ice.local_pwd
)


@pytest.mark.parametrize(
    ("tracks", "rate", "payload_bytes"),
    [
        pytest.param(1, 50.0, 60, id="one voice"),
        pytest.param(3, 50.0, 80, id="three voices"),
        pytest.param(1, 2.5, 1, id="pauses of DTX"),
        pytest.param(3, 16.7, 40, id="long frames"),
    ],
)
def test_rtcp_to_listeners_is_a_twentieth_of_media_at_most(
    tracks: int, rate: float, payload_bytes: int
) -> None:
    """Beside the first report of each track, which may not wait."""
    talk = Talk(tracks, rate, payload_bytes)
    crowd = Crowd(talk)
    assert crowd.bytes > 0
    first_reports = CONNECTIONS * tracks * 130 if rate < 5 else 0
    assert crowd.bytes - first_reports <= 0.05 * CONNECTIONS * talk.media_bytes()


@pytest.mark.parametrize(("rate", "payload_bytes"), [(50.0, 60), (2.5, 1)])
def test_rtcp_to_publishers_is_a_twentieth_of_what_they_send_at_most(
    rate: float, payload_bytes: int
) -> None:
    talk = Talk(0, rate, payload_bytes)
    crowd = Crowd(talk, publishes=True)
    media_bytes = CONNECTIONS * talk.packets * (RTP_BYTES - 4 + payload_bytes)
    first_reports = CONNECTIONS * 140 if rate < 5 else 0
    assert 0 < crowd.bytes - first_reports <= 0.05 * media_bytes


def test_listeners_that_came_at_once_are_not_reported_to_at_once() -> None:
    """After two rounds no tenth of a second has twice its share, and none is left out."""
    crowd = Crowd(Talk(1, 50.0, 60))
    shares = Counter(int(at * 10) for at in crowd.times if at >= 10.0)
    whole = [shares[tenth] for tenth in range(100, int(SECONDS * 10))]
    mean = sum(whole) / len(whole)
    assert mean == pytest.approx(CONNECTIONS / 50, rel=0.1), "each every 5 s"
    assert max(whole) < 2 * mean and min(whole) > mean / 3


def test_a_silent_room_costs_no_rtcp() -> None:
    assert Crowd(Talk(0, 50.0, 60)).bytes == 0
