"""One participant's connection, from the first check to the goodbye."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from control.types import LeaveReason
from sfu.fast.records import EgressStats, SourceLevel, SourceStats
from sfu.transport.address import pack_address
from sfu.transport.answer import negotiate
from sfu.transport.candidates import Endpoint, candidates_for
from sfu.transport.dtls import DtlsState, SrtpKeys, SrtpProfile
from sfu.transport.events import (
    Checked,
    Closed,
    Connected,
    Keys,
    Recovered,
    Revoked,
    Routed,
    Suspected,
    TransportEvent,
    Validated,
)
from sfu.transport.ice import username_of
from sfu.transport.offer import parse_offer
from sfu.transport.rtcp import (
    Goodbye,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    build_receiver_report,
    parse_compound,
)
from sfu.transport.settings import DTLS_BURST, TransportSettings
from sfu.transport.srtcp import DATAGRAMS_BURST, SENDERS_MAX
from sfu.transport.srtp import receive_session, send_session
from sfu.transport.state import TransportState
from sfu.transport.stun import BINDING_RESPONSE, parse_message
from sfu.transport.transport import Transport
from tests.transport.peer import (
    FINGERPRINT,
    HOME,
    OFFICE,
    FakeDtls,
    check,
    offer_text,
    seeded,
)

DTLS_HELLO = b"\x16hello"


class Stats:
    """The forwarder's counters, as the test sets them."""

    def __init__(self) -> None:
        self.packet_age = math.inf
        self.sent = 0

    def source_stats(self, source: int, /) -> SourceStats:
        """Nothing was received."""
        return SourceStats(0, 0, 0, 0, 0)

    def egress_stats(self, egress: int, /) -> EgressStats:
        """What the test says was sent."""
        return EgressStats(self.sent, self.sent, 0, 0.0, self.sent)

    def missing(self, source: int, ssrc: int, sequences: list[int], /) -> list[int]:
        """Nothing."""
        return []

    def level(self, source: int, now: float, /) -> SourceLevel:
        """When the last packet came."""
        return SourceLevel(0.0, False, math.inf, self.packet_age, 127, 20, False)


class Client:
    """A transport with a fake DTLS, and the client that talks to it."""

    def __init__(self, settings: TransportSettings | None = None) -> None:
        negotiation = negotiate(
            parse_offer(offer_text("chromium_4_audio")),
            tracks=3,
            candidates=candidates_for([Endpoint("192.0.2.1", 7800)]),
            fingerprint=FINGERPRINT,
            entropy=seeded("transport"),
        )
        self.dtls = FakeDtls()
        self.stats = Stats()
        self.counts: Counter[str] = Counter()
        self.ice = negotiation.ice
        self.transport = Transport(
            negotiation,
            self.dtls,
            0.0,
            stats=self.stats,
            source=1,
            egresses=(10, 11, 12),
            entropy=seeded("reports"),
            wall_at_zero=1_700_000_000.0,
            settings=settings or TransportSettings(),
            count=lambda name: self.counts.update([name]),
        )
        keys = SrtpKeys(SrtpProfile.AEAD_AES_128_GCM, receive=b"s" * 28, send=b"r" * 28)
        self._sender, self._receiver = send_session(keys), receive_session(keys)

    def check(self, now: float, address: bytes = HOME, *, nominate: bool = False) -> bool:
        """Send a check."""
        username = f"{self.ice.local_ufrag}:{self.ice.remote_ufrag}"
        data = check(username, self.ice.local_pwd, nominate=nominate)
        assert username_of(data) == self.transport.ufrag
        return self.transport.receive_stun(data, address, now)

    def secure(self, now: float) -> None:
        """Check and shake hands."""
        self.check(now)
        self.dtls.next_state = DtlsState.CONNECTED
        self.transport.receive_dtls(DTLS_HELLO, HOME, now)
        self.take()
        self.events()

    def report(self, now: float, address: bytes = HOME, *, sender: int = 77) -> None:
        """Send an encrypted receiver report."""
        ssrc = self.transport.negotiation.media[0].ssrc
        block = ReportBlock(ssrc, 128, 3, 4, 0, 0, 0)
        data = self._sender.protect_rtcp(build_receiver_report(ReceiverReport(sender, (block,))))
        self.transport.receive_rtcp(data, address, now)

    def read(self, datagram: bytes) -> tuple[object, ...]:
        """Decrypt and parse what the transport reported."""
        return parse_compound(self._receiver.unprotect_rtcp(datagram))

    def state(self) -> TransportState:
        """Where the connection stands."""
        return self.transport.state

    def take(self) -> list[tuple[bytes, bytes]]:
        """What is to be sent."""
        return self.transport.datagrams_to_send()

    def events(self) -> list[TransportEvent]:
        """What happened."""
        return self.transport.events()

    def run(self, until: float) -> list[tuple[float, TransportEvent]]:
        """Call the timer whenever it wants to be called; returns what happened and when."""
        happened: list[tuple[float, TransportEvent]] = []
        while (deadline := self.transport.next_deadline()) is not None and deadline <= until:
            self.transport.handle_timer(deadline)
            later = self.transport.next_deadline()
            assert later is None or later > deadline, "a timer that does not advance spins"
            happened += [(deadline, event) for event in self.events()]
        return happened


