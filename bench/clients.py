"""Virtual WebRTC clients: each a connected UDP socket with ICE, DTLS, SRTP and RTCP of its own.

To a server they are browsers; here each is a small state machine without a task. A `bench.crowd`
drives thousands: its `pump` sends what is due, reads what has come and runs the timers, every few
milliseconds. Media never reaches Python: `sfu.fast.Swarm` sends and measures it.

Times are `time.time_ns`, the clock of the kernel's receive timestamps.
"""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, ClassVar

from pylibsrtp import Error as SrtpError
from pylibsrtp import Session

from bench import rtcp
from bench.connectivity import Checks, answers
from bench.descriptions import Local, Remote, build_answer, build_offer, parse
from bench.handshake import Handshake, HandshakeError
from bench.lifecycle import State, Times
from bench.replies import Replies
from bench.sockets import open_socket
from sfu.fast import DTLS, STUN
from sfu.fast.measured import Aside, ListenerStats

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.crowd import Crowd
    from bench.talking import Microphone
    from bench.targets import Lines, Role

MS = 1_000_000
# Until the first answer; a lost check costs this much.
CHECK_NS = 100 * MS
# The first DTLS flight is repeated after this, then twice this, as browsers do: a server with full
# ICE takes none before its own check has succeeded. OpenSSL's timer for the others begins at 1 s.
HELLO_NS = 50 * MS
# Chromium's interval on the selected pair; RFC 7675 5.1 wants it spread.
CONSENT_NS = 2_500 * MS
# RFC 3550 6.2 asks for 5 s at least between reports of small groups, spread by half.
REPORT_NS = 5_000 * MS
# After this a person would have given up.
CONNECT_WITHIN_NS = 20_000 * MS
# Looked for this often; the arrival itself is exact, the kernel has stamped it.
FIRST_AUDIO_NS = 50 * MS


