"""Connectivity checks and the address media goes to."""

from __future__ import annotations

import pytest
from aioice import stun as oracle

from sfu.transport.address import pack_address, unpack_address
from sfu.transport.ice import (
    ADDRESSES_MAX,
    AMPLIFICATION_MAX,
    CHOSEN_QUIET_AFTER_S,
    QUIET_AFTER_S,
    IceCredentials,
    IceDrop,
    IceLite,
    IceOutcome,
)
from sfu.transport.stun import BINDING_REQUEST, USERNAME, build_message
from tests.transport.peer import HOME, OFFICE, SIX, check

CREDENTIALS = IceCredentials("ours", "our-password-of-24-chars", "their", "their-password")
USER = "ours:their"
PASSWORD = CREDENTIALS.local_pwd


@pytest.fixture
def ice() -> IceLite:
    """A participant from whom nothing was heard."""
    return IceLite(CREDENTIALS, now=0.0)


def plain(ice: IceLite, address: bytes, now: float) -> IceOutcome:
    """A check without USE-CANDIDATE."""
    return ice.receive(check(USER, PASSWORD), address, now)


def chosen(ice: IceLite, address: bytes, now: float) -> IceOutcome:
    """A check with USE-CANDIDATE."""
    return ice.receive(check(USER, PASSWORD, nominate=True), address, now)


@pytest.mark.parametrize("address", [HOME, SIX])
@pytest.mark.parametrize("fingerprint", [True, False])
def test_an_authentic_check_is_answered_and_validates(
    ice: IceLite, address: bytes, fingerprint: bool
) -> None:
    request = check(USER, PASSWORD, fingerprint=fingerprint)
    outcome = ice.receive(request, address, 0.0)
    assert outcome.authenticated
    assert outcome.validated == outcome.routed == ice.current == address
    assert outcome.reply is not None and len(outcome.reply) <= AMPLIFICATION_MAX * len(request)
    answer = oracle.parse_message(outcome.reply)
    assert answer.message_class is oracle.Class.RESPONSE
    assert answer.transaction_id == b"0123456789ab"
    assert answer.attributes["XOR-MAPPED-ADDRESS"] == unpack_address(address)
    assert answer.check_message_integrity(PASSWORD.encode())


def test_the_shortest_possible_check_gets_an_answer_within_the_limit() -> None:
    ice = IceLite(IceCredentials("a", PASSWORD, "b", "pw"), now=0.0)
    request = build_message(BINDING_REQUEST, bytes(12), ((USERNAME, b"a:b"),), PASSWORD.encode())
    request = request[:2] + (len(request) - 28).to_bytes(2, "big") + request[4:-8]
    outcome = ice.receive(request, SIX, 0.0)
    assert outcome.reply is not None and len(outcome.reply) <= 1.5 * len(request)


@pytest.mark.parametrize(
    ("request_bytes", "reason"),
    [
        (check("ours:other", PASSWORD), IceDrop.USERNAME),
        (check("other:their", PASSWORD), IceDrop.USERNAME),
        (check(USER, "wrong"), IceDrop.INTEGRITY),
        (check(USER, PASSWORD, sign=False), IceDrop.INTEGRITY),
        (check(USER, PASSWORD)[:-1] + b"\x00", IceDrop.MALFORMED),
        (b"\x01\x01" + check(USER, PASSWORD, fingerprint=False)[2:], IceDrop.NOT_REQUEST),
        (b"\x00\x11" + check(USER, PASSWORD, fingerprint=False)[2:], IceDrop.NOT_REQUEST),
        (b"", IceDrop.MALFORMED),
    ],
)
def test_what_is_not_authentic_gets_no_answer_and_changes_nothing(
    ice: IceLite, request_bytes: bytes, reason: IceDrop
) -> None:
    assert ice.receive(request_bytes, HOME, 0.0) == IceOutcome(reason)
    assert ice.current is None and ice.addresses == ()