@pytest.fixture
def client() -> Client:
    """A participant who has an answer and has done nothing with it."""
    return Client()


def test_the_whole_way_from_a_check_to_keys(client: Client) -> None:
    transport = client.transport
    assert client.state() is TransportState.NEW
    assert client.check(1.0)
    assert client.state() is TransportState.CONNECTING
    assert client.events() == [Validated(HOME), Routed(HOME), Checked()]
    ((_, address),) = client.take()
    assert address == HOME
    client.dtls.outgoing = [b"\x16server hello"]
    client.dtls.next_state = DtlsState.CONNECTING
    transport.receive_dtls(DTLS_HELLO, HOME, 1.1)
    assert client.take() == [(b"\x16server hello", HOME)]
    assert client.events() == []
    client.dtls.next_state = DtlsState.CONNECTED
    transport.receive_dtls(b"\x16finished", HOME, 1.2)
    assert client.state() is TransportState.CONNECTED
    keys, connected = client.events()
    assert isinstance(keys, Keys) and isinstance(connected, Connected)
    assert client.dtls.received == [DTLS_HELLO, b"\x16finished"]


def test_the_sessions_of_the_keys_event_work(client: Client) -> None:
    client.check(0.0)
    client.dtls.next_state = DtlsState.CONNECTED
    client.transport.receive_dtls(DTLS_HELLO, HOME, 0.0)
    (keys,) = [event for event in client.events() if isinstance(event, Keys)]
    report = build_receiver_report(ReceiverReport(1))
    assert client.read(keys.send.protect_rtcp(report)) == (ReceiverReport(1),)


def test_nobody_ever_checked(client: Client) -> None:
    assert client.run(100.0) == [(30.0, Closed(LeaveReason.JOIN_EXPIRED))]
    assert client.state() is TransportState.CLOSED
    assert client.transport.next_deadline() is None


def test_forged_checks_do_not_extend_the_wait(client: Client) -> None:
    forged = check(f"{client.ice.local_ufrag}:{client.ice.remote_ufrag}", "guess")
    assert not client.transport.receive_stun(forged, HOME, 29.0)
    assert client.counts == {"stun_integrity": 1}
    assert client.take() == [] and client.events() == []
    assert client.run(30.0) == [(30.0, Closed(LeaveReason.JOIN_EXPIRED))]


def test_checks_without_a_handshake_is_a_failed_handshake(client: Client) -> None:
    for second in range(16):
        client.check(2.0 + second)
    client.events()
    assert client.run(100.0) == [(17.0, Closed(LeaveReason.DTLS_FAILED))]


