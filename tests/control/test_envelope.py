"""Envelopes: maps to typed values and back, and the paths in refusals."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest

from control.commands import (
    EventsSubscribe,
    ParticipantJoin,
    RoomCreate,
    RoomGet,
    RoomResult,
)
from control.envelope import (
    BadRequest,
    Response,
    encode_event,
    encode_request,
    encode_response,
    error_of,
    failure,
    parse_command,
    parse_reply,
    parse_request,
    result_of,
    success,
)
from control.errors import ControlError, ErrorCode, FrameMalformed, ProtocolError
from control.events import Event, EventsGap, HandLowered, ParticipantLeft, UnknownEvent
from control.types import METADATA_BYTES_MAX, LeaveReason
from tests.control.fake_daemon import room_state


def wire(frame: bytes) -> dict[str, Any]:
    """The map in a frame, by msgpack alone."""
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    message: dict[str, Any] = msgpack.unpackb(frame[4:])
    return message


def test_a_request_is_read() -> None:
    """With and without its optional fields."""
    plain = parse_request({"t": "req", "id": 2**64 - 1, "m": "ping", "p": {}})
    assert (plain.id, plain.m, plain.p, plain.key, plain.deadline_ms) == (
        2**64 - 1,
        "ping",
        {},
        None,
        None,
    )
    full = parse_request({"t": "req", "id": 0, "m": "x", "p": {}, "key": "k", "deadline_ms": 5})
    assert (full.key, full.deadline_ms) == ("k", 5)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"m": 5}, "m"),
        ({"m": ""}, "m"),
        ({"p": []}, "p"),
        ({"key": "k" * 65}, "key"),
        ({"deadline_ms": -1}, "deadline_ms"),
        ({"deadline": 5}, "deadline"),
    ],
)
def test_a_wrong_request_with_an_id_can_be_answered(fields: dict[str, Any], field: str) -> None:
    """The answer names the field of the envelope."""
    with pytest.raises(BadRequest) as bad:
        parse_request({"t": "req", "id": 9, "m": "ping", "p": {}, **fields})
    assert bad.value.request_id == 9
    assert bad.value.error.code is ErrorCode.INVALID_ARGUMENT
    assert bad.value.error.detail == {"field": field}


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"t": "res", "id": 1, "ok": True, "p": {}},
        {"t": "req", "m": "ping", "p": {}},
        {"t": "req", "id": -1, "m": "ping", "p": {}},
        {"t": "req", "id": True, "m": "ping", "p": {}},
        {"t": "req", "id": "1", "m": "ping", "p": {}},
    ],
)
def test_what_cannot_be_answered_is_malformed(message: dict[str, Any]) -> None:
    """Without an id there is nobody to tell."""
    with pytest.raises(FrameMalformed):
        parse_request(message)


@pytest.mark.parametrize(
    ("kind", "parameters", "field"),
    [
        (RoomCreate, {}, "room"),
        (RoomCreate, {"room": "x", "slots": 9}, "slots"),
        (RoomCreate, {"room": "x", "slots": "3"}, "slots"),
        (RoomCreate, {"room": "x", "slot": 3}, "slot"),
        (RoomCreate, {"room": ""}, "room"),
        (RoomCreate, {"room": "a\nb"}, "room"),
        (RoomCreate, {"room": "a\n"}, "room"),
        (RoomCreate, {"room": "a\x9b2J"}, "room"),
        (RoomCreate, {"room": "x" * 129}, "room"),
        (ParticipantJoin, {"room": "x", "participant": "p", "role": "king", "offer": "o"}, "role"),
        (EventsSubscribe, {"rooms": ["a", 5]}, "rooms[1]"),
        (EventsSubscribe, {"since": {"epoch": "e"}}, "since.seq"),
        (EventsSubscribe, {"since": {"epoch": "e", "seq": -1}}, "since.seq"),
    ],
)
def test_a_bad_parameter_is_refused_with_its_path(
    kind: type[RoomCreate], parameters: dict[str, Any], field: str
) -> None:
    """And the message does not repeat msgspec's notation."""
    with pytest.raises(ControlError) as refused:
        parse_command(kind, parameters)
    assert refused.value.code is ErrorCode.INVALID_ARGUMENT
    assert refused.value.detail == {"field": field}
    assert "`$" not in refused.value.message