class Client:
    """One person's connection; a `bench.targets.Peer`. Joining again is another client."""

    # Whether it offers what lets a server adapt to its line: transport-wide feedback and RED.
    adapts: ClassVar[bool] = False
    __slots__ = (
        "_checks",
        "_crowd",
        "_handshake",
        "_hello",
        "_id",
        "_local",
        "_reception",
        "_remote",
        "_replies",
        "_send",
        "_receive",
        "_socket",
        "_transaction",
        "failure",
        "microphone",
        "name",
        "on_change",
        "role",
        "state",
        "times",
    )

    def __init__(self, crowd: Crowd, name: str, role: Role) -> None:
        draw = crowd.kit.draw
        self.name = name
        self.role = role
        self.state = State.NEW
        self.times = Times()
        self.failure = ""
        self.microphone: Microphone | None = None
        self.on_change: Callable[[Client], None] | None = None  # connected, failed or first audio
        self._crowd = crowd
        self._id = -1
        self._local = Local(
            ufrag=draw.randbytes(4).hex(),
            pwd=draw.randbytes(16).hex(),
            fingerprint=crowd.kit.handshakes.fingerprint,
            ssrc=draw.randrange(1, 2**32),
            session=draw.randrange(1, 2**62),
        )
        self._remote: Remote | None = None
        self._checks: Checks | None = None
        self._replies: Replies | None = None
        self._handshake: Handshake | None = None
        self._hello: list[bytes] = []
        self._reception = rtcp.Reception()
        self._receive: Session | None = None
        self._send: Session | None = None
        self._socket: socket.socket | None = None
        self._transaction = b""

    def __repr__(self) -> str:
        return f"<Client {self.name} {self.state.value}>"

    # Negotiation

    def offer(self, lines: Lines) -> str:
        """An SDP offer as browsers make it."""
        offer = build_offer(
            self._local,
            sends=lines.sends,
            receives=lines.receives,
            count=lines.count,
            adapts=self.adapts,
        )
        self.times.offer = time.time_ns()
        return offer

    def accept(self, answer: str) -> None:
        """The server's answer; ValueError when it cannot be used."""
        self._remote = parse(answer)
        self.times.answer = time.time_ns()

    def answer(self, offer: str) -> str:
        """An SDP answer to the server's offer; ValueError when that cannot be used."""
        self._remote = parse(offer)
        self.times.offer = self.times.answer = time.time_ns()
        return build_answer(self._local, self._remote)

    # Connecting

    @property
    def id(self) -> int:
        """The swarm's number; -1 before `connect` and after the end."""
        return self._id

    @property
    def is_open(self) -> bool:
        """Whether it still does anything."""
        return self.state not in (State.FAILED, State.CLOSED)

    @property
    def sending(self) -> tuple[int, int, int]:
        """SSRC, payload type and level extension of the microphone, as negotiated."""
        assert self._remote is not None, "negotiated before it sends"
        line = self._remote.lines[0]
        return self._local.ssrc, line.payload_type, line.level_extension

    def connect(self) -> None:
        """Begin with connectivity checks. OSError when no socket can be had, ValueError without an
        address of the right family.
        """
        remote, crowd = self._remote, self._crowd
        assert remote is not None and self.state is State.NEW, "connect() follows the negotiation"
        address = self._reach(remote.address(is_ipv6=crowd.kit.is_ipv6))
        self._socket = open_socket(address, crowd.kit.is_ipv6)
        self._id = crowd.swarm.add_client(self._socket.fileno())
        crowd.clients[self._id] = self
        crowd.joining += 1
        tie_breaker = crowd.kit.draw.randbytes(8)
        self._checks = Checks(self._local.ufrag, remote.ufrag, remote.pwd, tie_breaker)
        self._replies = Replies(self._local.pwd, address)
        self.state = State.CHECKING
        now_ns = time.time_ns()
        crowd.timers.at(now_ns + CONNECT_WITHIN_NS, self._give_up)
        self._check(now_ns)

    def _reach(self, server: tuple[str, int]) -> tuple[str, int]:
        """Where to send what is for the server."""
        return server

    def take(self, aside: Aside, now_ns: int) -> None:
        """A datagram that is no media, read at `now_ns`."""
        if aside.kind == STUN:
            self._take_stun(aside.data, now_ns)
        elif aside.kind == DTLS:
            self._take_dtls(aside.data, now_ns)
        elif self._receive is not None:
            try:
                self._reception.take(self._receive.unprotect_rtcp(aside.data), aside.arrived_ns)
            except SrtpError:
                self._crowd.counts["rtcp_errors"] += 1

    def stats(self) -> ListenerStats:
        """What it has received. KeyError before `connect` and after the end."""
        return self._crowd.swarm.listener(self._id)

    def close(self) -> None:
        """Leave as a browser does: a DTLS goodbye, then nothing."""
        if self._handshake is not None and self.is_open:
            self._send_all(self._handshake.close())
        self.vanish()

    def vanish(self) -> None:
        """Be gone without a word."""
        self._end(State.CLOSED)

    # ICE

    def _check(self, now_ns: int) -> None:
        if self._checks is None or not self.is_open:
            return
        self._transaction = self._crowd.kit.draw.randbytes(12)
        self._send_all((self._checks.request(self._transaction),))
        wait_ns = CHECK_NS
        if self.state is not State.CHECKING:
            wait_ns = round(CONSENT_NS * self._crowd.kit.draw.uniform(0.8, 1.2))
        self._crowd.counts["checks"] += 1
        self._crowd.timers.at(now_ns + wait_ns, self._check)

    def _take_stun(self, data: bytes, now_ns: int) -> None:
        assert self._checks is not None
        if answers(data, self._transaction):
            if self.state is not State.CHECKING:
                self._crowd.counts["consents"] += 1
            elif self._checks.is_success(data, self._transaction):
                self._shake_hands(now_ns)
        elif self._replies is not None and (reply := self._replies.reply(data)) is not None:
            self._send_all((reply,))

    # DTLS

    def _shake_hands(self, now_ns: int) -> None:
        assert self._remote is not None
        self.state = State.HANDSHAKING
        self.times.ice = now_ns
        try:
            self._handshake = self._crowd.kit.handshakes.begin(
                self._remote.fingerprint_algorithm, self._remote.fingerprint
            )
            self._hello = self._handshake.start()
        except HandshakeError as error:
            self._fail(str(error))
            return
        self._say_hello(now_ns, HELLO_NS)
        self._await_retransmission(now_ns)

    def _say_hello(self, now_ns: int, wait_ns: int) -> None:
        if self.state is not State.HANDSHAKING or not self._hello:
            return
        self._send_all(self._hello)
        self._crowd.counts["dtls_retransmissions"] += wait_ns > HELLO_NS
        self._crowd.timers.at(now_ns + wait_ns, lambda now_ns: self._say_hello(now_ns, 2 * wait_ns))

    def _take_dtls(self, data: bytes, now_ns: int) -> None:
        handshake = self._handshake
        if handshake is None or not self.is_open:
            return
        try:
            self._hello = []
            self._send_all(handshake.receive(data))
        except HandshakeError as error:
            self._fail(str(error))
            return
        if handshake.is_closed:
            self._fail("closed by the server")
        elif self.state is State.HANDSHAKING and handshake.sessions is not None:
            self._open_media(handshake.sessions, now_ns)

    def _await_retransmission(self, now_ns: int) -> None:
        assert self._handshake is not None
        wait_s = self._handshake.retransmit_in_s()
        if wait_s is not None:
            self._crowd.timers.at(now_ns + round(wait_s * 1e9) + MS, self._retransmit)

    def _retransmit(self, now_ns: int) -> None:
        if self.state is not State.HANDSHAKING or self._handshake is None:
            return
        try:
            datagrams = self._handshake.retransmit()
        except HandshakeError as error:
            self._fail(str(error))
            return
        self._crowd.counts["dtls_retransmissions"] += bool(datagrams)
        self._send_all(datagrams)
        self._await_retransmission(now_ns)

    def _open_media(self, sessions: tuple[Session, Session], now_ns: int) -> None:
        crowd = self._crowd
        self._receive, self._send = sessions
        crowd.swarm.set_keys(self._id, *sessions)
        self.state = State.CONNECTED
        self.times.dtls = now_ns
        crowd.joining -= 1
        crowd.connected += 1
        crowd.timers.at(now_ns + round(REPORT_NS * crowd.kit.draw.uniform(0.2, 1.0)), self._report)
        crowd.timers.at(now_ns + FIRST_AUDIO_NS, self._look_for_audio)
        self._tell()

    def _look_for_audio(self, now_ns: int) -> None:
        if self.state is not State.CONNECTED:
            return
        self.times.first_audio = self.stats().first_packet_ns
        if self.times.first_audio:
            self._tell()
        elif now_ns - self.times.dtls < CONNECT_WITHIN_NS:
            self._crowd.timers.at(now_ns + FIRST_AUDIO_NS, self._look_for_audio)

    # RTCP

    def _report(self, now_ns: int) -> None:
        if self.state is not State.CONNECTED or self._send is None:
            return
        blocks = self._reception.blocks(self.stats().tracks, now_ns)
        sent = self.microphone.sent(now_ns) if self.microphone is not None else None
        plain = rtcp.report(self._local.ssrc, self._local.ufrag, blocks, sent, now_ns)
        self._send_all((self._send.protect_rtcp(plain),))
        wait_ns = round(REPORT_NS * self._crowd.kit.draw.uniform(0.5, 1.5))
        self._crowd.timers.at(now_ns + wait_ns, self._report)

    def _give_up(self, _: int) -> None:
        if self.state is State.CHECKING:
            self._fail("no answer to connectivity checks")
        elif self.state is State.HANDSHAKING:
            self._fail("no end of the DTLS handshake")

    def _fail(self, why: str) -> None:
        self.failure = why
        self._end(State.FAILED)
        self._tell()

    def _end(self, state: State) -> None:
        if not self.is_open:
            return
        crowd = self._crowd
        crowd.joining -= self.state in (State.CHECKING, State.HANDSHAKING)
        crowd.connected -= self.state is State.CONNECTED
        self.state = state
        if self._id >= 0:
            crowd.swarm.remove_client(self._id)
            del crowd.clients[self._id]
            self._id = -1
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._handshake = self._receive = self._send = None

    def _tell(self) -> None:
        if self.on_change is not None:
            self.on_change(self)

    def _send_all(self, datagrams: tuple[bytes, ...] | list[bytes]) -> None:
        if self._socket is None:
            return
        for datagram in datagrams:
            try:
                self._socket.send(datagram)
            except OSError:
                # Refused by a server that is gone, or a full buffer: as if lost on the way.
                self._crowd.counts["send_errors"] += 1