def test_checks_that_stop_before_the_handshake_is_failed_ice(client: Client) -> None:
    client.check(2.0)
    client.check(4.0)
    client.events()
    assert client.run(100.0) == [(17.0, Closed(LeaveReason.ICE_FAILED))]


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (DtlsState.FAILED, LeaveReason.DTLS_FAILED),
        (DtlsState.CLOSED, LeaveReason.DTLS_CLOSED),
    ],
)
@pytest.mark.parametrize("secured", [False, True])
def test_dtls_ends_the_connection_at_once(
    client: Client, state: DtlsState, reason: LeaveReason, secured: bool
) -> None:
    client.check(0.0)
    if secured:
        client.secure(0.1)
    client.events()
    client.take()
    client.dtls.next_state = state
    client.dtls.outgoing = [b"\x15alert"]
    client.transport.receive_dtls(b"\x15", HOME, 0.2)
    assert client.events() == [Closed(reason)]
    assert (b"\x15alert", HOME) in client.take()
    assert client.dtls.state is DtlsState.CLOSED


def test_dtls_before_any_check_is_counted_and_dropped(client: Client) -> None:
    client.transport.receive_dtls(DTLS_HELLO, HOME, 0.0)
    assert client.dtls.received == []
    assert client.counts == {"dtls_unexpected": 1}


def test_dtls_retransmits_when_due(client: Client) -> None:
    client.check(0.0)
    client.take()
    client.dtls.deadline = 1.0
    assert client.transport.next_deadline() == 1.0
    client.transport.handle_timer(0.9)
    assert client.take() == []
    client.transport.handle_timer(1.0)
    assert client.take() == [(b"\x16again", HOME)]


def test_silence_is_suspected_after_5_s_and_final_after_20_s(client: Client) -> None:
    client.secure(0.0)
    happened = client.run(100.0)
    assert happened == [(5.0, Suspected()), (20.0, Closed(LeaveReason.CONSENT_EXPIRED))]
    assert client.take() == [], "without consent nothing more is sent"


def test_a_suspect_that_checks_recovers(client: Client) -> None:
    client.secure(0.0)
    client.run(12.0)
    assert client.state() is TransportState.SUSPECT
    assert client.check(12.0)
    assert client.state() is TransportState.CONNECTED
    assert client.events() == [Recovered()]
    assert client.run(19.4) == []
    assert client.run(32.0)[-1] == (32.0, Closed(LeaveReason.CONSENT_EXPIRED))


def test_a_peer_that_checks_every_six_seconds_is_not_suspected_each_time(client: Client) -> None:
    client.secure(0.0)
    happened = []
    for beat in range(1, 20):
        happened += client.run(6.0 * beat)
        client.check(6.0 * beat)
        client.events()
    assert happened == [(5.0, Suspected())], "only before its interval is known"


def test_media_counts_as_heard_from_its_last_packet_on(client: Client) -> None:
    client.secure(0.0)
    client.stats.packet_age = 2.0
    assert client.run(5.0) == []
    client.stats.packet_age = math.inf
    assert client.run(8.0) == [(8.0, Suspected())]


def test_a_suspect_whose_media_flows_again_recovers(client: Client) -> None:
    client.secure(0.0)
    assert client.run(9.2) == [(5.0, Suspected())]
    client.stats.packet_age = 0.02
    assert client.run(10.5) == [(10.0, Recovered())]


def test_the_caller_may_say_that_media_was_heard(client: Client) -> None:
    client.secure(0.0)
    client.run(6.0)
    client.transport.heard(6.5)
    assert client.events() == [Recovered()]


def test_rtcp_counts_as_heard_and_gives_feedback(client: Client) -> None:
    client.secure(0.0)
    client.run(4.0)
    client.report(4.0)
    assert client.run(8.9) == []
    (feedback,) = client.transport.feedback.values()
    assert (feedback.fraction_lost, feedback.at) == (0.5, 4.0)


