"""Keys, the proof that a client holds one, and what a key may do.

A key never crosses the wire: the client sends HMAC-SHA256(secret, context || challenge || key_id),
the challenge being 32 random bytes of the session. Without TLS somebody who records a session can
guess short secrets offline, so use 32 random bytes. Under mutual TLS a client certificate with a
key's id as its name proves possession as well; such a key needs no secret at all.

Scopes: `admin` may do everything; `read` may ask everything and change nothing; `rooms:<prefix>`
may do everything with rooms whose id begins so, and for it no other room exists. Scopes add up.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from control.commands import AnyCommand, RoomList, RoomListWithin
from control.errors import ControlError, ErrorCode, not_found

CHALLENGE_BYTES: Final = 32
KEY_ID_CHARS_MAX: Final = 128
_CONTEXT: Final = b"sfu-control-1"
_ROOMS: Final = "rooms:"
# The fields of a command that name a room it touches.
_ROOM_FIELDS: Final = ("room", "to_room")


def compute_mac(secret: bytes, challenge: bytes, key_id: str) -> bytes:
    """The proof of possession that `auth` carries: 32 bytes."""
    return hmac.digest(secret, _CONTEXT + challenge + key_id.encode(), hashlib.sha256)


@dataclass(frozen=True)
class Scopes:
    """What a session may do. Without any scope: nothing."""

    names: tuple[str, ...]
    admin: bool = field(init=False)
    read: bool = field(init=False)
    prefixes: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        for name in self.names:
            if name not in ("admin", "read") and not name.startswith(_ROOMS):
                raise ValueError(f"unknown scope {name!r}: use admin, read or rooms:<prefix>")
        prefixes = tuple(n.removeprefix(_ROOMS) for n in self.names if n.startswith(_ROOMS))
        object.__setattr__(self, "admin", "admin" in self.names)
        object.__setattr__(self, "read", "read" in self.names)
        object.__setattr__(self, "prefixes", prefixes)

    def may_change(self, room: str) -> bool:
        """Whether commands that change this room are allowed."""
        return self.admin or room.startswith(self.prefixes)

    def sees(self, room: str | None) -> bool:
        """Whether this room exists for the session. None is the server itself: events about it are
        for everybody who has any scope."""
        if self.admin or self.read:
            return True
        return bool(self.prefixes) if room is None else room.startswith(self.prefixes)

    def check(self, command: AnyCommand) -> None:
        """Raises ControlError: not_found for a room out of sight, else permission_denied."""
        rooms = [str(getattr(command, name)) for name in _ROOM_FIELDS if hasattr(command, name)]
        for room in rooms:
            if not self.sees(room):
                raise not_found("room", room)
        if self._covers(command, rooms):
            return
        raise ControlError(
            ErrorCode.PERMISSION_DENIED, f"this key may not use {command.method} here"
        )

    def allows(self, command: AnyCommand) -> bool:
        """Whether `check` lets the command pass."""
        try:
            self.check(command)
        except ControlError:
            return False
        return True

    def _covers(self, command: AnyCommand, rooms: list[str]) -> bool:
        if self.admin or (self.read and not command.mutates):
            return True
        if isinstance(command, RoomList):
            return bool(self.prefixes)  # it is narrowed
        return bool(rooms) and all(self.may_change(room) for room in rooms)

    def narrow(self, command: AnyCommand) -> AnyCommand:
        """`room.list` asks only for rooms that exist for the session: filtering its answer would
        leave pages with holes, and their number would tell of the rooms left out."""
        if not isinstance(command, RoomList) or self.admin or self.read:
            return command
        return RoomListWithin(prefix=command.prefix, page=command.page, within=self.prefixes)


EVERYTHING: Final = Scopes(("admin",))


@dataclass(frozen=True)
class Key:
    """A shared secret with a name. `scopes` count on the server only; a client needs none.

    Without a secret (None) only a certificate of this name proves the key.
    """

    key_id: str
    secret: bytes | None = field(repr=False)
    scopes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= len(self.key_id) <= KEY_ID_CHARS_MAX:
            raise ValueError(f"a key id has 1 to {KEY_ID_CHARS_MAX} characters")
        if isinstance(self.secret, str):
            raise TypeError("a secret is bytes: encode the text as UTF-8")
        if self.secret == b"":
            raise ValueError(f"the secret of key {self.key_id!r} is empty")
        Scopes(tuple(self.scopes))

    def mac(self, challenge: bytes) -> bytes:
        """What proves possession of this key for one session's challenge."""
        if self.secret is None:
            raise ValueError(f"key {self.key_id!r} has no secret, only a certificate proves it")
        return compute_mac(self.secret, challenge, self.key_id)


class Keyring:
    """The keys a server knows. Empty: it asks for none."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self._secrets: dict[str, bytes] = {}
        self._scopes: dict[str, Scopes] = {}
        self.replace(keys)

    def __bool__(self) -> bool:
        return bool(self._scopes)

    def replace(self, keys: Iterable[Key]) -> None:
        """Know these and no others from now on. Raises ValueError and changes nothing."""
        secrets: dict[str, bytes] = {}
        scopes: dict[str, Scopes] = {}
        for key in keys:
            if key.key_id in scopes:
                raise ValueError(f"key id {key.key_id!r} is given twice")
            scopes[key.key_id] = Scopes(tuple(key.scopes))
            if key.secret is not None:
                secrets[key.key_id] = key.secret
        self._secrets, self._scopes = secrets, scopes

    def scopes_of(self, key_id: str | None) -> Scopes | None:
        """What a session of this key may do; None: it may not be. Without keys None is its id."""
        if key_id is None:
            return None if self else EVERYTHING
        return self._scopes.get(key_id)

    def named(self, names: Iterable[str]) -> str | None:
        """The first of a certificate's names that is a key's id."""
        return next((name for name in names if name in self._scopes), None)

    def verify(self, key_id: str, challenge: bytes, mac: bytes) -> Scopes | None:
        """The key's scopes, or None. Takes as long for an unknown key as for a wrong mac."""
        secret = self._secrets.get(key_id, _CONTEXT)
        is_right = hmac.compare_digest(compute_mac(secret, challenge, key_id), mac)
        # The stand-in for an unknown secret is in the source: whoever signs with it is refused.
        return self._scopes[key_id] if is_right and key_id in self._secrets else None
