"""One accepted connection: bytes in, actions of the session done, frames out.

It reads no more than it can answer: with too many commands in flight, or too many answers unread,
it stops reading until some are gone. A long pipeline is handled in turns, so that the loop, which
may also carry media, is never held for long. However a connection ends, its commands go on.
"""

from __future__ import annotations

import asyncio
import math
from functools import partial
from typing import Final, cast

from control.auth import CHALLENGE_BYTES, Scopes
from control.certificates import names_in
from control.commands import EventsSubscribe, Ping, PingResult
from control.envelope import (
    BadRequest,
    Outcome,
    encode_response,
    failure,
    parse_request,
    success,
)
from control.errors import RETRY_AFTER_MS, ControlError, ErrorCode, ProtocolError
from control.events import EventBody
from control.frames import (
    FRAME_BYTES_MAX,
    FRAME_BYTES_MAX_UNAUTHENTICATED,
    FrameDecoder,
    decode_map,
)
from control.hub import Hub
from control.lockout import origin_of
from control.outbox import WRITE_BYTES, Outbox
from control.requests import REQUEST
from control.session import Action, Answer, Close, Refusal, Run, Session

# A small request costs some 20 us, so a turn is about a millisecond.
FRAMES_PER_TURN: Final = 32
# Answers and events that wait for a slow reader before its own requests have to wait too.
UNREAD_BYTES: Final = 262_144
# Commands whose answers may fill a frame, at once: with their requests read no faster, whoever asks
# for many is not cut off for what it has had no chance to read.
BULKY_MAX: Final = 2
# How long a peer has to take in `session.closed` and hang up.
CLOSE_GRACE_S: Final = 1.0


