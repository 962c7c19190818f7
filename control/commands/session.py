"""Commands that a session answers by itself: who is there, and what it is told."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from msgspec import Meta

from control.commands.command import Command, Position
from control.types import RoomId, Value

# More than there are events.
TYPES_MAX = 64
EventPattern = Annotated[str, Meta(max_length=64, pattern=r"^[a-z_]+\.([a-z_]+|\*)\Z")]


class HelloResult(Value, frozen=True, kw_only=True):
    """Who answered; `challenge` (32 bytes) is what `auth` signs, `limits` are sizes and counts."""

    version: int
    server: str
    node: str
    epoch: str
    challenge: bytes
    auth_required: bool
    limits: dict[str, int]


class AuthResult(Value, frozen=True, kw_only=True):
    scopes: list[str]


class Hello(Command[HelloResult], frozen=True, kw_only=True, forbid_unknown_fields=False):
    """The first request of a session. Unknown fields are ignored, so that newer clients can ask."""

    method: ClassVar[str] = "hello"
    result: ClassVar[Any] = HelloResult
    mutates: ClassVar[bool] = False
    versions: Annotated[list[int], Meta(min_length=1, max_length=64)]
    client: Annotated[str, Meta(max_length=128)]
    key_id: Annotated[str, Meta(max_length=128)] | None = None


class Auth(Command[AuthResult], frozen=True, kw_only=True):
    method: ClassVar[str] = "auth"
    result: ClassVar[Any] = AuthResult
    mutates: ClassVar[bool] = False
    key_id: Annotated[str, Meta(max_length=128)]
    mac: bytes


class PingResult(Value, frozen=True, kw_only=True, omit_defaults=True):
    """`position`: all events up to there that this connection subscribed to were sent before this;
    None: it has no subscription."""

    position: Position | None = None


class Ping(Command[PingResult], frozen=True, kw_only=True):
    method: ClassVar[str] = "ping"
    result: ClassVar[Any] = PingResult
    mutates: ClassVar[bool] = False


class EventsSubscribe(Command[Position], frozen=True, kw_only=True):
    """Sets what events this connection gets: `rooms` absent all, `[]` none. The last one counts.

    `types` are names of events, or groups such as `participant.*`; absent all. Missed events behind
    `since` come first.
    """

    method: ClassVar[str] = "events.subscribe"
    result: ClassVar[Any] = Position
    mutates: ClassVar[bool] = False
    # A connection that follows more single rooms than this is better off with all of them.
    rooms: Annotated[list[RoomId], Meta(max_length=10_000)] | None = None
    types: Annotated[list[EventPattern], Meta(max_length=TYPES_MAX)] | None = None
    since: Position | None = None