def test_an_attribute_that_must_be_understood_is_answered_420(ice: IceLite) -> None:
    attributes = ((USERNAME, USER.encode()), (0x0055, b"????"))
    request = build_message(BINDING_REQUEST, bytes(12), attributes, PASSWORD.encode())
    outcome = ice.receive(request, HOME, 0.0)
    assert outcome.drop is IceDrop.UNKNOWN_ATTRIBUTE and ice.addresses == ()
    assert outcome.reply is not None and len(outcome.reply) <= 1.5 * len(request)
    answer = oracle.parse_message(outcome.reply)
    assert answer.error_code == 420
    assert b"\x00\x0a\x00\x02\x00\x55" in outcome.reply


@pytest.mark.parametrize("count", [1, 2, 3, 96])
def test_the_longest_error_answer_stays_within_the_limit(count: int) -> None:
    short = IceLite(IceCredentials("a", PASSWORD, "b", "pw"), now=0.0)
    empty = tuple((kind, b"") for kind in range(0x0040, 0x0040 + count))
    request = build_message(
        BINDING_REQUEST, bytes(12), ((USERNAME, b"a:b"), *empty), PASSWORD.encode()
    )
    outcome = short.receive(request, SIX, 0.0)
    assert outcome.reply is not None and len(outcome.reply) <= 1.5 * len(request)


def test_a_peer_that_wants_to_be_controlled_is_told_of_the_conflict(ice: IceLite) -> None:
    outcome = ice.receive(check(USER, PASSWORD, controlled=True), HOME, 0.0)
    assert outcome.drop is IceDrop.ROLE_CONFLICT and ice.current is None
    assert outcome.reply is not None
    assert oracle.parse_message(outcome.reply).error_code == 487


def test_a_check_from_a_new_address_moves_media_at_once(ice: IceLite) -> None:
    chosen(ice, HOME, 0.0)
    outcome = plain(ice, OFFICE, 0.01)
    assert outcome.validated == outcome.routed == OFFICE


def test_the_current_address_stays_without_a_word(ice: IceLite) -> None:
    chosen(ice, HOME, 0.0)
    outcome = chosen(ice, HOME, 2.5)
    assert outcome.authenticated and outcome.routed is None and outcome.validated is None


def test_a_spare_path_kept_alive_does_not_move_media(ice: IceLite) -> None:
    plain(ice, OFFICE, 0.0)
    chosen(ice, HOME, 0.1)
    for beat in range(1, 20):
        chosen(ice, HOME, 2.5 * beat)
        assert plain(ice, OFFICE, 2.5 * beat + 2.4).routed is None


def test_use_candidate_moves_media_to_a_known_address(ice: IceLite) -> None:
    plain(ice, OFFICE, 0.0)
    chosen(ice, HOME, 0.1)
    outcome = chosen(ice, OFFICE, 0.2)
    assert outcome.routed == OFFICE and outcome.validated is None


@pytest.mark.parametrize(
    ("nominate", "quiet_s"), [(False, QUIET_AFTER_S), (True, CHOSEN_QUIET_AFTER_S)]
)
def test_a_plain_check_takes_over_when_the_current_address_is_quiet(
    ice: IceLite, nominate: bool, quiet_s: float
) -> None:
    plain(ice, OFFICE, 0.0)
    ice.receive(check(USER, PASSWORD, nominate=nominate), HOME, 0.1)
    assert plain(ice, OFFICE, 0.1 + quiet_s - 0.01).routed is None
    assert plain(ice, OFFICE, 0.1 + quiet_s + 0.01).routed == OFFICE


def test_rtcp_keeps_the_current_address(ice: IceLite) -> None:
    plain(ice, OFFICE, 0.0)
    plain(ice, HOME, 0.1)
    ice.heard(HOME, 1.0)
    ice.heard(SIX, 1.0)
    assert plain(ice, OFFICE, 1.9).routed is None
    assert SIX not in ice.addresses


def test_at_most_eight_addresses_and_never_the_current_one_goes(ice: IceLite) -> None:
    addresses = [pack_address("192.0.2.1", 1_000 + n) for n in range(ADDRESSES_MAX + 4)]
    chosen(ice, addresses[0], 0.0)
    for step, address in enumerate(addresses[1:]):
        now = 0.01 * step
        plain(ice, address, now)
        chosen(ice, addresses[0], now)
        assert len(ice.addresses) <= ADDRESSES_MAX
    chosen(ice, HOME, 1.0)
    outcome = plain(ice, SIX, 1.0)
    assert addresses[0] in ice.addresses
    assert outcome.revoked not in (None, HOME, SIX, addresses[0])
    assert len(ice.addresses) == ADDRESSES_MAX