class Connection(asyncio.Protocol):
    """Made by the server for each peer; lives until `connection_lost`."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._loop = asyncio.get_running_loop()
        self._decoder = FrameDecoder(FRAME_BYTES_MAX_UNAUTHENTICATED)
        self._number = next(hub.numbers)
        self._in_flight = 0
        self._bulky = 0  # of these
        self._is_reading = True
        self._has_said_goodbye = False
        self._turn: asyncio.Handle | None = None
        self._flush: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._controls: Scopes | None = None  # as the hub's controllers know it

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the peer, or tell it which limit is reached."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=WRITE_BYTES)
        self._outbox = Outbox(self._transport.write, self._hub.limits.backlog_bytes)
        self._origin = _origin_of(self._transport)
        names = names_in(self._transport.get_extra_info("peercert"))
        challenge = self._hub.entropy(CHALLENGE_BYTES)
        self._session = Session(self._hub.greeting, self._hub.keys, challenge, names)
        limit = self._hub.exceeded()
        if self._hub.is_overrun:
            self._hub.counters["connections_refused"] += 1
            self._session.close(ErrorCode.RESOURCE_EXHAUSTED, "")
            self._transport.abort()
            return
        self._hub.open.add(self)
        if self._hub.is_closing:
            self.close(ErrorCode.UNAVAILABLE, "the daemon is stopping")
            return
        if limit is not None:
            self._hub.counters["connections_refused"] += 1
            message = f"too many connections: {limit}"
            self.close(ErrorCode.RESOURCE_EXHAUSTED, message, RETRY_AFTER_MS)
            return
        if self.close_if_locked_out(self._loop.time()):
            self._hub.counters["connections_locked_out"] += 1
            return
        self._hub.counters["connections"] += 1
        self._hub.strangers.add(self)
        self._timer = self._loop.call_later(
            self._hub.limits.authenticate_within_s, self._on_authentication_timeout
        )

    def data_received(self, data: bytes) -> None:
        """Take in bytes; a closed session only discards them."""
        if self._session.is_closed:
            return
        self._decoder.receive_data(data)
        if self._turn is None and self._is_reading:
            self._take_turn()

    def pause_writing(self) -> None:
        """The transport has enough."""
        self._outbox.block()

    def resume_writing(self) -> None:
        """The peer reads again."""
        self._outbox.unblock()
        if self._outbox.is_idle and self._hub.feed.is_behind(self):
            self._hub.replays.add(self)
        self._read_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the peer; its commands go on."""
        self._session.close(ErrorCode.UNAVAILABLE, "")
        self._leave()
        self._outbox.clear()
        self._hub.open.discard(self)
        self._hub.on_lost()

    # What the feed and the server call.

    def sees(self, room: str | None) -> bool:
        """Whether events of this room may go to this peer."""
        return self._session.scopes.sees(room)

    def send_event(self, frame: bytes) -> None:
        """Queue one event; a peer that reads too slowly is cut off."""
        if not self._session.is_closed:
            self._hub.counters["events_sent"] += 1
            self._send(frame)

    def replay(self) -> bool:
        """Send one slice of what this peer missed. True: it would take another one at once.

        It is never more than the transport takes, so being far behind is no slow reading.
        """
        self._outbox.flush()
        if not self._outbox.is_idle or self._transport.is_closing():
            return False
        if not self._hub.feed.is_behind(self):
            return False  # it has subscribed anew since it got its turn
        frames = self._hub.feed.catch_up(self)
        self._hub.counters["events_sent"] += len(frames)
        self._hub.counters["events_replayed"] += len(frames)
        if frames:
            self._outbox.put(b"".join(frames))
            self._outbox.flush()
        return self._hub.feed.is_behind(self) and self._outbox.is_idle

    def close(self, code: ErrorCode, message: str, retry_after_ms: int | None = None) -> None:
        """Say why, and hang up. The peer has CLOSE_GRACE_S to take it in."""
        self._do(self._session.close(code, message, retry_after_ms))

    def close_if_locked_out(self, now: float) -> bool:
        """Hang up on a stranger from where too many wrong proofs came; whether that was so."""
        if self._origin is None:
            return False
        remaining_s = self._hub.lockout.remaining_s(self._origin, now)
        if remaining_s:
            message = "too many wrong proofs from this address"
            self.close(ErrorCode.RESOURCE_EXHAUSTED, message, math.ceil(remaining_s * 1_000))
        return remaining_s > 0

    def follow_keys(self) -> None:
        """The hub's keys have changed."""
        self._do(self._session.follow_keys())
        if self._session.is_ready:
            self._control(self._session.scopes)

    def abort(self) -> None:
        """Hang up at once."""
        self._transport.abort()

    # Reading, in turns.

    def _take_turn(self) -> None:
        self._turn = None
        for _ in range(FRAMES_PER_TURN):
            if self._session.is_closed:
                return
            if self._is_busy:
                self._pause_reading()
                return
            if not self._receive_next():
                self._resume_reading()
                return
        self._pause_reading()
        self._turn = self._loop.call_soon(self._take_turn)

    @property
    def _is_busy(self) -> bool:
        return (
            self._in_flight >= self._hub.limits.in_flight
            or self._bulky >= BULKY_MAX
            or self._outbox.waiting_bytes > UNREAD_BYTES
        )

    def _read_on(self) -> None:
        """Take the next turn if reading was given up and need not be any more."""
        if self._is_reading or self._turn is not None or self._is_busy:
            return
        if not self._session.is_closed:
            self._turn = self._loop.call_soon(self._take_turn)

    def _pause_reading(self) -> None:
        if self._is_reading:
            self._is_reading = False
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if not self._is_reading:
            self._is_reading = True
            self._transport.resume_reading()

    def _receive_next(self) -> bool:
        """Handle one frame. False: there is none yet."""
        try:
            payload = self._decoder.next_payload()
            if payload is None:
                return False
            self._do(self._judge(payload))
        except ProtocolError as error:
            self._hub.counters["protocol_errors"] += 1
            self.close(error.code, str(error))
        except Exception as error:
            self._hub.counters["bugs"] += 1
            self._hub.log("control_session_failed", exc_info=error)
            self.close(ErrorCode.INTERNAL, "the session failed; see the log")
        return True

    def _judge(self, payload: bytes) -> list[Action]:
        self._hub.counters["requests"] += 1
        try:
            request = parse_request(decode_map(payload))
        except BadRequest as bad:
            return self._session.refuse(bad.request_id, bad.error)
        return self._session.receive(request)

    # Doing what the session says.

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Answer):
                self._respond(action.request_id, success(action.result))
            elif isinstance(action, Refusal):
                self._respond(action.request_id, failure(action.error))
            elif isinstance(action, Close):
                self._say_goodbye(action.event)
            else:
                self._run(action)
        if self._session.is_ready and self in self._hub.strangers:
            self._welcome()

    def _welcome(self) -> None:
        self._hub.strangers.discard(self)
        self._control(self._session.scopes)
        self._decoder.limit = FRAME_BYTES_MAX
        if self._timer is not None:
            self._timer.cancel()

    def _control(self, scopes: Scopes | None) -> None:
        before, self._controls = self._controls, scopes
        self._hub.controllers.change(before, scopes)

    def _run(self, run: Run) -> None:
        if isinstance(run.command, EventsSubscribe):
            self._subscribe(run.request.id, run.command)
            return
        if isinstance(run.command, Ping):
            reached = self._hub.feed.reached(self)
            self._respond(run.request.id, success(PingResult(position=reached)))
            return
        self._in_flight += 1
        self._bulky += run.command.is_bulky
        respond = partial(self._on_outcome, run)
        name = REQUEST.set(f"{self._number}.{run.request.id}")
        self._hub.dispatcher.dispatch(run, self._session.key_id, respond)
        REQUEST.reset(name)

    def _on_outcome(self, run: Run, outcome: Outcome) -> None:
        self._in_flight -= 1
        self._bulky -= run.command.is_bulky
        self._respond(run.request.id, outcome)
        self._read_on()

    def _subscribe(self, request_id: int, command: EventsSubscribe) -> None:
        try:
            gap = self._hub.feed.subscribe(self, command)
        except ControlError as error:
            self._respond(request_id, failure(error))
            return
        self._respond(request_id, success(self._hub.feed.position))
        if gap is not None:
            self._send(self._hub.feed.frame_now(gap))
        if self._hub.feed.is_behind(self):
            self._hub.counters["replays"] += 1
            self._hub.replays.add(self)

    # Writing.

    def _respond(self, request_id: int, outcome: Outcome) -> None:
        if outcome.code is None:
            self._hub.counters["responses_ok"] += 1
        else:
            self._hub.counters[f"errors_{outcome.code.value}"] += 1
        self._send(encode_response(request_id, outcome))

    def _send(self, frame: bytes) -> None:
        if self._transport.is_closing() or self._has_said_goodbye:
            return
        if not self._outbox.put(frame):
            self._cut_off()
        elif self._flush is None:
            self._flush = self._loop.call_soon(self._on_flush)

    def _on_flush(self) -> None:
        self._flush = None
        if not self._transport.is_closing():
            self._outbox.flush()
            self._read_on()

    def _cut_off(self) -> None:
        self._hub.counters["cutoffs"] += 1
        self._outbox.clear()
        self.close(ErrorCode.RESOURCE_EXHAUSTED, "this connection is read too slowly")

    def _say_goodbye(self, event: EventBody) -> None:
        """The last word, then end of file. What the peer still sends is discarded until it hangs
        up: closing on unread bytes would reset the connection and could take the word with it."""
        self._has_said_goodbye = True
        self._leave()
        if self._session.is_proven_wrong:
            self._hub.note_wrong_proof(self._origin, self._loop.time())
        if self._transport.is_closing():
            return
        self._outbox.finish(self._hub.feed.frame_now(event))
        self._resume_reading()
        self._end_writing()
        self._timer = self._loop.call_later(CLOSE_GRACE_S, self._transport.abort)

    def _end_writing(self) -> None:
        try:
            if self._transport.can_write_eof():
                self._transport.write_eof()
        except OSError:
            # The peer has reset the connection, and the transport does not know it yet.
            self._transport.abort()

    def _leave(self) -> None:
        """No more part of anything shared, apart from the list of open connections."""
        self._hub.feed.unsubscribe(self)
        self._hub.replays.discard(self)
        self._hub.strangers.discard(self)
        if self._controls is not None:
            self._control(None)
        for handle in (self._timer, self._turn, self._flush):
            if handle is not None:
                handle.cancel()

    def _on_authentication_timeout(self) -> None:
        self._hub.counters["authentication_timeouts"] += 1
        self.close(ErrorCode.DEADLINE_EXCEEDED, "not authenticated in time")


def _origin_of(transport: asyncio.Transport) -> str | None:
    """What a peer's wrong proofs are counted by; None on a Unix socket, where files say who may."""
    name = transport.get_extra_info("peername")
    return origin_of(name[0]) if isinstance(name, tuple) else None
