"""The server's side of one session, without IO: who may ask what, and when.

A session begins `new`. `hello` settles the version and hands out a challenge (`greeted`); `auth`
with the right mac makes it `ready`. Where no keys are configured `hello` alone does. Only a `ready`
session runs commands; before that `hello`, `auth` and `ping` are answered and anything else is
refused. One wrong mac ends the session, and so does asking too often without getting ready: a
stranger gets no time to guess. `closed` is final; entering it always says why, once.

    state     hello       auth        ping      other         wrong mac, limit, close()
    new       -> greeted  refused     answered  refused       -> closed
    greeted   refused     -> ready    answered  refused       -> closed
    ready     refused     refused     run       run           -> closed
    closed    -           -           -         -             -

Without keys, and with a certificate that was verified and bears a key's id, `hello` goes from `new`
to `ready`. `receive` takes one parsed request and returns
what is to be done, in order. The owner does it; nobody else assigns `state`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

import msgspec

from control.auth import CHALLENGE_BYTES, Keyring, Scopes
from control.commands import (
    COMMANDS,
    SESSION_COMMANDS,
    AnyCommand,
    Auth,
    AuthResult,
    Hello,
    HelloResult,
    Ping,
    PingResult,
)
from control.envelope import Request, parse_command
from control.errors import ControlError, ErrorCode
from control.events import SessionClosed

PROTOCOL_VERSIONS: Final = (1,)
# hello, auth, a retry of hello with another version, and some pings of a health check.
REQUESTS_MAX_BEFORE_READY: Final = 16

_NOBODY: Final = Scopes(())


class SessionState(Enum):
    """Where a session stands; see the table above."""

    NEW = "new"
    GREETED = "greeted"
    READY = "ready"
    CLOSED = "closed"


@dataclass(frozen=True)
class Greeting:
    """What `hello` tells of the server, apart from the session's own challenge."""

    server: str
    node: str
    epoch: str
    limits: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """Send this result to the request."""

    request_id: int
    result: msgspec.Struct


@dataclass(frozen=True)
class Refusal:
    """Send this error to the request."""

    request_id: int
    error: ControlError


@dataclass(frozen=True)
class Run:
    """Do this command and answer the request when it is done."""

    request: Request
    command: AnyCommand


@dataclass(frozen=True)
class Close:
    """Send `session.closed`, then close the connection."""

    event: SessionClosed


Action = Answer | Refusal | Run | Close


