"""Keys and scopes."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from control.auth import Key, Keyring, Scopes, compute_mac
from control.commands import (
    AnyCommand,
    RoomClose,
    RoomGet,
    RoomList,
    RoomListWithin,
    ServerInfo,
    TrackMute,
)
from control.errors import ControlError

CHALLENGE = bytes(range(32))


def test_the_mac_is_the_documented_one() -> None:
    """HMAC-SHA256 over context, challenge and key id."""
    text = b"sfu-control-1" + CHALLENGE + "schlüssel".encode()
    expected = hmac.new(b"secret", text, hashlib.sha256).digest()
    assert compute_mac(b"secret", CHALLENGE, "schlüssel") == expected


def test_only_the_right_secret_for_the_right_key_and_challenge_is_accepted() -> None:
    """Every part of the mac counts."""
    ring = Keyring([Key("a", b"one", ("admin",)), Key("b", b"two", ("read",))])
    right = Key("a", b"one").mac(CHALLENGE)
    scopes = ring.verify("a", CHALLENGE, right)
    assert scopes is not None and scopes.names == ("admin",)
    assert ring.verify("b", CHALLENGE, right) is None
    assert ring.verify("a", bytes(32), right) is None
    assert ring.verify("a", CHALLENGE, right[:31]) is None
    assert ring.verify("a", CHALLENGE, b"") is None


def test_an_unknown_key_is_refused_even_with_the_mac_of_the_stand_in_secret() -> None:
    """The work done for unknown ids must not be a way in."""
    ring = Keyring([Key("a", b"one", ("admin",))])
    assert ring.verify("x", CHALLENGE, compute_mac(b"sfu-control-1", CHALLENGE, "x")) is None


def test_a_key_without_a_secret_is_proven_by_no_mac() -> None:
    """Not by one of an empty secret, nor by the stand-in's."""
    ring = Keyring([Key("a", None, ("admin",))])
    for secret in (b"", b"sfu-control-1"):
        assert ring.verify("a", CHALLENGE, compute_mac(secret, CHALLENGE, "a")) is None
    assert ring.named(["x", "a"]) == "a" and ring.named(["x"]) is None
    with pytest.raises(ValueError, match="no secret"):
        Key("a", None).mac(CHALLENGE)


def test_keys_are_replaced_all_at_once_or_not_at_all() -> None:
    """A ring that cannot be leaves the old one as it was."""
    ring = Keyring([Key("a", b"one", ("admin",))])
    with pytest.raises(ValueError, match="twice"):
        ring.replace([Key("b", b"s"), Key("b", b"t")])
    assert ring.scopes_of("a") is not None and ring.scopes_of("b") is None
    ring.replace([Key("a", b"two", ("read",))])
    assert ring.verify("a", CHALLENGE, compute_mac(b"one", CHALLENGE, "a")) is None
    scopes = ring.scopes_of("a")
    assert scopes is not None and scopes.names == ("read",)
    assert ring.scopes_of(None) is None
    ring.replace([])
    everything = ring.scopes_of(None)
    assert everything is not None and everything.admin and not ring


def test_unusable_keys_are_refused_when_they_are_made() -> None:
    """A configuration mistake is told at start, not at the first login."""
    with pytest.raises(ValueError, match="unknown scope 'root'"):
        Key("a", b"s", ("root",))
    with pytest.raises(ValueError, match="empty"):
        Key("a", b"")
    with pytest.raises(ValueError, match="characters"):
        Key("", b"s")
    with pytest.raises(ValueError, match="twice"):
        Keyring([Key("a", b"s"), Key("a", b"t")])


def test_a_key_does_not_show_its_secret() -> None:
    """Logs and tracebacks print keys."""
    assert "hush" not in repr(Key("a", b"hush"))


GET, CLOSE = RoomGet(room="club/1"), RoomClose(room="club/1")
FOREIGN_GET, FOREIGN_CLOSE = RoomGet(room="other"), RoomClose(room="other")


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        ((), []),
        (("admin",), [GET, CLOSE, FOREIGN_GET, FOREIGN_CLOSE, ServerInfo(), RoomList()]),
        (("read",), [GET, FOREIGN_GET, ServerInfo(), RoomList()]),
        (("rooms:club/",), [GET, CLOSE, RoomList()]),
        (("read", "rooms:club/"), [GET, CLOSE, FOREIGN_GET, ServerInfo(), RoomList()]),
        (("rooms:x", "rooms:oth"), [FOREIGN_GET, FOREIGN_CLOSE, RoomList()]),
    ],
)
def test_what_scopes_allow(scopes: tuple[str, ...], allowed: list[object]) -> None:
    """`read` changes nothing, `rooms:` stays among its rooms, and they add up."""
    every: list[AnyCommand] = [GET, CLOSE, FOREIGN_GET, FOREIGN_CLOSE, ServerInfo(), RoomList()]
    assert [command for command in every if Scopes(scopes).allows(command)] == allowed


@pytest.mark.parametrize(
    ("scopes", "command", "code"),
    [
        ("read", CLOSE, "permission_denied"),
        ("rooms:club/", FOREIGN_GET, "not_found"),
        ("rooms:club/", TrackMute(room="other", participant="p"), "not_found"),
        ("rooms:club/", ServerInfo(), "permission_denied"),
    ],
)
def test_how_scopes_refuse(scopes: str, command: AnyCommand, code: str) -> None:
    """A room out of sight does not exist; what is seen but not allowed is denied."""
    with pytest.raises(ControlError) as refused:
        Scopes((scopes,)).check(command)
    assert refused.value.code.value == code
    assert refused.value.detail == ({"what": "room"} if code == "not_found" else {})


def test_lists_show_only_rooms_in_sight() -> None:
    """The question is narrowed, so that not even the number of pages tells of others."""
    two = Scopes(("rooms:a", "rooms:b"))
    asked = RoomList(prefix="x", page=3)
    assert two.narrow(asked) == RoomListWithin(prefix="x", page=3, within=("a", "b"))
    for all_seeing in (("read", "rooms:a"), ("admin",)):
        assert Scopes(all_seeing).narrow(asked) is asked


def test_events_are_seen_by_room() -> None:
    """Events about the daemon itself are for everybody with a scope."""
    club = Scopes(("rooms:club/",))
    assert club.sees("club/1") and club.sees(None) and not club.sees("other")
    assert Scopes(("read",)).sees("other")
    assert not Scopes(()).sees(None)
