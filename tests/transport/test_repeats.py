"""Who may ask for packets again gets keys that send one twice; nobody else does."""

from __future__ import annotations

from dataclasses import replace

import pylibsrtp
import pytest

from sfu.transport.dtls import DtlsState
from sfu.transport.events import Keys
from tests.transport.peer import HOME
from tests.transport.test_srtp import packet
from tests.transport.test_transport import DTLS_HELLO, Client


def sending(*, nack: bool) -> pylibsrtp.Session:
    """The session to send with of a client that negotiated NACK, or did not, on one m-line."""
    client = Client()
    before = client.transport.negotiation
    first, *others = before.media
    client.transport.negotiation = replace(before, media=(replace(first, nack=nack), *others))
    client.check(1.0)
    client.dtls.next_state = DtlsState.CONNECTED
    client.transport.receive_dtls(DTLS_HELLO, HOME, 1.0)
    (keys,) = [event for event in client.events() if isinstance(event, Keys)]
    session: pylibsrtp.Session = keys.send
    return session


def test_with_nack_a_packet_is_sent_again_bit_for_bit() -> None:
    session = sending(nack=True)
    assert session.protect(packet(1)) == session.protect(packet(1))


def test_without_nack_a_second_text_under_a_number_is_noticed() -> None:
    session = sending(nack=False)
    session.protect(packet(1))
    with pytest.raises(pylibsrtp.Error, match="replay"):
        session.protect(packet(1))