def test_rtcp_that_is_none_is_counted(client: Client) -> None:
    transport = client.transport
    transport.receive_rtcp(b"\x80\xc9" + bytes(30), HOME, 0.0)
    client.secure(0.0)
    transport.receive_rtcp(b"\x80\xc9" + bytes(30), HOME, 0.0)
    transport.receive_rtcp(b"\x80\xc9", HOME, 0.0)
    transport.receive_rtcp(b"\x80\xc9" + bytes(1_600), HOME, 0.0)
    malformed = client._sender.protect_rtcp(bytes((0x81, 201, 0, 1)) + bytes(4))
    transport.receive_rtcp(malformed, HOME, 0.0)
    assert client.counts == {"rtcp_unexpected": 1, "rtcp_unprotect": 3, "rtcp_malformed": 1}


def test_the_first_report_comes_soon_and_then_every_five_seconds(client: Client) -> None:
    client.secure(0.0)
    times = []
    for tick in range(1, 400):
        now = tick / 10
        client.check(now)
        client.take()
        client.stats.sent += 5
        client.transport.handle_timer(now)
        client.events()
        if reports := client.take():
            times.append(now)
            ((datagram, address),) = reports
            assert address == HOME and len(datagram) <= 1_200
            assert sum(isinstance(p, SenderReport) for p in client.read(datagram)) == 3
    assert times[0] <= 0.8
    gaps = [later - sooner for sooner, later in zip(times, times[1:], strict=False)]
    assert gaps and all(2.4 <= gap <= 7.6 for gap in gaps)


def silent(client: Client, until: float) -> list[float]:
    """When the client's transport was woken; it checks every 2.5 s and is sent nothing."""
    woken, next_check = [], 2.5
    client.secure(0.0)
    while (deadline := client.transport.next_deadline()) is not None and deadline < until:
        if next_check < deadline:
            client.check(next_check)
            next_check += 2.5
            continue
        client.transport.handle_timer(deadline)
        woken.append(deadline)
    client.take()
    return woken


def test_whoever_is_sent_nothing_is_woken_for_reports_only_when_its_silence_is_looked_for(
    client: Client,
) -> None:
    woken = silent(client, 100.0)
    gaps = [later - sooner for sooner, later in zip(woken, woken[1:], strict=False)]
    assert len(woken) <= 2 + 100 / 2.5
    assert gaps and all(2.5 <= gap <= 5.0 for gap in gaps[1:])
    assert client.state() is TransportState.CONNECTED


def test_the_first_report_after_a_silence_comes_within_five_seconds(client: Client) -> None:
    silent(client, 60.0)
    client.stats.sent += 5
    woken_at = client.transport.next_deadline()
    assert woken_at is not None and woken_at <= 65.0
    client.transport.handle_timer(woken_at)
    ((datagram, _),) = client.take()
    assert sum(isinstance(p, SenderReport) for p in client.read(datagram)) == 3


def test_media_and_reports_follow_the_client(client: Client) -> None:
    client.secure(0.0)
    assert client.check(1.0, OFFICE)
    assert client.events() == [Validated(OFFICE), Routed(OFFICE)]
    client.take()
    client.stats.sent = 5
    client.transport.handle_timer(1.0)
    assert [address for _, address in client.take()] == [OFFICE]


def test_addresses_beyond_the_limit_are_revoked(client: Client) -> None:
    for n in range(9):
        client.check(0.1 * n, pack_address("192.0.2.1", 1_000 + n))
    assert Revoked(pack_address("192.0.2.1", 1_000)) in client.events()


def test_an_address_taken_by_somebody_else_gets_nothing_more(client: Client) -> None:
    client.secure(0.0)
    client.transport.forget_address(HOME)
    client.stats.sent = 5
    client.transport.handle_timer(1.0)
    assert client.take() == []
    client.check(1.1)
    assert client.events() == [Validated(HOME), Routed(HOME)]


