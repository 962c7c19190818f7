"""Envelopes: maps from frames to typed requests, responses and events, and back.

Also where parameters become commands: the one place that turns a validation failure into the
`invalid_argument` answer with the path of the field.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from control.commands import AnyCommand
from control.errors import ControlError, ErrorCode, FrameMalformed, ProtocolError, invalid
from control.events import EVENTS, Event, EventBody, UnknownEvent
from control.frames import depth_of, encode_frame, encode_value
from control.types import METADATA_BYTES_MAX, METADATA_DEPTH_MAX

KEY_CHARS_MAX: Final = 64


class Request(msgspec.Struct, frozen=True, tag_field="t", tag="req", forbid_unknown_fields=True):
    """`p` is not looked into yet. `deadline_ms` counts from receipt."""

    id: Annotated[int, Meta(ge=0)]
    m: Annotated[str, Meta(min_length=1, max_length=64)]
    p: dict[str, Any]
    key: Annotated[str, Meta(min_length=1, max_length=KEY_CHARS_MAX)] | None = None
    deadline_ms: Annotated[int, Meta(ge=0)] | None = None


class ErrorBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """`err` of a response."""

    code: str
    message: str
    retry_after_ms: int | None = None
    detail: dict[str, Any] | None = None


class Response(msgspec.Struct, frozen=True, tag_field="t", tag="res"):
    """`p` when `ok`, else `err`."""

    id: int
    ok: bool
    p: dict[str, Any] | None = None
    err: ErrorBody | None = None


class EventEnvelope(msgspec.Struct, frozen=True, tag_field="t", tag="evt", omit_defaults=True):
    """`p` is converted by `m`, which a newer daemon may have invented."""

    epoch: str
    seq: int
    at: int
    m: str
    p: dict[str, Any]
    room: str | None = None


class BadRequest(Exception):
    """A request whose envelope is wrong but whose id is known, so that it can be answered."""

    def __init__(self, request_id: int, error: ControlError) -> None:
        super().__init__(error.message)
        self.request_id = request_id
        self.error = error


class Outcome(msgspec.Struct, frozen=True):
    """An answer without its id: `payload` is the encoded `p`, or `err` if there is an error `code`.

    It may be kept for long, so it does not hold the exception: that holds what was asked.
    """

    payload: bytes
    code: ErrorCode | None = None
    retry_after_ms: int | None = None


def parse_request(message: Mapping[str, Any]) -> Request:
    """Raises BadRequest when it can be answered, else FrameMalformed."""
    if message.get("t") != "req":
        raise FrameMalformed("not a request")
    try:
        return msgspec.convert(message, Request)
    except msgspec.ValidationError as error:
        request_id = message.get("id")
        if type(request_id) is int and request_id >= 0:
            raise BadRequest(request_id, _refused_field(error)) from error
        raise FrameMalformed("a request without an id") from error


def parse_command(kind: type[AnyCommand], parameters: dict[str, Any]) -> AnyCommand:
    """The typed command. Raises ControlError(invalid_argument) with the path in `detail.field`."""
    try:
        command: AnyCommand = msgspec.convert(parameters, kind)
    except msgspec.ValidationError as error:
        raise _refused_field(error) from error
    _check_metadata(getattr(command, "metadata", None))
    return command


def _check_metadata(metadata: dict[str, Any] | None) -> None:
    if metadata is None:
        return
    if depth_of(metadata) > METADATA_DEPTH_MAX:
        raise invalid("metadata", f"nested deeper than {METADATA_DEPTH_MAX}")
    size = len(encode_value(metadata))
    if size > METADATA_BYTES_MAX:
        raise invalid("metadata", f"{size} bytes encoded; at most {METADATA_BYTES_MAX}")


_AT = re.compile(r" - at `(?:key in )?\$\.?(?P<path>[^`]*)`$")
_NAMED = re.compile(r"(?:unknown|missing required) field `(?P<name>[^`]*)`")


def _refused_field(error: msgspec.ValidationError) -> ControlError:
    """msgspec writes paths as `$.a[0].b`, without the last name if that is unknown or absent."""
    text = str(error)
    at = _AT.search(text)
    path = at["path"] if at else ""
    message = text[: at.start()] if at else text
    named = _NAMED.search(message)
    if named:
        path = f"{path}.{named['name']}" if path else named["name"]
    return invalid(path or "p", message)


def success(result: object) -> Outcome:
    """The outcome of a command that was done; `result` is its result struct."""
    return Outcome(encode_value(result))


def failure(error: ControlError) -> Outcome:
    """The outcome of a command that was refused."""
    body = ErrorBody(error.code.value, error.message, error.retry_after_ms, error.detail or None)
    return Outcome(encode_value(body), error.code, error.retry_after_ms)


def encode_response(request_id: int, outcome: Outcome) -> bytes:
    """The frame that answers one request."""
    ok = outcome.code is None
    body = msgspec.Raw(outcome.payload)
    return encode_frame({"t": "res", "id": request_id, "ok": ok, "p" if ok else "err": body})


def encode_request(
    request_id: int,
    command: AnyCommand,
    *,
    key: str | None = None,
    deadline_ms: int | None = None,
) -> bytes:
    """The frame that asks for one command."""
    message: dict[str, Any] = {"t": "req", "id": request_id, "m": command.method, "p": command}
    if key is not None:
        message["key"] = key
    if deadline_ms is not None:
        message["deadline_ms"] = deadline_ms
    return encode_frame(message)


def encode_event(event: Event) -> bytes:
    """The frame of an event. Encode once, send to many."""
    message: dict[str, Any] = {"t": "evt", "epoch": event.epoch, "seq": event.seq, "at": event.at}
    message["m"] = event.body.method
    if event.room is not None:
        message["room"] = event.room
    message["p"] = event.body
    return encode_frame(message)


def parse_reply(message: Mapping[str, Any]) -> Response | Event:
    """What a daemon sent. Raises FrameMalformed; unknown events become `UnknownEvent`."""
    try:
        reply = msgspec.convert(message, Response | EventEnvelope)
    except msgspec.ValidationError as error:
        raise FrameMalformed(f"neither a response nor an event: {error}") from error
    return reply if isinstance(reply, Response) else _typed_event(reply)


def _typed_event(envelope: EventEnvelope) -> Event:
    return Event(
        epoch=envelope.epoch,
        seq=envelope.seq,
        at=envelope.at,
        room=envelope.room,
        body=_typed_body(envelope.m, envelope.p),
    )


def _typed_body(name: str, fields: dict[str, Any]) -> EventBody:
    kind = EVENTS.get(name)
    if kind is not None:
        try:
            return msgspec.convert(fields, kind)
        except msgspec.ValidationError:
            pass  # a newer daemon changed it beyond what this type can hold
    return UnknownEvent(name=name, fields=fields)


def error_of(body: ErrorBody | None) -> ControlError:
    """The exception that a failed response stands for; codes unknown here become `internal`."""
    if body is None:
        raise ProtocolError("a failed response without its error")
    detail = dict(body.detail or {})
    try:
        code = ErrorCode(body.code)
    except ValueError:
        code, detail["code"] = ErrorCode.INTERNAL, body.code
    return ControlError(code, body.message, retry_after_ms=body.retry_after_ms, detail=detail)


def result_of(command: AnyCommand, response: Response) -> Any:
    """The typed result. Raises the ControlError it carries, or ProtocolError if unreadable."""
    if not response.ok:
        raise error_of(response.err)
    try:
        return msgspec.convert(response.p, command.result)
    except msgspec.ValidationError as error:
        raise ProtocolError(f"an unreadable result of {command.method}: {error}") from error