def test_metadata_is_limited_in_size_and_depth() -> None:
    """It must fit into events and snapshots."""
    deep: dict[str, Any] = {}
    for _ in range(8):
        deep = {"a": deep}
    for metadata in (deep, {"a": "x" * METADATA_BYTES_MAX}):
        with pytest.raises(ControlError) as refused:
            parse_command(RoomCreate, {"room": "x", "metadata": metadata})
        assert refused.value.detail == {"field": "metadata"}
    fits = parse_command(RoomCreate, {"room": "x", "metadata": deep["a"]})
    assert fits == RoomCreate(room="x", metadata=deep["a"])


def test_requests_on_the_wire() -> None:
    """Only what is set is sent."""
    frame = encode_request(3, RoomCreate(room="x", slots=2), key="k", deadline_ms=10)
    parameters = {"room": "x", "slots": 2}
    expected = {"t": "req", "id": 3, "m": "room.create", "p": parameters}
    assert wire(frame) == {**expected, "key": "k", "deadline_ms": 10}
    assert wire(encode_request(1, RoomGet(room="x"))) == {
        "t": "req",
        "id": 1,
        "m": "room.get",
        "p": {"room": "x"},
    }


def test_responses_on_the_wire() -> None:
    """`p` when it was done, else `err` with what is known."""
    done = encode_response(4, success(RoomResult(room=room_state("x"))))
    assert wire(done)["ok"] is True and wire(done)["p"]["room"]["counts"] == {
        "moderator": 0,
        "speaker": 0,
        "listener": 0,
    }
    error = ControlError("conflict", "no", retry_after_ms=5, detail={"field": "x"})
    assert wire(encode_response(5, failure(error))) == {
        "t": "res",
        "id": 5,
        "ok": False,
        "err": {
            "code": "conflict",
            "message": "no",
            "retry_after_ms": 5,
            "detail": {"field": "x"},
        },
    }
    plain = wire(encode_response(6, failure(ControlError("internal", "no"))))
    assert plain["err"] == {"code": "internal", "message": "no"}


def test_events_on_the_wire() -> None:
    """`room` is absent for events of the daemon itself; optional fields are absent, not null."""
    left = ParticipantLeft(participant="p", reason=LeaveReason.REMOVED, generation=2)
    event = Event(epoch="e", seq=3, at=5, room="r", body=left)
    assert wire(encode_event(event)) == {
        "t": "evt",
        "epoch": "e",
        "seq": 3,
        "at": 5,
        "m": "participant.left",
        "room": "r",
        "p": {"participant": "p", "reason": "removed", "generation": 2},
    }
    gap = wire(
        encode_event(Event(epoch="e", seq=3, at=5, room=None, body=EventsGap(from_=1, to=3)))
    )
    assert "room" not in gap and gap["p"] == {"from": 1, "to": 3}
    assert parse_reply(gap) == Event(
        epoch="e", seq=3, at=5, room=None, body=EventsGap(from_=1, to=3)
    )


def test_unknown_events_are_kept() -> None:
    """New names, and known names that have changed beyond recognition."""
    envelope = {"t": "evt", "epoch": "e", "seq": 1, "at": 2, "room": "r"}
    new = parse_reply({**envelope, "m": "stage.invited", "p": {"participant": "p"}})
    assert isinstance(new, Event)
    assert new.body == UnknownEvent(name="stage.invited", fields={"participant": "p"})
    changed = parse_reply({**envelope, "m": "hand.lowered", "p": {"participant": 5}})
    assert isinstance(changed, Event)
    assert changed.body == UnknownEvent(name="hand.lowered", fields={"participant": 5})
    more = parse_reply({**envelope, "m": "hand.lowered", "p": {"participant": "p", "more": 1}})
    assert isinstance(more, Event) and more.body == HandLowered(participant="p")


def test_results_are_typed_or_raised() -> None:
    """A failed response is its error; a result of another shape is the daemon's fault."""
    command = RoomGet(room="x")
    refused = Response(id=1, ok=False, err=None)
    with pytest.raises(ProtocolError):
        result_of(command, refused)
    with pytest.raises(ProtocolError, match="room.get"):
        result_of(command, Response(id=1, ok=True, p={"room": 5}))


def test_unknown_error_codes_become_internal() -> None:
    """A newer daemon's code is kept in the detail."""
    reply = parse_reply({"t": "res", "id": 1, "ok": False, "err": {"code": "new", "message": "m"}})
    assert isinstance(reply, Response)
    error = error_of(reply.err)
    assert error.code is ErrorCode.INTERNAL and error.detail == {"code": "new"}


@pytest.mark.parametrize("message", [{}, {"t": "req"}, {"t": "res"}, {"t": "evt", "p": {}}])
def test_what_is_no_reply_is_malformed(message: dict[str, Any]) -> None:
    """A client does not guess."""
    with pytest.raises(FrameMalformed):
        parse_reply(message)
