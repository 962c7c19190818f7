"""(client) One connection to a daemon: requests matched with responses, events handed on.

A link is born connected, says hello, authenticates, and dies once. It never reconnects; that is
`control.client`'s. When it dies every request that waits fails with ConnectionLost.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

from control.auth import Key
from control.commands import Auth, Command, Hello, HelloResult
from control.endpoint import Endpoint, UnixEndpoint
from control.envelope import Response, encode_request, parse_reply, result_of
from control.errors import ConnectionLost, ControlError, ErrorCode, ProtocolError, invalid
from control.events import Event, SessionClosed
from control.frames import FRAME_BYTES_MAX, FrameDecoder, decode_map

R = TypeVar("R")
_Take = Callable[[Response], None]

PROTOCOL_VERSIONS: Final = [1]
_PREFIX_BYTES: Final = 4


class Link(asyncio.Protocol):
    """`on_event` gets events in order; `lost` is done when the connection is gone."""

    def __init__(self, on_event: Callable[[Event], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_event = on_event
        self._decoder = FrameDecoder(FRAME_BYTES_MAX)
        self._waiting: dict[int, tuple[asyncio.Future[Response], _Take]] = {}
        self._last_id = 0
        self._reason = ""
        self.heard_at = self._loop.time()
        self.lost: asyncio.Future[None] = self._loop.create_future()

    @property
    def is_open(self) -> bool:
        """Whether requests can be sent."""
        return not self.lost.done() and not self._transport.is_closing()

    async def call(
        self,
        command: Command[R],
        *,
        key: str | None = None,
        deadline_s: float | None = None,
        on_result: Callable[[R], None] | None = None,
    ) -> R:
        """Ask and wait. `on_result` gets the result before anything that came behind it is looked
        at. Raises ControlError for a refusal or a passed deadline, ConnectionLost.
        """
        deadline_ms = None if deadline_s is None else max(0, round(deadline_s * 1_000))
        self._last_id += 1
        request_id = self._last_id
        frame = encode_request(request_id, command, key=key, deadline_ms=deadline_ms)
        check_frame(frame)
        if not self.is_open:
            raise ConnectionLost(self._reason or "not connected")
        answer: asyncio.Future[Response] = self._loop.create_future()
        self._waiting[request_id] = (answer, _taker(command, on_result))
        self._transport.write(frame)
        try:
            async with asyncio.timeout(deadline_s):
                response = await answer
        except TimeoutError:
            message = f"no answer to {command.method} within {deadline_s:g} s"
            raise ControlError(ErrorCode.DEADLINE_EXCEEDED, message) from None
        finally:
            self._waiting.pop(request_id, None)
        return cast(R, result_of(command, response))

    async def greet(self, client: str, key: Key | None) -> HelloResult:
        """hello, and auth when the daemon asks for it. Raises ControlError, ConnectionLost."""
        key_id = key.key_id if key else None
        hello = await self.call(Hello(versions=PROTOCOL_VERSIONS, client=client, key_id=key_id))
        if hello.auth_required:
            if key is None or key.secret is None:
                raise ControlError(ErrorCode.UNAUTHENTICATED, "this daemon wants a key")
            await self.call(Auth(key_id=key.key_id, mac=key.mac(hello.challenge)))
        return hello

    def close(self) -> None:
        """Hang up."""
        self._transport.close()

    def abort(self, reason: str) -> None:
        """Hang up at once, because of `reason`."""
        self._reason = self._reason or reason
        self._transport.abort()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Hand on every complete frame."""
        self.heard_at = self._loop.time()
        self._decoder.receive_data(data)
        try:
            while (payload := self._decoder.next_payload()) is not None:
                self._receive(parse_reply(decode_map(payload)))
        except ProtocolError as error:
            self.abort(f"the daemon broke the protocol: {error}")

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail whatever waits."""
        reason = self._reason or (str(exc) if exc else "the daemon hung up")
        self._reason = reason
        for answer, _ in self._waiting.values():
            if not answer.done():
                answer.set_exception(ConnectionLost(reason))
        if not self.lost.done():
            self.lost.set_result(None)

    def _receive(self, reply: Response | Event) -> None:
        if isinstance(reply, Response):
            answer, take = self._waiting.get(reply.id, (None, None))
            if answer is not None and take is not None and not answer.done():
                take(reply)
                answer.set_result(reply)
            return
        if isinstance(reply.body, SessionClosed):
            self._reason = f"{reply.body.code}: {reply.body.message}"
        self._on_event(reply)


def _taker(command: Command[R], on_result: Callable[[R], None] | None) -> _Take:
    """What is to be done with a response as soon as it is read."""

    def take(response: Response) -> None:
        if on_result is not None and response.ok:
            on_result(cast(R, result_of(command, response)))

    return take


def check_frame(frame: bytes) -> None:
    """Refuse here what the daemon would hang up on. Raises ControlError(invalid_argument)."""
    if len(frame) - _PREFIX_BYTES > FRAME_BYTES_MAX:
        raise invalid("p", f"a request of {len(frame)} bytes; at most {FRAME_BYTES_MAX}")
    try:
        decode_map(frame[_PREFIX_BYTES:])
    except ProtocolError as error:
        raise invalid("p", str(error)) from error


async def open_link(
    endpoint: Endpoint, tls: ssl.SSLContext | None, on_event: Callable[[Event], None]
) -> Link:
    """Connect. Raises ConnectionLost with the system's reason."""
    loop = asyncio.get_running_loop()
    try:
        _, link = await _connect(loop, endpoint, tls, lambda: Link(on_event))
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        raise ConnectionLost(f"cannot connect to {endpoint}: {reason}") from error
    return link


async def _connect(
    loop: asyncio.AbstractEventLoop,
    endpoint: Endpoint,
    tls: ssl.SSLContext | None,
    factory: Callable[[], Link],
) -> tuple[Any, Link]:
    if isinstance(endpoint, UnixEndpoint):
        name = "localhost" if tls else None
        return await loop.create_unix_connection(
            factory, endpoint.path, ssl=tls, server_hostname=name
        )
    return await loop.create_connection(factory, endpoint.host, endpoint.port, ssl=tls)
