"""A small WebRTC audio peer: what a browser does towards the daemon, without a browser.

ICE is one UDP socket (`path`). STUN messages are aioice's; DTLS, SRTP and SDP parsing are aiortc's,
so nothing of the daemon's own stack is trusted on this side. Media goes round aiortc's receivers: a
packet is unprotected, parsed and handed to `on_packet`, nothing is decoded.

Times are seconds of the event loop's clock.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass

import pylibsrtp
from aiortc import RTCCertificate
from aiortc.rtcdtlstransport import RTCDtlsParameters, RTCDtlsTransport
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpReceiveParameters
from aiortc.rtp import HeaderExtensionsMap, RtpPacket, is_rtcp
from aiortc.sdp import SessionDescription

from deploy.club.path import IceCredentials, PeerError, UdpPath

LEVEL_URI = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
MID_URI = "urn:ietf:params:rtp-hdrext:sdes:mid"
TRANSPORT_CC_URI = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
TICKS_PER_FRAME = 960  # 20 ms at 48 kHz


@dataclass(frozen=True, slots=True)
class PeerOptions:
    """What the peer offers: an m-line for each of `slots`, and one more for the `mix`.

    Extension ids of 0 leave that extension out of the offer. With `host` the peer sends from that
    address of the machine, else from whichever the route takes.
    """

    slots: int = 3
    mix: bool = False
    payload_type: int = 111
    level_extension: int = 1
    mid_extension: int = 4
    transport_cc_extension: int = 0
    publishes: bool = True
    host: str | None = None

    @property
    def lines(self) -> int:
        """How many m-lines that makes."""
        return self.slots + self.mix


class Peer:
    """One audio connection to the daemon: `offer` goes out, `connect(answer)`, then `send`.

    `on_packet` gets every decrypted RTP packet, `on_rtcp` what is decrypted of RTCP. `closed` is
    set when the daemon ended the connection (DTLS close_notify) or `close` was called.
    """

    def __init__(self, options: PeerOptions | None = None) -> None:
        self.options = options or PeerOptions()
        self.ssrc = secrets.randbits(31) | 1
        self.sequence = secrets.randbelow(32_767) + 1
        self.timestamp = secrets.randbits(32)
        self.on_packet: Callable[[RtpPacket], None] | None = None
        self.on_rtcp: Callable[[bytes], None] | None = None
        self.on_sent: Callable[[bytes], None] | None = None
        self.closed = asyncio.Event()
        self.received = 0
        self.srtp_errors = 0
        self.slot_ssrcs: list[int] = []
        self.mix_ssrc: int | None = None
        self._ice = IceCredentials.fresh()
        self._certificate = RTCCertificate.generateCertificate()
        self._path: UdpPath | None = None
        self._dtls: RTCDtlsTransport | None = None
        self._receiving = HeaderExtensionsMap()

    @property
    def arrived_at(self) -> float:
        """When the kernel had what is being handled: it may have waited in the socket since."""
        assert self._path is not None, "something is being handled"
        return self._path.arrived_at

    @property
    def offer(self) -> str:
        """The SDP offer: one m-line for each slot and one for the mix, the first of them `sendrecv`
        when it may speak.
        """
        mids = " ".join(str(mid) for mid in range(self.options.lines))
        head = [
            "v=0",
            f"o=- {self.ssrc} 1 IN IP4 127.0.0.1",
            "s=-",
            "t=0 0",
            f"a=group:BUNDLE {mids}",
            "a=extmap-allow-mixed",
        ]
        lines = [line for mid in range(self.options.lines) for line in self._media_lines(mid)]
        return "\r\n".join(head + lines) + "\r\n"

    async def connect(self, answer: str, timeout_s: float = 10.0) -> None:
        """Apply the daemon's answer: ICE, then DTLS as the client. PeerError when either fails."""
        fingerprints = await self.connect_ice(answer, timeout_s)
        # The path has just what RTCDtlsTransport asks of its transport: role, _recv and _send.
        dtls = RTCDtlsTransport(self._path, [self._certificate])  # type: ignore[arg-type]
        dtls._set_role("client")
        dtls.on("statechange", self._on_dtls_state)
        self._dtls = dtls
        try:
            await asyncio.wait_for(dtls.start(fingerprints), timeout_s)
        except TimeoutError:
            raise PeerError("DTLS handshake took too long") from None
        if dtls.state != "connected":
            raise PeerError(f"DTLS is {dtls.state}")

    async def connect_ice(self, answer: str, timeout_s: float = 10.0) -> RTCDtlsParameters:
        """The first half of `connect`: a validated address. Returns what DTLS must find."""
        description = SessionDescription.parse(answer)
        media = description.media[0]
        if media.ice is None or media.dtls is None:
            raise PeerError("the answer has no ICE or DTLS parameters")
        remote = IceCredentials(media.ice.usernameFragment or "", media.ice.password or "")
        ssrcs = [line.ssrc[0].ssrc for line in description.media if line.ssrc]
        self.slot_ssrcs = ssrcs[: self.options.slots]
        self.mix_ssrc = next(iter(ssrcs[self.options.slots :]), None)
        self._learn_extensions(media.rtp.headerExtensions)
        self._path = UdpPath(self._ice, remote, self.options.host)
        self._path.on_media = self._receive_media
        self._path.on_sent = self.on_sent
        await self._path.connect(_candidates(description), timeout_s)
        return media.dtls

    def send(self, payload: bytes, *, level: int | None = None, marker: bool = False) -> None:
        """Send one 20 ms Opus packet as the next in sequence.

        `level` in -dBov (0 loudest) goes into the RFC 6464 extension, voiced below 50; None leaves
        it out.
        """
        packet = RtpPacket(
            payload_type=self.options.payload_type,
            marker=int(marker),
            sequence_number=self.sequence,
            timestamp=self.timestamp,
            ssrc=self.ssrc,
            payload=payload,
        )
        if level is not None:
            packet.extensions.audio_level = (level < 50, level)
        self.send_rtp(packet.serialize(self._receiving))
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.skip_frames(1)

    def skip_frames(self, frames: int) -> None:
        """Let media time pass without a packet (DTX, or a pause)."""
        self.timestamp = (self.timestamp + frames * TICKS_PER_FRAME) & 0xFFFFFFFF

    def send_rtp(self, packet: bytes) -> None:
        """Protect and send a serialized RTP packet. Nothing happens before DTLS or after close."""
        if self._path is not None and self._dtls is not None and self._dtls.state == "connected":
            self._path.send(self._dtls._tx_srtp.protect(packet))

    def send_rtcp(self, packet: bytes) -> None:
        """Protect and send a compound RTCP packet. Nothing happens before DTLS or after close."""
        if self._path is not None and self._dtls is not None and self._dtls.state == "connected":
            self._path.send(self._dtls._tx_srtp.protect_rtcp(packet))

    def send_datagram(self, datagram: bytes) -> None:
        """Send bytes as they are from this peer's validated address."""
        if self._path is not None:
            self._path.send(datagram)

    async def close(self) -> None:
        """Say goodbye (DTLS close_notify) and free the socket. Idempotent."""
        if self._dtls is not None:
            await self._dtls.stop()
            self._dtls = None
        self.vanish()

    def vanish(self) -> None:
        """Free the socket without a word, as a pulled cable does."""
        if self._path is not None:
            self._path.close()
            self._path = None
        self.closed.set()

    def _media_lines(self, mid: int) -> list[str]:
        options = self.options
        sends = mid == 0 and options.publishes
        fingerprint = self._certificate.getFingerprints()[0]
        lines = [
            f"m=audio 9 UDP/TLS/RTP/SAVPF {options.payload_type}",
            "c=IN IP4 0.0.0.0",
            f"a=mid:{mid}",
            "a=sendrecv" if sends else "a=recvonly",
            "a=rtcp-mux",
            f"a=ice-ufrag:{self._ice.ufrag}",
            f"a=ice-pwd:{self._ice.pwd}",
            f"a=fingerprint:{fingerprint.algorithm} {fingerprint.value}",
            "a=setup:actpass",
            f"a=rtpmap:{options.payload_type} opus/48000/2",
            f"a=fmtp:{options.payload_type} minptime=10;useinbandfec=1",
        ]
        if options.level_extension:
            lines.append(f"a=extmap:{options.level_extension} {LEVEL_URI}")
        if options.mid_extension:
            lines.append(f"a=extmap:{options.mid_extension} {MID_URI}")
        if options.transport_cc_extension:
            lines.append(f"a=extmap:{options.transport_cc_extension} {TRANSPORT_CC_URI}")
            lines.append(f"a=rtcp-fb:{options.payload_type} transport-cc")
        if sends:
            lines.append(f"a=ssrc:{self.ssrc} cname:peer")
        return lines

    def _learn_extensions(self, negotiated: list[RTCRtpHeaderExtensionParameters]) -> None:
        self._receiving.configure(RTCRtpReceiveParameters(headerExtensions=negotiated))

    def _receive_media(self, data: bytes) -> None:
        dtls = self._dtls
        if dtls is None or dtls.state != "connected":
            return
        try:
            if is_rtcp(data):
                if self.on_rtcp is not None:
                    self.on_rtcp(dtls._rx_srtp.unprotect_rtcp(data))
                return
            packet = RtpPacket.parse(dtls._rx_srtp.unprotect(data), self._receiving)
        except (pylibsrtp.Error, ValueError):
            self.srtp_errors += 1
            return
        self.received += 1
        if self.on_packet is not None:
            self.on_packet(packet)

    def _on_dtls_state(self) -> None:
        if self._dtls is not None and self._dtls.state in ("closed", "failed"):
            self.closed.set()


def _candidates(description: SessionDescription) -> list[tuple[str, int]]:
    """Host candidates of one address family, IPv4 when there is any."""
    found = [
        (candidate.ip, candidate.port)
        for media in description.media
        for candidate in media.ice_candidates
        if candidate.protocol.lower() == "udp"
    ]
    chosen = [item for item in found if ":" not in item[0]] or found
    if not chosen:
        raise PeerError("the answer has no candidate")
    return list(dict.fromkeys(chosen))
