"""Under the same keys no SSRC is used twice: two texts under one number would betray both."""

from __future__ import annotations

import pytest

from sfu.fast import Forwarder
from tests.fast.peer import PAYLOAD_TYPE, Listener, Talker, passed

NOW = 10.0
SSRC = 0x9007


class Line:
    """A talker, and a listener with one egress that has carried a packet."""

    def __init__(self) -> None:
        self.now = NOW
        self.forwarder = Forwarder()
        self.talker = Talker(1, self.forwarder)
        self.slot = self.forwarder.add_slot()
        self.forwarder.assign(self.slot, self.talker.source, NOW)
        self.listener = Listener(7, self.forwarder, ssrc=SSRC)
        self.transport = self.listener.transport
        self.carry(self.listener.egress)

    def carry(self, egress: int) -> None:
        """One packet."""
        self.forwarder.subscribe(egress, self.forwarder.slot_stream(self.slot))
        self.now += 0.02
        (sent,) = passed(self.forwarder, self.now, (self.talker.talk(), self.talker.address))
        assert sent[1] == self.listener.address

    def add(self, ssrc: int = SSRC, *, repeats: bool = False) -> int:
        """One more egress of the listener."""
        return self.forwarder.add_egress(
            self.transport,
            ssrc=ssrc,
            payload_type=PAYLOAD_TYPE,
            first_sequence=1,
            first_timestamp=0,
            echo_group=7,
            repeats=repeats,
        )


@pytest.mark.parametrize("repeats", [False, True])
def test_two_egresses_of_a_transport_have_ssrcs_of_their_own(repeats: bool) -> None:
    line = Line()
    with pytest.raises(ValueError, match="0x9007"):
        line.add(repeats=repeats)
    line.add(SSRC + 1)
    assert line.forwarder.sizes()["egresses"] == 2


def test_what_a_gone_egress_sent_under_is_not_used_again() -> None:
    line = Line()
    line.forwarder.remove_egress(line.listener.egress)
    with pytest.raises(ValueError, match="0x9007"):
        line.add()
    assert line.forwarder.sizes()["egresses"] == 0


def test_an_egress_that_sent_nothing_leaves_its_ssrc_free() -> None:
    line = Line()
    for _ in range(3):
        line.forwarder.remove_egress(line.add(SSRC + 1))


def test_other_keys_make_every_ssrc_new() -> None:
    line = Line()
    line.forwarder.remove_egress(line.listener.egress)
    receive, send = line.listener.server_sessions()
    line.forwarder.set_keys(line.transport, receive, send)
    line.carry(line.add())
    with pytest.raises(ValueError, match="0x9007"):
        line.add()


def test_the_same_keys_given_once_more_make_no_ssrc_new() -> None:
    line = Line()
    receive, send = line.listener.server_sessions()
    line.forwarder.set_keys(line.transport, receive, send)
    egress = line.add(SSRC + 1)
    line.carry(line.listener.egress)
    line.forwarder.subscribe(line.listener.egress, -1)
    line.carry(egress)
    line.forwarder.remove_egress(egress)
    line.forwarder.set_keys(line.transport, receive, send)
    with pytest.raises(ValueError, match="0x9008"):
        line.add(SSRC + 1)


def test_a_row_that_is_used_again_has_no_past() -> None:
    line = Line()
    line.forwarder.remove_egress(line.listener.egress)
    line.forwarder.remove_transport(line.transport)
    line.listener = Listener(7, line.forwarder, ssrc=SSRC)
    assert line.listener.transport == line.transport
    line.carry(line.listener.egress)


def test_ssrcs_under_the_same_keys_are_limited() -> None:
    """libsrtp keeps a context for each as long as the session lives."""
    line = Line()
    egress = line.listener.egress
    for number in range(1, 1_024):
        line.forwarder.remove_egress(egress)
        egress = line.add(SSRC + number)
        line.carry(egress)
    line.forwarder.remove_egress(egress)
    with pytest.raises(OverflowError, match="1024"):
        line.add(1)