def test_close_says_goodbye_once_and_then_nothing(client: Client) -> None:
    client.secure(0.0)
    transport = client.transport
    transport.close()
    (bye, address), (close_notify, _) = client.take()
    assert address == HOME and close_notify == b"\x15close_notify"
    ssrcs = tuple(media.ssrc for media in transport.negotiation.egresses)
    assert client.read(bye) == (ReceiverReport(ssrcs[0]), Goodbye(ssrcs))
    assert client.state() is TransportState.CLOSED and client.events() == []
    transport.close()
    assert not client.check(1.0)
    transport.receive_dtls(DTLS_HELLO, HOME, 1.0)
    client.report(1.0)
    transport.heard(1.0)
    transport.handle_timer(100.0)
    assert client.take() == [] and client.events() == []
    assert transport.next_deadline() is None


def test_close_before_keys_says_nothing_about_tracks(client: Client) -> None:
    client.check(0.0)
    client.take()
    client.transport.close()
    assert client.take() == [(b"\x15close_notify", HOME)]


def test_times_are_the_settings() -> None:
    client = Client(TransportSettings(join_timeout_s=1.0))
    assert client.run(10.0) == [(1.0, Closed(LeaveReason.JOIN_EXPIRED))]
    client = Client(TransportSettings(suspect_after_s=1.0, gone_after_s=2.0))
    client.secure(0.0)
    assert client.run(10.0) == [(1.0, Suspected()), (2.0, Closed(LeaveReason.CONSENT_EXPIRED))]


def test_a_late_timer_catches_up_in_one_call(client: Client) -> None:
    client.secure(0.0)
    client.transport.handle_timer(1_000.0)
    assert client.events() == [Suspected(), Closed(LeaveReason.CONSENT_EXPIRED)]


def test_it_shows_its_state(client: Client) -> None:
    assert repr(client.transport) == f"<Transport {client.transport.ufrag} new>"


def test_a_client_that_draws_sender_ssrcs_is_not_decrypted_for_ever(client: Client) -> None:
    """Each would leave a context behind in libsrtp."""
    client.secure(1.0)
    for sender in range(1, 2 * SENDERS_MAX + 1):
        client.report(10.0 + sender, sender=sender)
    assert client.counts == {"rtcp_sender": SENDERS_MAX}
    client.report(90.0, sender=1)
    assert client.counts == {"rtcp_sender": SENDERS_MAX}


def test_rtcp_and_dtls_are_limited_in_rate(client: Client) -> None:
    client.secure(1.0)
    for _ in range(300):
        client.report(20.0)
        client.transport.receive_dtls(DTLS_HELLO, HOME, 20.0)
    assert client.counts == {
        "rtcp_rate": 300 - DATAGRAMS_BURST,
        "dtls_rate": 300 - DTLS_BURST,
    }


def renew(client: Client, now: float, address: bytes = HOME) -> bytes | None:
    """The answer to a check, offered as one that may renew consent."""
    username = f"{client.ice.local_ufrag}:{client.ice.remote_ufrag}"
    return client.transport.renew_consent(check(username, client.ice.local_pwd), address, now)


def test_a_check_of_the_path_renews_consent_without_news(client: Client) -> None:
    client.secure(0.0)
    reply = renew(client, 4.0)
    assert reply is not None and parse_message(reply).message_type == BINDING_RESPONSE
    assert client.take() == []
    assert not client.transport.has_news and client.events() == []
    assert client.run(8.9) == []
    assert client.run(9.1)[-1][1] == Suspected()


def test_consent_is_renewed_quickly_only_while_connected(client: Client) -> None:
    """Before and in between a check is news: it has to take the long way."""
    assert renew(client, 0.0) is None
    client.secure(0.0)
    client.run(6.0)
    assert client.state() is TransportState.SUSPECT
    assert renew(client, 6.0) is None
    assert client.check(6.0)
    assert client.transport.has_news
    assert client.events() == [Recovered()]


def test_a_check_of_another_path_is_no_renewal(client: Client) -> None:
    client.secure(0.0)
    assert renew(client, 1.0, OFFICE) is None
    assert client.take() == []
