"""Whatever arrives as STUN: nothing is raised, and only an authentic check changes anything."""

from __future__ import annotations

from sfu.transport.ice import IceCredentials, IceLite
from sfu.transport.stun import StunError, parse_message, username_of
from tests.fuzz.mutations import mutations, truncations
from tests.transport.peer import HOME, OFFICE, check

CREDENTIALS = IceCredentials("ours", "our-password-of-24-chars", "their", "their-password")
REAL = [
    check("ours:their", CREDENTIALS.local_pwd, nominate=True),
    check("ours:their", CREDENTIALS.local_pwd, fingerprint=False),
    check("ours:their", CREDENTIALS.local_pwd, controlled=True, extra={"SOFTWARE": "browser"}),
    check("ours:their", CREDENTIALS.local_pwd, sign=False),
]


def test_damaged_checks_neither_raise_nor_validate() -> None:
    intact = set(REAL)
    ice = IceLite(CREDENTIALS, now=0.0)
    ice.receive(REAL[0], HOME, 0.0)
    now = 0.0
    for data in [*truncations(REAL), *mutations(REAL, seed="stun")]:
        now += 0.1
        username_of(data)
        outcome = ice.receive(data, OFFICE, now)
        if data in intact:
            continue
        if outcome.authenticated or outcome.reply is not None:
            # Only what integrity does not cover was damaged.
            message = parse_message(data)
            assert message.is_signed_by(CREDENTIALS.local_pwd.encode())
            continue
        assert outcome.validated is outcome.routed is outcome.revoked is None


def test_the_parser_raises_its_own_error_alone() -> None:
    for data in [*truncations(REAL), *mutations(REAL, seed="stun parser")]:
        try:
            message = parse_message(data)
        except StunError:
            continue
        assert sum(len(value) for value in message.attributes.values()) < len(data)