class Session:
    """One session. `challenge` is 32 random bytes that no other session has.

    `names` are those of the client's certificate, if TLS has verified one.
    """

    def __init__(
        self, greeting: Greeting, keys: Keyring, challenge: bytes, names: Sequence[str] = ()
    ) -> None:
        assert len(challenge) == CHALLENGE_BYTES
        self.state = SessionState.NEW
        self.client = ""
        self.key_id: str | None = None
        self.scopes = _NOBODY
        self.is_proven_wrong = False
        self._greeting = greeting
        self._keys = keys
        self._challenge = challenge
        self._names = tuple(names)
        self._requests_before_ready = 0

    @property
    def is_ready(self) -> bool:
        """Whether commands are run."""
        return self.state is SessionState.READY

    @property
    def is_closed(self) -> bool:
        """Whether everything has been said."""
        return self.state is SessionState.CLOSED

    def receive(self, request: Request) -> list[Action]:
        """Judge one request. A closed session answers nothing."""
        if self.is_closed:
            return []
        try:
            return self._count() or self._step(request)
        except ControlError as error:
            return [Refusal(request.id, error)]

    def refuse(self, request_id: int, error: ControlError) -> list[Action]:
        """A request that was wrong before it could be judged."""
        if self.is_closed:
            return []
        return self._count() or [Refusal(request_id, error)]

    def close(
        self, code: ErrorCode | str, message: str, retry_after_ms: int | None = None
    ) -> list[Action]:
        """End the session from this side. Closing twice says nothing more."""
        if self.is_closed:
            return []
        self.state = SessionState.CLOSED
        event = SessionClosed(code=str(code), message=message, retry_after_ms=retry_after_ms)
        return [Close(event)]

    def follow_keys(self) -> list[Action]:
        """The keys have changed: a ready session goes on with its key's scopes, or ends."""
        if not self.is_ready:
            return []
        scopes = self._keys.scopes_of(self.key_id)
        if scopes is None:
            return self.close(ErrorCode.UNAUTHENTICATED, "the key of this session is no more valid")
        self.scopes = scopes
        return []

    def _count(self) -> list[Action]:
        """What ends the matter before the request is looked at, if anything."""
        if not self.is_ready:
            self._requests_before_ready += 1
            if self._requests_before_ready > REQUESTS_MAX_BEFORE_READY:
                return self.close(ErrorCode.RESOURCE_EXHAUSTED, "too many requests before auth")
        return []

    def _step(self, request: Request) -> list[Action]:
        step = _TABLE.get((self.state, request.m))
        if step is not None:
            return step(self, request.id, parse_command(SESSION_COMMANDS[request.m], request.p))
        if request.m in ("hello", "auth"):
            message = f"no {request.m} in a session that is {self.state.value}"
            raise ControlError(ErrorCode.FAILED_PRECONDITION, message)
        if not self.is_ready:
            raise ControlError(ErrorCode.UNAUTHENTICATED, "say hello and authenticate first")
        return [self._authorize(request)]

    def _authorize(self, request: Request) -> Run:
        kind = COMMANDS.get(request.m) or SESSION_COMMANDS.get(request.m)
        if kind is None:
            raise ControlError(ErrorCode.UNIMPLEMENTED, f"no command {request.m} in this version")
        command = parse_command(kind, request.p)
        if request.m in COMMANDS:
            self.scopes.check(command)
        return Run(request, self.scopes.narrow(command))

    def _ping(self, request_id: int, command: AnyCommand) -> list[Action]:
        assert isinstance(command, Ping)
        return [Answer(request_id, PingResult())]

    def _hello(self, request_id: int, command: AnyCommand) -> list[Action]:
        assert isinstance(command, Hello)
        common = [version for version in PROTOCOL_VERSIONS if version in command.versions]
        if not common:
            raise ControlError(
                ErrorCode.UNIMPLEMENTED,
                "no common protocol version",
                detail={"versions": list(PROTOCOL_VERSIONS)},
            )
        self.client = command.client
        self.state = SessionState.GREETED
        key_id = self._keys.named(self._names)
        scopes = self._keys.scopes_of(key_id)
        if scopes is not None:
            self.state, self.scopes, self.key_id = SessionState.READY, scopes, key_id
        return [Answer(request_id, self._hello_result(max(common)))]

    def _hello_result(self, version: int) -> HelloResult:
        return HelloResult(
            version=version,
            server=self._greeting.server,
            node=self._greeting.node,
            epoch=self._greeting.epoch,
            challenge=self._challenge,
            auth_required=not self.is_ready,
            limits=self._greeting.limits,
        )

    def _auth(self, request_id: int, command: AnyCommand) -> list[Action]:
        assert isinstance(command, Auth)
        scopes = self._keys.verify(command.key_id, self._challenge, command.mac)
        if scopes is None:
            self.is_proven_wrong = True
            refused = ControlError(ErrorCode.UNAUTHENTICATED, "unknown key or wrong mac")
            return [Refusal(request_id, refused), *self.close(refused.code, refused.message)]
        self.state, self.scopes, self.key_id = SessionState.READY, scopes, command.key_id
        return [Answer(request_id, AuthResult(scopes=list(scopes.names)))]


_Step = Callable[[Session, int, AnyCommand], list[Action]]
_TABLE: Final[dict[tuple[SessionState, str], _Step]] = {
    (SessionState.NEW, "hello"): Session._hello,
    (SessionState.NEW, "ping"): Session._ping,
    (SessionState.GREETED, "auth"): Session._auth,
    (SessionState.GREETED, "ping"): Session._ping,
}
