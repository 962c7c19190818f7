"""ICE restart: new credentials beside the old, until a check has used them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from control.types import LeaveReason
from sfu.transport.consent import RESTART_GRACE_S
from sfu.transport.events import Closed, Recovered, Retired, Routed, Suspected, Validated
from sfu.transport.ice import WAITING_MAX, IceCredentials, IceDrop, IceLite
from sfu.transport.settings import TransportSettings
from sfu.transport.state import TransportState
from tests.transport.peer import HOME, OFFICE, check
from tests.transport.test_transport import Client

FIRST, SECOND, THIRD, FOURTH = (
    IceCredentials(f"our{number}", f"our-password-number-{number}-24", f"their{number}", "x" * 24)
    for number in range(1, 5)
)


def by(credentials: IceCredentials, *, nominate: bool = False, forged: bool = False) -> bytes:
    """A check with these credentials."""
    password = "forged" if forged else credentials.local_pwd
    return check(credentials.username.decode(), password, nominate=nominate)


@pytest.fixture
def ice() -> IceLite:
    """A participant that checks its path with the first credentials."""
    ice = IceLite(FIRST, now=0.0)
    ice.receive(by(FIRST, nominate=True), HOME, 0.0)
    return ice


def test_both_credentials_are_good_until_the_newer_were_used(ice: IceLite) -> None:
    assert ice.restart(SECOND) == ()
    assert ice.ufrags == ("our1", "our2")
    assert ice.receive(by(FIRST), HOME, 1.0).authenticated
    assert ice.renew(by(FIRST), HOME, 1.5) is not None
    outcome = ice.receive(by(SECOND, nominate=True), OFFICE, 2.0)
    assert outcome.authenticated and outcome.retired == ("our1",)
    assert outcome.validated == outcome.routed == OFFICE
    assert list(ice.ufrags) == ["our2"]
    assert ice.receive(by(FIRST), HOME, 3.0).drop is IceDrop.USERNAME
    assert ice.renew(by(FIRST), OFFICE, 3.0) is None
    assert ice.renew(by(SECOND), OFFICE, 3.0) is not None


def test_the_old_path_stays_validated_and_the_same_one_may_go_on(ice: IceLite) -> None:
    ice.restart(SECOND)
    outcome = ice.receive(by(SECOND), HOME, 1.0)
    assert outcome.authenticated
    assert (outcome.validated, outcome.routed, outcome.revoked) == (None, None, None)
    assert ice.current == HOME and ice.addresses == (HOME,)


def test_a_forged_check_with_the_new_name_ends_nothing(ice: IceLite) -> None:
    ice.restart(SECOND)
    outcome = ice.receive(by(SECOND, forged=True), OFFICE, 1.0)
    assert outcome.drop is not None and outcome.retired == ()
    assert ice.receive(by(FIRST), HOME, 1.0).authenticated
    mixed = check("our2:their1", SECOND.local_pwd)
    assert ice.receive(mixed, HOME, 1.0).drop is IceDrop.USERNAME


def test_of_two_restarts_without_a_check_either_may_be_taken_up(ice: IceLite) -> None:
    """The client applied the one answer or the other; a later one ends those before it."""
    ice.restart(SECOND)
    ice.restart(THIRD)
    assert ice.receive(by(FIRST), HOME, 1.0).authenticated
    assert ice.receive(by(SECOND), HOME, 2.0).retired == ("our1",)
    assert ice.ufrags == ("our2", "our3")
    assert ice.receive(by(THIRD), HOME, 3.0).retired == ("our2",)
    assert list(ice.ufrags) == ["our3"]


def test_a_later_restart_ends_the_earlier_one_unused(ice: IceLite) -> None:
    ice.restart(SECOND)
    ice.restart(THIRD)
    assert ice.receive(by(THIRD), HOME, 1.0).retired == ("our1", "our2")
    assert ice.receive(by(SECOND), HOME, 1.0).drop is IceDrop.USERNAME


def test_restarts_without_a_check_are_kept_in_limited_number(ice: IceLite) -> None:
    forgotten = [ice.restart(credentials) for credentials in (SECOND, THIRD, FOURTH)]
    assert forgotten == [(), (), ("our2",)]
    assert len(ice.ufrags) == 1 + WAITING_MAX
    assert ice.receive(by(SECOND), HOME, 1.0).drop is IceDrop.USERNAME
    assert ice.receive(by(FIRST), HOME, 1.0).authenticated


@pytest.fixture
def client() -> Client:
    """A connected client."""
    client = Client()
    client.secure(0.0)
    return client


def restart(client: Client, now: float, number: int = 2) -> IceCredentials:
    """The backend had an offer answered; returns the new credentials."""
    ice = IceCredentials(f"local{number}", f"password-number-{number}-of-24", "remote", "y" * 24)
    before = client.transport.negotiation
    client.transport.restart_ice(replace(before, ice=ice), now)
    return ice


def test_the_path_moves_by_the_first_new_check_and_the_old_name_is_retired(client: Client) -> None:
    first = client.transport.negotiation.ice
    old = first.local_ufrag
    new = restart(client, 1.0)
    assert client.events() == [] and client.transport.ufrag == old
    client.transport.receive_stun(by(new, nominate=True), OFFICE, 1.2)
    assert client.events() == [Retired(old), Validated(OFFICE), Routed(OFFICE)]
    assert client.transport.ufrag == "local2"
    assert not client.transport.receive_stun(by(first), HOME, 1.3)
    assert client.counts == {"stun_username": 1}


def test_reports_go_on_with_the_keys_there_are(client: Client) -> None:
    new = restart(client, 1.0)
    client.transport.receive_stun(by(new), OFFICE, 1.2)
    client.take()
    client.stats.sent = 5
    client.transport.handle_timer(1.2)
    ((report, address),) = client.take()
    assert address == OFFICE and client.read(report)


def test_a_suspect_recovers_by_the_check_and_not_by_the_command(client: Client) -> None:
    client.run(6.0)
    assert client.state() is TransportState.SUSPECT
    new = restart(client, 6.0)
    assert client.state() is TransportState.SUSPECT and client.events() == []
    client.transport.receive_stun(by(new), OFFICE, 6.5)
    assert Recovered() in client.events()
    assert client.state() is TransportState.CONNECTED


def test_whoever_restarts_at_the_last_moment_has_time_for_a_check(client: Client) -> None:
    assert client.run(19.9) == [(5.0, Suspected())]
    restart(client, 19.9)
    assert client.run(19.9 + RESTART_GRACE_S - 0.1) == []
    assert client.run(30.0) == [(19.9 + RESTART_GRACE_S, Closed(LeaveReason.CONSENT_EXPIRED))]


def test_restarts_do_not_stretch_consent_beyond_what_it_may_last() -> None:
    """RFC 7675 5.1: nothing is sent 30 s after the last sign of consent."""
    client = Client(TransportSettings(gone_after_s=20.0))
    client.secure(0.0)
    ended: list[float] = []
    for number in range(2, 12):
        ended += [at for at, event in client.run(3.0 * number) if isinstance(event, Closed)]
        restart(client, 3.0 * number, number)
    assert ended == [30.0]


def test_a_closed_transport_takes_no_restart(client: Client) -> None:
    client.transport.close()
    before = client.transport.negotiation
    restart(client, 1.0)
    assert client.transport.negotiation is before and client.events() == []


def test_a_client_that_never_checked_may_restart_as_well() -> None:
    client = Client()
    new = restart(client, 1.0)
    client.transport.receive_stun(by(new), HOME, 2.0)
    assert client.state() is TransportState.CONNECTING


def test_an_authentic_question_that_is_refused_ends_the_old_credentials_too(client: Client) -> None:
    """Whoever asks so knows the new ones."""
    old = client.transport.ufrag
    new = restart(client, 1.0)
    data = check(new.username.decode(), new.local_pwd, controlled=True)
    assert not client.transport.receive_stun(data, HOME, 1.2)
    assert client.events() == [Retired(old)]
    assert client.counts == {"stun_role_conflict": 1}