def test_every_revoked_address_is_reported(ice: IceLite) -> None:
    allowed: set[bytes] = set()
    for n in range(50):
        outcome = plain(ice, pack_address("192.0.2.1", 1_000 + n), 0.02 * n)
        if outcome.validated:
            allowed.add(outcome.validated)
        if outcome.revoked:
            allowed.remove(outcome.revoked)
        assert allowed == set(ice.addresses)


def test_a_flood_with_the_right_name_does_not_starve_the_real_path(ice: IceLite) -> None:
    chosen(ice, HOME, 0.0)
    forged = check(USER, "wrong")
    drops = [ice.receive(forged, OFFICE, 0.0002 * n).drop for n in range(5_000)]
    assert drops.count(IceDrop.RATE) > 3_900
    assert chosen(ice, HOME, 1.0).authenticated


def test_an_address_that_went_to_somebody_else_is_taken_back_by_a_check(ice: IceLite) -> None:
    chosen(ice, HOME, 0.0)
    ice.forget(HOME)
    assert ice.current is None and ice.addresses == ()
    outcome = plain(ice, HOME, 0.1)
    assert outcome.validated == outcome.routed == HOME


def test_two_participants_behind_one_nat_keep_apart() -> None:
    first = IceLite(CREDENTIALS, now=0.0)
    second = IceLite(IceCredentials("more", "another-password-of-24-c", "peer", "pw"), now=0.0)
    here, there = pack_address("203.0.113.1", 1_111), pack_address("203.0.113.1", 2_222)
    assert plain(first, here, 0.0).routed == here
    assert second.receive(check("more:peer", "another-password-of-24-c"), there, 0.0).routed
    assert second.receive(check(USER, PASSWORD), there, 0.0).drop is IceDrop.USERNAME


def test_a_check_of_the_path_in_use_renews_it_and_changes_nothing_else(ice: IceLite) -> None:
    plain(ice, HOME, 0.0)
    plain(ice, OFFICE, 0.1)
    assert ice.current == OFFICE
    request = check(USER, PASSWORD)
    assert ice.renew(request, OFFICE, 7.0) == ice.receive(request, OFFICE, 7.0).reply
    assert (ice.current, ice.heard_at(OFFICE), ice.heard_at(HOME)) == (OFFICE, 7.0, 0.0)


def test_a_nominating_check_of_the_path_in_use_makes_it_the_chosen_one(ice: IceLite) -> None:
    plain(ice, OFFICE, 0.0)
    plain(ice, HOME, 0.0)
    assert ice.renew(check(USER, PASSWORD, nominate=True), HOME, 0.0) is not None
    assert plain(ice, OFFICE, CHOSEN_QUIET_AFTER_S).routed is None
    assert plain(ice, OFFICE, CHOSEN_QUIET_AFTER_S + 0.1).routed == OFFICE


def test_what_is_no_renewal_leaves_no_trace(ice: IceLite) -> None:
    assert ice.renew(check(USER, PASSWORD), HOME, 0.0) is None
    plain(ice, HOME, 0.0)
    plain(ice, OFFICE, 0.1)
    assert ice.renew(check(USER, PASSWORD), HOME, 1.0) is None
    for _ in range(500):
        assert ice.renew(check(USER, "forged"), OFFICE, 1.0) is None
    assert (ice.heard_at(HOME), ice.heard_at(OFFICE)) == (0.0, 0.1)
    assert ice.renew(check(USER, PASSWORD), OFFICE, 1.0) is not None


def test_renewals_are_limited_with_the_other_checks(ice: IceLite) -> None:
    plain(ice, HOME, 0.0)
    request = check(USER, PASSWORD)
    renewed = sum(ice.renew(request, HOME, 0.0) is not None for _ in range(500))
    assert 50 <= renewed <= 100
    assert ice.receive(request, HOME, 0.0).drop is IceDrop.RATE
