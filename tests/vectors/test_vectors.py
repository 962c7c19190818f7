"""The recorded frames are what server and SDK say today, read and written either way."""

from __future__ import annotations

import asyncio
from typing import Any

import msgpack
import pytest
from msgspec.structs import replace

from control.commands import COMMANDS, SESSION_COMMANDS, AnyCommand, ServerInfoResult
from control.envelope import (
    Response,
    encode_event,
    encode_request,
    encode_response,
    failure,
    parse_command,
    parse_reply,
    parse_request,
    result_of,
    success,
)
from control.errors import ControlError, ErrorCode
from control.events import EVENTS, Event, UnknownEvent
from control.frames import decode_map
from tests.control.samples import COMMAND_SAMPLES, ERROR_SAMPLES
from tests.vectors import make

FILES = ("session.json", "commands.json", "errors.json")
EXCHANGES = [vector for name in FILES for vector in make.load(name)]
SHOWN = [
    pytest.param(vector[part], id=f"{name}-{number}-{part}")
    for name in (*FILES, "events.json")
    for number, vector in enumerate(make.load(name))
    for part in ("request", "response", "event")
    if part in vector
]


def body(frame: bytes) -> bytes:
    """Without the length, which is checked."""
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4
    return frame[4:]


def asked(vector: make.Vector) -> AnyCommand:
    """The command that a request frame carries."""
    request = parse_request(decode_map(body(bytes.fromhex(vector["request"]["frame"]))))
    kind = COMMANDS.get(request.m) or SESSION_COMMANDS[request.m]
    return parse_command(kind, request.p)


async def test_the_server_still_says_these_bytes() -> None:
    """To the same requests at the same time; else `python -m tests.vectors.make` and look."""
    for name, content in (await make.record()).items():
        assert (make.FOLDER / name).read_text(encoding="utf-8") == content, name


async def test_a_subscriber_gets_the_events_in_these_bytes() -> None:
    """Numbered as they were published."""
    vectors = make.load("events.json")
    async with make.server(make.Scripted()) as running:
        endpoint = await running.start("127.0.0.1:0")
        host, _, port = str(endpoint).rpartition(":")
        caller = make.Caller(*await asyncio.open_connection(host, int(port)))
        hello, auth = make.frames(make.load("session.json"), "request")[:2]
        await caller.ask(hello)
        await caller.ask(auth)
        await caller.ask(encode_request(3, SESSION_COMMANDS["events.subscribe"]()))
        for frame in make.frames(vectors, "event"):
            event = parse_reply(decode_map(body(frame)))
            assert isinstance(event, Event)
            running.publish(event.room, event.body)
            assert await caller.receive() == frame
        await caller.close()


@pytest.mark.parametrize("vector", EXCHANGES)
def test_a_request_is_the_same_read_and_written(vector: make.Vector) -> None:
    frame = bytes.fromhex(vector["request"]["frame"])
    request = parse_request(decode_map(body(frame)))
    command = asked(vector)
    again = encode_request(request.id, command, key=request.key, deadline_ms=request.deadline_ms)
    assert again == frame


@pytest.mark.parametrize("vector", EXCHANGES)
def test_a_response_is_the_same_read_and_written(vector: make.Vector) -> None:
    frame = bytes.fromhex(vector["response"]["frame"])
    response = parse_reply(decode_map(body(frame)))
    assert isinstance(response, Response)
    try:
        outcome = success(result_of(asked(vector), response))
    except ControlError as error:
        outcome = failure(error)
    assert encode_response(response.id, outcome) == frame


@pytest.mark.parametrize("frame", make.frames(make.load("events.json"), "event"))
def test_an_event_is_the_same_read_and_written(frame: bytes) -> None:
    event = parse_reply(decode_map(body(frame)))
    assert isinstance(event, Event) and not isinstance(event.body, UnknownEvent)
    assert encode_event(event) == frame


def test_values_are_those_of_the_samples() -> None:
    """What was read is what was meant."""
    vectors = make.load("commands.json")
    for vector, (command, result) in zip(vectors, COMMAND_SAMPLES, strict=True):
        response = parse_reply(decode_map(bytes.fromhex(vector["response"]["frame"])[4:]))
        assert isinstance(response, Response)
        read = result_of(command, response)
        if isinstance(read, ServerInfoResult):
            # The server adds limits of its own.
            assert read.limits.items() >= result.limits.items()
            read = replace(read, limits=result.limits, use=result.use)
        assert (asked(vector), read) == (command, result)


@pytest.mark.parametrize("part", SHOWN)
def test_the_map_says_what_another_reader_finds_in_the_frame(part: dict[str, Any]) -> None:
    """By msgpack alone."""
    frame = bytes.fromhex(part["frame"])
    assert make.readable(msgpack.unpackb(body(frame))) == part["map"]


def test_there_is_one_of_everything() -> None:
    """Commands, those of the session, events and error codes."""
    methods = [vector["request"]["map"]["m"] for vector in EXCHANGES]
    assert set(methods) == {*COMMANDS, *SESSION_COMMANDS}
    assert {vector["event"]["map"]["m"] for vector in make.load("events.json")} == set(EVENTS)
    codes = [vector["response"]["map"]["err"]["code"] for vector in make.load("errors.json")]
    assert codes == [code.value for code in ERROR_SAMPLES] and set(codes) == set(ErrorCode)
