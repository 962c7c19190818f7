"""One participant's connection: ICE, DTLS, SRTP keys, RTCP and consent, with one state.

Theory. The client checks connectivity, then shakes hands, then both sides have keys and media
flows in compiled code that this file never sees. What remains is to notice when the client is
gone.

    state        means                                leaves by
    new          nothing authentic was ever heard     first check -> connecting
                                                      join timeout -> closed (join_expired)
    connecting   checks arrive, no keys yet           handshake done -> connected
                                                      handshake timeout -> closed (dtls_failed,
                                                      or ice_failed when checks had stopped)
    connected    keys are there, the client is heard  silence -> suspect
    suspect      nothing authentic for a while        anything authentic -> connected
                                                      long silence -> closed (consent_expired)
    closed       nothing is taken or sent any more    never

Every state but `closed` also goes to closed when the client ends DTLS (dtls_closed), when DTLS
fails, as by a certificate that the offer did not promise (dtls_failed), and by `close`, which is
silent: the caller knows. Authentic are checks, RTCP and media; DTLS records are not, except for
what they lead to. An ICE restart changes no state by itself; the checks that follow do.

No other file assigns the state; `state.py` has this table as code. One input, then drain
`datagrams_to_send` and `events`, then the next. It knows neither rooms nor the forwarder's tables:
the caller writes those, told by events.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from control.types import LeaveReason
from sfu.transport.consent import Consent
from sfu.transport.dtls import DtlsEndpoint, DtlsState
from sfu.transport.events import (
    Checked,
    Closed,
    Connected,
    Keys,
    Recovered,
    Retired,
    Suspected,
    TransportEvent,
    told_by,
)
from sfu.transport.heard import EgressFeedback
from sfu.transport.ice import IceLite
from sfu.transport.limits import TokenBucket
from sfu.transport.negotiation import Negotiation
from sfu.transport.reporting import (
    FIRST_INTERVAL_S,
    INTERVAL_S,
    MediaStats,
    Reporter,
)
from sfu.transport.settings import DTLS_BURST, DTLS_PER_S, TransportSettings
from sfu.transport.srtcp import Srtcp
from sfu.transport.srtp import receive_session, send_session
from sfu.transport.state import NEXT, TransportState, Trigger

# How often a suspect's media is looked at: nobody tells when it flows again.
LOOK_INTERVAL_S = 1.0
# An enumeration's members cost as much to reach as a call, and these are compared most often.
_CONNECTED = TransportState.CONNECTED
_CLOSED = TransportState.CLOSED


class Transport:
    """One participant's connection. Never raises for what the peer sends; every fault is counted.

    `source` and `egresses` are forwarder ids, for `negotiation.source` and each of
    `negotiation.egresses`; `count` is called with the name of each drop, `listener_loss` as
    `Reporter` explains.
    """

    __slots__ = (
        "_connecting_at",
        "_consent",
        "_count",
        "_created_at",
        "_datagrams",
        "_dtls",
        "_dtls_rate",
        "_events",
        "_looked_at",
        "_report_at",
        "_settings",
        "_srtcp",
        "_source",
        "_state",
        "_stats",
        "ice",
        "negotiation",
        "reporter",
    )

    def __init__(
        self,
        negotiation: Negotiation,
        dtls: DtlsEndpoint,
        now: float,
        *,
        stats: MediaStats,
        source: int | None,
        egresses: Sequence[int],
        entropy: Callable[[int], bytes],
        wall_at_zero: float,
        settings: TransportSettings,
        count: Callable[[str], None],
        listener_loss: Callable[[], float | None] | None = None,
    ) -> None:
        self.negotiation = negotiation
        self.ice = IceLite(negotiation.ice, now)
        self._dtls = dtls
        self._stats = stats
        self._source = source
        self._settings = settings
        self._count = count
        rows = source, egresses
        self.reporter = Reporter.of(negotiation, stats, rows, wall_at_zero, entropy, listener_loss)
        self._state = TransportState.NEW
        self._created_at = self._connecting_at = self._looked_at = now
        self._report_at: float | None = None
        self._consent = Consent(settings.suspect_after_s, settings.gone_after_s, now)
        self._dtls_rate = TokenBucket(DTLS_PER_S, DTLS_BURST, now)
        self._srtcp: Srtcp | None = None
        self._datagrams: list[tuple[bytes, bytes]] = []
        self._events: list[TransportEvent] = []

    def __repr__(self) -> str:
        return f"<Transport {self.ufrag} {self._state}>"

    @property
    def state(self) -> TransportState:
        """Where the connection stands."""
        return self._state

    @property
    def ufrag(self) -> str:
        """The local user fragment in use, by which `username_of` finds this transport."""
        return self.ice.credentials.local_ufrag

    @property
    def feedback(self) -> dict[int, EgressFeedback]:
        """What the client last reported about each of our SSRCs."""
        return self.reporter.feedback

    # Inputs

    def restart_ice(self, negotiation: Negotiation, now: float) -> None:
        """The offer of `negotiation` was answered: its credentials are valid too from now on.

        It must be a renegotiation of the present one. Those before stay valid until the first
        authentic check with these, and are then told as `Retired`.
        """
        if self._state is _CLOSED:
            return
        self._consent.restart(now)
        self.negotiation = negotiation
        self._events += [Retired(ufrag) for ufrag in self.ice.restart(negotiation.ice)]

    def receive_stun(self, data: bytes, address: bytes, now: float) -> bool:
        """Take a STUN datagram; True if it was an authentic check.

        For one from an address that nobody validated, the caller asks the `StunLimiter` first, and
        gives the token back when this returns True.
        """
        if self._state is TransportState.CLOSED:
            return False
        outcome = self.ice.receive(data, address, now)
        if outcome.drop is not None:
            self._count(f"stun_{outcome.drop}")
        if outcome.reply is not None:
            self._datagrams.append((outcome.reply, address))
            self._events += told_by(outcome)
        if outcome.authenticated:
            self.heard(now)
        return outcome.authenticated

    def renew_consent(self, data: bytes, address: bytes, now: float) -> bytes | None:
        """The answer to a STUN datagram that is the client's check of the path in use, which is
        most of what it ever sends. Nothing else changes but how long the client may be silent.

        None: nothing has happened, give it to `receive_stun`.
        """
        if self._state is not _CONNECTED:
            return None
        reply = self.ice.renew(data, address, now)
        if reply is not None:
            self._consent.heard(now)
        return reply

    def receive_dtls(self, data: bytes, address: bytes, now: float) -> None:
        """Take a DTLS datagram from a validated address."""
        if self._state in (TransportState.NEW, TransportState.CLOSED):
            self._count("dtls_unexpected")
            return
        if not self._dtls_rate.take(now):
            self._count("dtls_rate")
            return
        self._dtls.receive(data, now)
        self._after_dtls(now)

    def receive_rtcp(self, data: bytes, address: bytes, now: float) -> None:
        """Take an encrypted RTCP datagram from a validated address."""
        if self._srtcp is None:
            self._count("rtcp_unexpected")
            return
        packets = self._srtcp.open(data, now)
        if packets is None:
            return
        self.ice.heard(address, now)
        self.heard(now)
        self.reporter.receive(packets, now)

    def heard(self, now: float) -> None:
        """Something authentic came: a check, RTCP, or media, of which only the caller knows."""
        if self._state is _CLOSED:
            return
        self._consent.heard(now)
        if self._state is _CONNECTED:
            return
        if self._state is TransportState.NEW:
            self._connecting_at = now
            self._step(Trigger.CHECKED)
            self._events.append(Checked())
        elif self._state is TransportState.SUSPECT:
            self._step(Trigger.HEARD)
            self._events.append(Recovered())

    def forget_address(self, address: bytes) -> None:
        """Another participant validated this address, so it is no longer this one's."""
        self.ice.forget(address)

    def handle_timer(self, now: float) -> None:
        """Do what is due. Afterwards `next_deadline` is later than `now`."""
        if self._state is _CLOSED:
            return
        due = self._dtls.next_deadline()
        if due is not None and due <= now:
            self._dtls.handle_timer(now)
            self._after_dtls(now)
        if self._state_deadline() <= now:
            self._on_silence(now)
        if self._report_at is not None and self._report_at <= now:
            self._report(now)

    def ask_again(self, now: float) -> tuple[int, float | None]:
        """Ask for packets of the source: how many were due, and when the next are."""
        count, compound, next_at = self.reporter.ask(now)
        if count:
            self._send_rtcp([compound])
        return count, next_at

    def close(self) -> None:
        """Send BYE for our tracks and close_notify. Immediate, idempotent, without an event."""
        if self._state is TransportState.CLOSED:
            return
        self._send_rtcp([self.reporter.goodbye()])
        self._dtls.close()
        self._send_dtls()
        self._step(Trigger.ENDED)

    # Outputs

    def datagrams_to_send(self) -> list[tuple[bytes, bytes]]:
        """Take what is to be sent: (datagram, 18-byte address) pairs in order."""
        datagrams, self._datagrams = self._datagrams, []
        return datagrams

    @property
    def has_news(self) -> bool:
        """Whether `events` has something to tell."""
        return bool(self._events)

    def events(self) -> list[TransportEvent]:
        """Take what happened, in order."""
        events, self._events = self._events, []
        return events

    def next_deadline(self) -> float | None:
        """When `handle_timer` wants to be called next, None when closed."""
        if self._state is _CLOSED:
            return None
        deadline, report_at = self._state_deadline(), self._report_at
        if report_at is not None and report_at < deadline:
            deadline = report_at
        dtls_at = self._dtls.next_deadline()
        return deadline if dtls_at is None or deadline < dtls_at else dtls_at

    # The rest

    def _step(self, trigger: Trigger) -> None:
        """Change the state as the table says; a trigger that the table lacks is a bug."""
        self._state = NEXT[self._state, trigger]
        if self._state is TransportState.CLOSED:
            self._report_at = None
            # The sessions take more memory than the rest, and nothing is encrypted any more.
            self._srtcp = None

    def _state_deadline(self) -> float:
        """When the present state ends if nothing happens."""
        if self._state is _CONNECTED:
            suspect_at, gone_at = self._consent.suspect_at, self._consent.gone_at
            return suspect_at if suspect_at < gone_at else gone_at
        settings = self._settings
        if self._state is TransportState.NEW:
            return self._created_at + settings.join_timeout_s
        if self._state is TransportState.CONNECTING:
            return self._connecting_at + settings.dtls_timeout_s
        if self._source is None:
            return self._consent.gone_at
        return min(self._looked_at + LOOK_INTERVAL_S, self._consent.gone_at)

    def _report(self, now: float) -> None:
        """Send reports; where there is nothing to say, look again when silence is looked for.

        That is a wake that a connection needs anyway, so listeners of a silent room take no other.
        """
        compounds = self.reporter.compounds(now)
        if compounds:
            self._report_at = now + self.reporter.interval_s()
            self._send_rtcp(compounds)
        else:
            self._report_at = min(now + INTERVAL_S, self._state_deadline())

    def _on_silence(self, now: float) -> None:
        """The state's deadline has passed."""
        if self._state is TransportState.NEW:
            self._end(LeaveReason.JOIN_EXPIRED)
        elif self._state is TransportState.CONNECTING:
            stopped = self._consent.suspect_at <= now
            self._end(LeaveReason.ICE_FAILED if stopped else LeaveReason.DTLS_FAILED)
        else:
            self._listen_for_media(now)
            if self._state is TransportState.CONNECTED and self._state_deadline() <= now:
                self._step(Trigger.SILENT)
                self._events.append(Suspected())
            if self._state is TransportState.SUSPECT and self._consent.gone_at <= now:
                self._end(LeaveReason.CONSENT_EXPIRED)

    def _listen_for_media(self, now: float) -> None:
        """Count the last packet of the client's track as heard; looked at only when it matters."""
        if self._source is None:
            return
        self._looked_at = now
        heard_at = now - self._stats.level(self._source, now).packet_age
        if heard_at > self._consent.heard_at:
            self.heard(heard_at)

    def _after_dtls(self, now: float) -> None:
        """Send what DTLS wants sent and follow its state."""
        self._send_dtls()
        state = self._dtls.state
        if state is DtlsState.CONNECTED and self._state is TransportState.CONNECTING:
            self._secure(now)
        elif state is DtlsState.CLOSED:
            self._end(LeaveReason.DTLS_CLOSED)
        elif state is DtlsState.FAILED:
            self._end(LeaveReason.DTLS_FAILED)

    def _secure(self, now: float) -> None:
        """The handshake is done: make the SRTP sessions and begin to report."""
        keys = self._dtls.srtp_keys()
        receive = receive_session(keys)
        send = send_session(keys, repeats=self.negotiation.repeats)
        self._srtcp = Srtcp(receive, send, now, self._count)
        self._consent.heard(now)
        self._report_at = now + self.reporter.interval_s(FIRST_INTERVAL_S)
        self._step(Trigger.SECURED)
        self._events += [Keys(keys, receive, send), Connected()]

    def _end(self, reason: LeaveReason) -> None:
        """The connection ended by itself."""
        self._step(Trigger.ENDED)
        self._dtls.close()
        # Without consent nothing more may be sent (RFC 7675 5.1); otherwise say why.
        if reason is not LeaveReason.CONSENT_EXPIRED:
            self._send_dtls()
        self._events.append(Closed(reason))

    def _send_dtls(self) -> None:
        """Queue what DTLS has to send."""
        self._send_to_current(self._dtls.datagrams_to_send())

    def _send_rtcp(self, compounds: list[bytes]) -> None:
        """Encrypt and queue compounds, if there are keys."""
        if self._srtcp is not None:
            self._send_to_current(self._srtcp.seal(compounds))

    def _send_to_current(self, datagrams: list[bytes]) -> None:
        """Queue datagrams for the current address, if there is one."""
        address = self.ice.current
        if address is not None:
            self._datagrams += [(datagram, address) for datagram in datagrams]
