"""A simulated client: a browser's half of the connection, made of real wire pieces.

Checks are real STUN with real authentication (aioice), media and RTCP are real SRTP (pylibsrtp);
only DTLS is the fake. The client owns no clock and no socket: `Wire` is all it knows of the world.

What the server sends is seen twice. `observe` decrypts a datagram the moment it leaves the server,
in order and without loss: the truth for the checkers. `receive` is what the network brings,
decrypted by a second session that counts what a real receiver would have failed on.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol

from aioice import stun
from pylibsrtp import Error as SrtpError
from pylibsrtp import Policy, Session

from sfu.transport.address import is_ipv4, pack_address, unpack_address
from sfu.transport.dtls import DtlsState, SrtpProfile
from tests.sim.checks import build_check, is_good_answer
from tests.sim.clock import Clock
from tests.sim.downlink import Downlink, Heard
from tests.sim.fake_dtls import CERTIFICATE_BYTES, FakeDtlsClient, client_for, fingerprint_of
from tests.sim.feedback import Feedback
from tests.sim.network import Link
from tests.sim.offer import (
    LEVEL_URI,
    TRANSPORT_CC_URI,
    Answer,
    AnswerLine,
    OfferShape,
    random_shape,
)
from tests.sim.red import RedEncoder
from tests.sim.rtcp import parse_compound
from tests.sim.shape import ClientShape
from tests.sim.voice import Microphone

# From the answer of the daemon to the client's first check: the backend's part of the way.
SIGNALLING_S = 0.03
# Until the first answer; browsers begin faster and slow down.
FIRST_CHECKS_S = 0.2
# Without an answer for this long a client may no longer send (RFC 7675 5.1).
CONSENT_EXPIRES_S = 30.0

IPV4_HEADER_BYTES, IPV6_HEADER_BYTES = 28, 48

_PROFILES = {
    SrtpProfile.AEAD_AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    SrtpProfile.AES_CM_128_HMAC_SHA1_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
}


class Wire(Protocol):
    """The world as a client sees it."""

    clock: Clock

    def upload(self, client: SimClient, data: bytes, packet: int) -> None:
        """Send a datagram to the server; `packet` is the index of a media packet, else -1."""


class ClientState(Enum):
    """Only ever moves down this list."""

    NEW = "new"
    CHECKING = "checking"
    HANDSHAKING = "handshaking"
    CONNECTED = "connected"
    CLOSED = "closed"


@dataclass(slots=True)
class ClientCounts:
    """What happened to a client that it could tell itself."""

    checks: int = 0
    answers: int = 0
    media_received: int = 0
    srtp_errors: int = 0
    bad_answers: int = 0


class SimClient:
    """One connection of one person; joining again is another client."""

    def __init__(
        self, name: str, index: int, seed: str, shape: ClientShape, wire: Wire, up: Link, down: Link
    ) -> None:
        self.name = name
        self.index = index
        self.shape = shape
        self.up = up
        self.down = down
        self.state = ClientState.NEW
        self.counts = ClientCounts()
        self.ended_at: float | None = None
        self.connected_at: float | None = None
        self.wire = wire
        self.random = random.Random(seed)
        self._certificate = self.random.randbytes(CERTIFICATE_BYTES)
        self.offer: OfferShape = random_shape(
            self.random,
            fingerprint_of(self._certificate),
            lines=shape.lines,
            sends=shape.sends,
            tells_level=shape.voice.tells_level,
            red=shape.red,
            nack=shape.nack,
            xr=shape.xr,
            transport_cc=shape.transport_cc,
            remb=shape.remb_bps is not None,
        )
        self.addresses: list[bytes] = []
        self.downlink = Downlink()
        self.microphone: Microphone | None = None
        self.dtls: FakeDtlsClient | None = None
        self._answer: Answer | None = None
        # Of each check under way: where it left from, who may answer it, and when it left.
        self._pending: dict[bytes, tuple[bytes, str, float]] = {}
        self._restarts = 0
        self._last_answer = 0.0
        self._send: Session | None = None
        self._receive: Session | None = None
        self._microphone_closed_at: float | None = None
        self._microphone_epoch = 0
        self.feedback = Feedback(self)

    def __repr__(self) -> str:
        return f"<SimClient {self.name}#{self.index} {self.state.value}>"

    @property
    def address(self) -> bytes:
        """Where the server sees this client now."""
        return self.addresses[-1]

    @property
    def header_bytes(self) -> int:
        """IP and UDP headers of each of its datagrams."""
        return IPV4_HEADER_BYTES if is_ipv4(self.address) else IPV6_HEADER_BYTES

    @property
    def is_open(self) -> bool:
        """Whether the client still does anything."""
        return self.state is not ClientState.CLOSED

    @property
    def answer_lines(self) -> list[AnswerLine]:
        """The m-lines of the answer, none before it came."""
        return [] if self._answer is None else self._answer.lines

    def apply(self, answer: Answer) -> None:
        """Take the answer; nothing is sent before `start`."""
        self._answer = answer
        self.downlink.expect([ssrc for line in answer.lines for ssrc in line.ssrcs])
        self.dtls = client_for(
            self.random, self._certificate, answer.fingerprint, self.shape.profiles
        )
        line = answer.lines[0]
        self.downlink.red_payload_type = line.red_payload_type
        self.downlink.may_repeat = self.shape.nack
        # One RTP session: what is agreed on for one m-line is understood on all.
        agreed = [line.extensions.get(TRANSPORT_CC_URI, 0) for line in answer.lines]
        self.downlink.transport_cc_extension = max(agreed)
        if self.shape.sends:
            red = None
            if self.shape.copies:
                opus = self.offer.payload_type
                red = RedEncoder(opus, self.offer.red_payload_type, self.shape.copies)
            self.microphone = Microphone(
                self.index,
                self.shape.voice,
                self.random,
                ssrc=self.offer.ssrc or self.random.randrange(1, 2**32),
                payload_type=line.payload_types[0],
                level_extension=line.extensions.get(LEVEL_URI, 0),
                red=red,
            )

    def start(self, _: None, now: float) -> None:
        """Begin with connectivity checks."""
        if self.state is ClientState.NEW:
            self.state = ClientState.CHECKING
            self._last_answer = now
            self._check_timer(None, now)

    def rebind(self, address: bytes, now: float, *, aware: bool) -> None:
        """Appear at another address; an `aware` client checks at once, others when it is time."""
        self.addresses.append(address)
        if aware and self.is_open:
            self._check(now)

    def offer_restart(self) -> OfferShape:
        """The same session with other ICE credentials; nothing changes before the answer."""
        self._restarts += 1
        ufrag = f"{self.offer.ufrag[:8]}{self._restarts}"
        return replace(self.offer, ufrag=ufrag, pwd=f"{ufrag}{'x' * 24}", is_answered=True)

    def apply_restart(self, restart: tuple[OfferShape, Answer], now: float) -> None:
        """The answer to a restart came: check with the new credentials at once."""
        if not self.is_open:
            return
        self.offer, answer = restart
        assert self._answer is not None
        self._answer.ufrag, self._answer.pwd = answer.ufrag, answer.pwd
        self._check(now)

    def close(self, now: float) -> None:
        """Leave as a browser does that closes its connection: say so by DTLS, then be gone."""
        if not self.is_open:
            return
        if self.dtls is not None:
            self.dtls.close()
            self._flush_dtls()
        self.die(now)

    def die(self, now: float) -> None:
        """Be gone without a word."""
        if self.is_open:
            self.state = ClientState.CLOSED
            self.ended_at = now

    # Speaking

    def open_microphone(self, now: float, *, speaking: bool) -> None:
        """Send frames from now on, voiced ones if `speaking`."""
        assert self.microphone is not None, f"{self.name} offered no microphone"
        self.microphone.is_speaking = speaking
        if self._microphone_epoch % 2:
            return
        self._microphone_epoch += 1
        closed_at = self._microphone_closed_at
        self.microphone.open(now, 0.0 if closed_at is None else now - closed_at)
        # The devices of different people do not tick together.
        first = now + self.random.random() * self.microphone.frame_s
        self.wire.clock.at(first, self._frame_timer, self._microphone_epoch)

    def close_microphone(self, now: float) -> None:
        """Send no more frames at all."""
        if self._microphone_epoch % 2:
            self._microphone_epoch += 1
            self._microphone_closed_at = now

    def _frame_timer(self, epoch: int, now: float) -> None:
        if epoch != self._microphone_epoch or not self.is_open:
            return
        microphone = self.microphone
        assert microphone is not None
        self.wire.clock.at(now + microphone.frame_s, self._frame_timer, epoch)
        if self.state is not ClientState.CONNECTED or self._send is None:
            return
        frame = microphone.frame(now)
        if frame is not None:
            plain, packet = frame
            data = self._send.protect(plain)
            if self.shape.nack:
                self.feedback.note_sent(microphone.uplink.sequences[packet], data, packet)
            self.wire.upload(self, data, packet)

    def send_rtcp(self, compound: bytes) -> None:
        """Send a compound packet; only once there are keys."""
        assert self._send is not None
        self.wire.upload(self, self._send.protect_rtcp(compound), -1)

    # Checks and consent

    def _check_timer(self, _: None, now: float) -> None:
        if not self.is_open:
            return
        if now - self._last_answer > CONSENT_EXPIRES_S:
            self.die(now)
            return
        self._check(now)
        if self.state is ClientState.CHECKING:
            delay = FIRST_CHECKS_S
        else:
            delay = self.random.uniform(*self.shape.consent_s)
        self.wire.clock.at(now + delay, self._check_timer)

    def _check(self, now: float) -> None:
        assert self._answer is not None
        transaction = self.random.randbytes(12)
        username = f"{self._answer.ufrag}:{self.offer.ufrag}"
        data = build_check(username, self._answer.pwd, transaction, self.index)
        self._pending[transaction] = self.address, self._answer.pwd, now
        self.counts.checks += 1
        self.wire.upload(self, data, -1)

    def _receive_stun(self, data: bytes, now: float) -> None:
        assert self._answer is not None
        message = stun.parse_message(data)
        asked = self._pending.pop(message.transaction_id, None)
        if asked is None:
            return  # a duplicate made by the network
        asked_from, pwd, asked_at = asked
        if not is_good_answer(message, pwd, asked_from):
            self.counts.bad_answers += 1
            return
        self.counts.answers += 1
        self._last_answer = now
        self.feedback.check_round_trip_s = now - asked_at
        if self.state is ClientState.CHECKING:
            self.state = ClientState.HANDSHAKING
            assert self.dtls is not None
            self.dtls.start(now)
            self._flush_dtls()

    # DTLS

    def _flush_dtls(self) -> None:
        assert self.dtls is not None
        for datagram in self.dtls.datagrams_to_send():
            self.wire.upload(self, datagram, -1)
        deadline = self.dtls.next_deadline()
        if deadline is not None:
            self.wire.clock.at(deadline, self._dtls_timer)

    def _dtls_timer(self, _: None, now: float) -> None:
        assert self.dtls is not None
        deadline = self.dtls.next_deadline()
        if self.is_open and deadline is not None and deadline <= now:
            self.dtls.handle_timer(now)
            self._flush_dtls()

    def _receive_dtls(self, data: bytes, now: float) -> None:
        assert self.dtls is not None
        before = self.dtls.next_deadline()
        self.dtls.receive(data, now)
        if self.dtls.next_deadline() != before:
            self._flush_dtls()
        if self._receive is None and self.dtls.has_keys:
            self._open_srtp()
        if self.dtls.state is DtlsState.CONNECTED and self.state is ClientState.HANDSHAKING:
            self.state = ClientState.CONNECTED
            self.connected_at = now
            self.feedback.start(self.random.uniform(*self.shape.report_s))
        elif self.dtls.state in (DtlsState.CLOSED, DtlsState.FAILED):
            self.die(now)

    def _open_srtp(self) -> None:
        assert self.dtls is not None
        keys = self.dtls.srtp_keys()
        profile = _PROFILES[keys.profile]
        inbound = Policy(keys.receive, Policy.SSRC_ANY_INBOUND, srtp_profile=profile)
        outbound = Policy(keys.send, Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile)
        self._receive = Session(inbound)
        self._send = Session(outbound)
        self.downlink.tap(Session(inbound))

    # What comes

    def observe(self, data: bytes, now: float) -> Heard | None:
        """The server sends this now: the media packet in it, None for anything else."""
        return self.downlink.observe(data, now)

    def receive(self, data: bytes, heard: Heard | None, now: float, *, is_copy: bool) -> None:
        """The network brings a datagram, or a copy; `heard` is what `observe` made of it."""
        if not self.is_open:
            return
        first = data[0]
        if first < 4:
            self._receive_stun(data, now)
        elif 20 <= first <= 63:
            self._receive_dtls(data, now)
        elif self._receive is not None:
            try:
                self._receive_srtp(self._receive, data, heard, now)
            except SrtpError:
                # A copy made by the network, or one sent again that came already, is refused as a
                # replay; anything else is a fault.
                is_again = heard is not None and heard.delivered is not None
                self.counts.srtp_errors += not (is_copy or is_again)

    def _receive_srtp(self, session: Session, data: bytes, heard: Heard | None, now: float) -> None:
        if heard is None:
            self.feedback.take(parse_compound(session.unprotect_rtcp(data)), now)
            return
        session.unprotect(data)
        heard.delivered = now
        self.counts.media_received += 1
        if heard.wide >= 0:
            self.feedback.note_stamped(heard, now)
        highest = self.downlink.deliver(heard)
        if self.shape.nack and highest >= 0:
            self.feedback.note_gap(heard, highest, now)

    @property
    def server_address(self) -> bytes:
        """The first candidate of the answer, 18 bytes."""
        assert self._answer is not None
        return pack_address(*self._answer.candidates[0])

    @property
    def host(self) -> str:
        """The numeric host the server sees, for messages."""
        return unpack_address(self.address)[0]
