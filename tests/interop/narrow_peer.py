"""A listener that tells about its line as a browser does: receiver reports every few seconds, and
every 100 ms which of the stamped packets came and when. It offers RED, as Chromium does, by which
the server finds out what the line carries beyond what is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import Counter
from collections.abc import AsyncIterator

from aiortc.rtp import RtpPacket

from control import Client
from control.types import Role
from deploy.club.peer import Peer, PeerOptions
from tests.sim.downlink import Reception
from tests.sim.rtcp import ReportBlock, build_report, parse_compound
from tests.sim.transport_cc import Arrivals

OPUS, RED = 111, 63
OPUS_LINE = f"a=rtpmap:{OPUS} opus/48000/2\r\n"
RED_LINES = f"a=rtpmap:{RED} red/48000/2\r\na=fmtp:{RED} {OPUS}/{OPUS}\r\n"
FEEDBACK_S = 0.1
REPORT_S = 5.0


class NarrowPeer:
    """Joined while `joined` lasts. `packets` counts what came, by SSRC."""

    def __init__(self, host: str) -> None:
        self.peer = Peer(
            PeerOptions(mix=True, publishes=False, transport_cc_extension=3, host=host)
        )
        self.packets: Counter[int] = Counter()
        self._ssrc = secrets.randbits(31) | 1
        self._receptions: dict[int, Reception] = {}
        self._arrivals = Arrivals(secrets.randbelow(10_000))
        self._has_news = False
        self.peer.on_packet = self._take
        self.peer.on_rtcp = self._take_rtcp

    @classmethod
    @contextlib.asynccontextmanager
    async def joined(
        cls, control: Client, room: str, participant: str, host: str
    ) -> AsyncIterator[NarrowPeer]:
        """A connected listener that sends from `host`."""
        one = cls(host)
        answer = await control.participant_join(
            room=room, participant=participant, role=Role.LISTENER, offer=one.offer
        )
        await one.peer.connect(answer.answer)
        tasks = [asyncio.create_task(one._tell()), asyncio.create_task(one._report())]
        try:
            yield one
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await one.peer.close()

    @property
    def offer(self) -> str:
        """The peer's, with RED behind Opus on each m-line."""
        opus = self.peer.offer.replace(OPUS_LINE, OPUS_LINE + RED_LINES)
        return opus.replace(f"SAVPF {OPUS}\r\n", f"SAVPF {OPUS} {RED}\r\n")

    def _take(self, packet: RtpPacket) -> None:
        now = self.peer.arrived_at
        self.packets[packet.ssrc] += 1
        number = packet.sequence_number
        reception = self._receptions.setdefault(packet.ssrc, Reception(number, number))
        reception.note(number, packet.timestamp, now)
        wide = packet.extensions.transport_sequence_number
        if wide is not None:
            self._arrivals.note(wide, now)
            self._has_news = True

    def _take_rtcp(self, data: bytes) -> None:
        now = self.peer.arrived_at
        for report in parse_compound(data).senders:
            reception = self._receptions.get(report.ssrc)
            if reception is not None:
                reception.last_report = report.ntp >> 16 & 0xFFFFFFFF
                reception.last_report_at = now

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(FEEDBACK_S)
            if self._has_news:
                self._has_news = False
                media_ssrc = next(iter(self._receptions))
                self.peer.send_rtcp(self._arrivals.take(self._ssrc, media_ssrc))

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(REPORT_S * (0.5 + secrets.randbelow(1_000) / 1_000))
            now = asyncio.get_running_loop().time()
            blocks: list[ReportBlock] = [
                reception.block(ssrc, now) for ssrc, reception in self._receptions.items()
            ]
            self.peer.send_rtcp(build_report(self._ssrc, None, blocks))
