"""The client SDK: a connection to a daemon that mends itself.

    async with Client("127.0.0.1", 7700, key=Key("club", secret)) as client:
        await client.room_create(room="lobby")
        async for event in client.events(rooms=["lobby"]):
            ...

Commands carry an idempotency key, so one that was in flight when the connection broke is asked
again on the next one, within its deadline, and is done once. Between connections calls wait. Event
iterators go on; when events were missed they yield `EventsGap`.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import ssl
from collections.abc import Iterable
from itertools import count
from types import TracebackType
from typing import Final, Self, TypeVar

from control.auth import Key
from control.calls import Calls
from control.commands import Command, HelloResult, Ping, Position
from control.endpoint import Endpoint, TcpEndpoint, parse_endpoint
from control.errors import ConnectionLost, ControlError, ErrorCode, ProtocolError
from control.events import Event, SessionClosed
from control.filters import EventFilter
from control.follower import Follower
from control.link import Link, open_link
from control.streams import QUEUE_EVENTS_MAX, EventStream

R = TypeVar("R")

DEADLINE_S: Final = 10.0
# Reconnecting: the first try at once, then a random wait up to 0.1, 0.2, 0.4 ... 5 s.
BACKOFF_FIRST_S: Final = 0.1
BACKOFF_MAX_S: Final = 5.0
# A key that is refused may be allowed again, but four tries a minute must not be passed: five lock
# out the whole address, and with it backends whose key is right.
REFUSED_WAIT_S: Final = 20.0
# A connection on which nothing was heard for two of these is taken for dead. Each ping of an idle
# backend wakes the daemon, which is most of what that backend costs it.
PING_INTERVAL_S: Final = 7.5
# The daemon keeps keys for 60 s; a command must not be asked again after that.
RETRY_WITHIN_S: Final = 55.0
# A daemon that reads no more must not keep us from going.
CLOSE_WITHIN_S: Final = 1.0
# As many as the daemon works on at once for one connection.
IN_FLIGHT_MAX: Final = 256


class Client(Calls):
    """Connects to `host`, `port`, or to an address such as `unix:/run/sfu.sock`.

    `deadline_s` limits every call, `connect_within_s` the first connection (0: a single try). With
    `automatic_keys` off, a changing command that loses its connection raises ConnectionLost.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int | None = None,
        *,
        key: Key | None = None,
        tls: ssl.SSLContext | None = None,
        name: str = "control-python",
        deadline_s: float = DEADLINE_S,
        connect_within_s: float = 0.0,
        automatic_keys: bool = True,
    ) -> None:
        self.endpoint: Endpoint = parse_endpoint(host) if port is None else TcpEndpoint(host, port)
        self.hello: HelloResult | None = None
        self._key = key
        self._tls = tls
        self._name = name
        self._deadline_s = deadline_s
        self._connect_within_s = connect_within_s
        self._automatic_keys = automatic_keys
        self._key_prefix = secrets.token_hex(8)
        self._key_numbers = count(1)
        self._in_flight = asyncio.Semaphore(IN_FLIGHT_MAX)
        self._link: Link | None = None
        self._linked = asyncio.Event()
        self._refusal: ControlError | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._is_closed = False
        self._follower = Follower()
        self._subscribing = asyncio.Lock()
        self._trimmer: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def is_connected(self) -> bool:
        """Whether a call made now would be sent at once."""
        return self._link is not None and self._link.is_open

    async def connect(self) -> None:
        """Make the first connection, and keep one from then on.

        Raises ConnectionLost when there is none within `connect_within_s`, ControlError when the
        daemon refuses the key or the protocol version.
        """
        if self._keeper is not None:
            return
        link = await self._first_link()
        self._keeper = asyncio.create_task(self._keep(link))

    async def close(self) -> None:
        """Hang up; waiting calls raise ConnectionLost, iterators end. Idempotent."""
        self._is_closed = True
        self._linked.set()
        for stream in self._follower:
            stream.end()
        tasks = [task for task in (self._keeper, self._trimmer) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._link is not None:
            self._link.close()
            await asyncio.wait([self._link.lost], timeout=CLOSE_WITHIN_S)
            self._link.abort("closed")
            self._link = None

    async def call(
        self, command: Command[R], *, key: str | None = None, deadline_s: float | None = None
    ) -> R:
        """Do any command. `key` makes it idempotent across calls (up to 64 characters).

        Raises ControlError when it is refused or its deadline passes, ConnectionLost when there is
        no connection in time, or when it broke under a changing command that has no key.
        """
        if self._keeper is None:
            raise ConnectionLost("not connected: use `async with`, or connect()")
        if key is None and command.mutates and self._automatic_keys:
            key = f"{self._key_prefix}-{next(self._key_numbers)}"
        limit_s = self._deadline_s if deadline_s is None else deadline_s
        deadline = asyncio.get_running_loop().time() + limit_s
        await self._take_place(limit_s)
        try:
            return await self._call_until(command, key, deadline)
        finally:
            self._in_flight.release()

    def events(
        self,
        *,
        rooms: Iterable[str] | None = None,
        types: Iterable[str] | None = None,
        since: Position | None = None,
        queue_max: int = QUEUE_EVENTS_MAX,
    ) -> EventStream:
        """Events of the given rooms and types (`hand.raised`, `participant.*`), or of all.

        From the first step on (or from `async with`), or behind `since`: the `epoch` and `seq` of
        an event that an earlier client gave.
        """
        wanted = EventFilter.of(rooms, types)
        return EventStream(
            wanted, self._open_stream, self._close_stream, since=since, events_max=queue_max
        )

    # Calls, over however many links it takes.

    async def _take_place(self, limit_s: float) -> None:
        try:
            async with asyncio.timeout(limit_s):
                await self._in_flight.acquire()
        except TimeoutError:
            message = f"{IN_FLIGHT_MAX} calls are waiting for answers"
            raise ControlError(ErrorCode.DEADLINE_EXCEEDED, message) from None

    async def _call_until(self, command: Command[R], key: str | None, deadline: float) -> R:
        now = asyncio.get_running_loop().time
        retry_until = min(deadline, now() + RETRY_WITHIN_S)
        while True:
            link = await self._linked_within(deadline - now())
            try:
                return await link.call(command, key=key, deadline_s=max(0.001, deadline - now()))
            except ConnectionLost:
                may_repeat = key is not None or not command.mutates
                if not may_repeat or now() >= retry_until or self._is_closed:
                    raise

    async def _linked_within(self, limit_s: float) -> Link:
        try:
            async with asyncio.timeout(limit_s):
                while not self.is_connected:
                    if self._is_closed:
                        raise ConnectionLost("the client is closed")
                    if self._refusal is not None:
                        raise self._refusal
                    self._linked.clear()
                    await self._linked.wait()
        except TimeoutError:
            raise ConnectionLost(f"no connection to {self.endpoint} in time") from None
        assert self._link is not None
        return self._link

    # Keeping a link.

    async def _first_link(self) -> Link:
        deadline = asyncio.get_running_loop().time() + self._connect_within_s
        for attempt in count():
            try:
                return await self._make_link()
            except ConnectionLost:
                wait_s = _backoff_s(attempt)
                if asyncio.get_running_loop().time() + wait_s > deadline:
                    raise
                await asyncio.sleep(wait_s)
        raise AssertionError("count() does not end")

    async def _make_link(self) -> Link:
        """Connect, greet, and take up the subscription where it broke off."""
        try:
            async with asyncio.timeout(self._deadline_s):
                link = await open_link(self.endpoint, self._tls, self._on_event)
                try:
                    self.hello = await link.greet(self._name, self._key)
                    if self._follower.is_following:
                        await self._subscribe(link)
                except BaseException:
                    link.abort("the handshake failed")
                    raise
        except TimeoutError:
            raise ConnectionLost(f"no answer from {self.endpoint} in time") from None
        self._link = link
        self._refusal = None
        self._linked.set()
        return link

    async def _keep(self, link: Link) -> None:
        while True:
            await self._watch(link)
            link = await self._reconnect()

    async def _reconnect(self) -> Link:
        for attempt in count():
            try:
                return await self._make_link()
            except ControlError as error:
                # A key that is refused may be allowed again; meanwhile calls say why they fail.
                self._refusal = error
                self._linked.set()
                if error.code is ErrorCode.UNAUTHENTICATED:
                    await asyncio.sleep(random.uniform(REFUSED_WAIT_S, 1.5 * REFUSED_WAIT_S))
            except (ConnectionLost, ProtocolError):
                pass
            await asyncio.sleep(_backoff_s(attempt))
        raise AssertionError("count() does not end")

    async def _watch(self, link: Link) -> None:
        """Until the link is lost, or silent for too long."""
        loop = asyncio.get_running_loop()
        while not link.lost.done():
            await asyncio.wait([link.lost], timeout=PING_INTERVAL_S)
            silent_s = loop.time() - link.heard_at
            if silent_s >= 2 * PING_INTERVAL_S:
                link.abort(f"silent for {silent_s:.0f} s")
                await link.lost
            elif link.is_open and (self._follower.has_rested() or silent_s >= PING_INTERVAL_S / 2):
                await self._ping(link)

    async def _ping(self, link: Link) -> None:
        try:
            await link.call(Ping(), deadline_s=PING_INTERVAL_S, on_result=self._follower.reach)
        except (ConnectionLost, ControlError):
            pass  # the watch sees that nothing was heard

    # Events.

    def _on_event(self, event: Event) -> None:
        if isinstance(event.body, SessionClosed):
            return  # the link knows why it ends, and that is nobody's position
        is_wanted = self._follower.take(event)
        if is_wanted or not self._follower.has_fewer:
            return
        if self._trimmer is None or self._trimmer.done():
            self._trimmer = asyncio.create_task(self._trim())

    async def _open_stream(self, stream: EventStream) -> None:
        self._follower.add(stream)
        try:
            await self._resubscribe()
            stream.check()
        except BaseException:
            self._follower.discard(stream)
            raise

    async def _close_stream(self, stream: EventStream) -> None:
        self._follower.discard(stream)
        await self._trim()

    async def _trim(self) -> None:
        """Tell the daemon to send less, if it can be told now; that is worth no waiting."""
        if not self.is_connected:
            return
        try:
            await self._resubscribe()
        except (ConnectionLost, ControlError):
            pass  # the next link subscribes to what is wanted then

    async def _resubscribe(self) -> None:
        async with self._subscribing:
            if self._is_closed and not any(self._follower):
                return
            deadline = asyncio.get_running_loop().time() + self._deadline_s
            while not await self._is_resubscribed(deadline):
                pass  # the link broke meanwhile: the next one is waited for

    async def _is_resubscribed(self, deadline: float) -> bool:
        link = await self._linked_within(deadline - asyncio.get_running_loop().time())
        if self._follower.is_stale:
            try:
                await self._subscribe(link)
            except ConnectionLost:
                return False
        return True

    async def _subscribe(self, link: Link) -> None:
        assert self.hello is not None
        command, on_result = self._follower.ask(self.hello.epoch)
        try:
            await link.call(command, deadline_s=self._deadline_s, on_result=on_result)
        except BaseException as error:
            if not isinstance(error, ControlError) or error.code is ErrorCode.DEADLINE_EXCEEDED:
                # Two questions under way could lose what lies between their subscriptions.
                link.abort("events.subscribe was not answered")
            raise


def _backoff_s(attempt: int) -> float:
    """Full jitter, so that a fleet does not come back in step."""
    return random.uniform(0, min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2 ** min(attempt, 10)))
