"""Records the vectors: `python -m tests.vectors.make` writes the JSON files beside this one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgpack

from control.auth import Key, compute_mac
from control.commands import AnyCommand, Auth, EventsSubscribe, Hello, Ping, RoomGet
from control.envelope import encode_event, encode_request
from control.events import Event
from control.server import Server
from tests.control.samples import AT_MS, COMMAND_SAMPLES, ERROR_SAMPLES, EVENT_SAMPLES

FOLDER: Final = Path(__file__).parent
EPOCH: Final = "e1"
SECRET: Final = b"a secret of thirty-two bytes ..."
KEY: Final = Key("backend", SECRET, ("admin",))
CHALLENGE: Final = bytes(range(32))
PREFIX_BYTES: Final = 4

Vector = dict[str, Any]


class Scripted:
    """A handler that gives, or raises, what it is told to."""

    def __init__(self) -> None:
        self.answer: Any = None

    async def submit(self, command: AnyCommand) -> Any:
        """The next answer."""
        return self.answer


def server(handler: Scripted) -> Server:
    """One whose every byte is known beforehand."""
    return Server(
        handler,
        epoch=EPOCH,
        node="n1",
        version="rostrum/1.2.3",
        keys=[KEY],
        entropy=lambda size: CHALLENGE[:size],
        wall_ms=lambda: AT_MS,
    )


class Caller:
    """A connection that speaks bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, frame: bytes) -> bytes:
        """Send a frame, and give the one that comes."""
        self._writer.write(frame)
        return await self.receive()

    async def receive(self) -> bytes:
        """The next frame, whole."""
        async with asyncio.timeout(5.0):
            prefix = await self._reader.readexactly(PREFIX_BYTES)
            return prefix + await self._reader.readexactly(int.from_bytes(prefix, "big"))

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()
        await self._writer.wait_closed()


def told(frame: bytes) -> Vector:
    """A frame as hex, and as what it says."""
    return {"frame": frame.hex(), "map": readable(msgpack.unpackb(frame[PREFIX_BYTES:]))}


def readable(value: Any) -> Any:
    """A value as JSON can hold it."""
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, dict):
        return {name: readable(one) for name, one in value.items()}
    return [readable(one) for one in value] if isinstance(value, list) else value


def session_requests() -> list[tuple[str, AnyCommand]]:
    """What a session begins with, in order."""
    mac = compute_mac(SECRET, CHALLENGE, KEY.key_id)
    return [
        ("hello: the daemon hands out a challenge", Hello(versions=[1], client="vectors")),
        ("auth: HMAC-SHA256 over challenge and key id", Auth(key_id=KEY.key_id, mac=mac)),
        ("ping", Ping()),
        (
            "events.subscribe: events of one room and two kinds",
            EventsSubscribe(rooms=["lobby"], types=["hand.*", "role.changed"]),
        ),
    ]


async def record_session(caller: Caller) -> list[Vector]:
    """hello, auth, ping, events.subscribe on a new connection."""
    vectors: list[Vector] = []
    for number, (says, command) in enumerate(session_requests(), 1):
        frame = encode_request(number, command)
        answer = await caller.ask(frame)
        vectors.append({"says": says, "request": told(frame), "response": told(answer)})
    return vectors


async def record_commands(caller: Caller, handler: Scripted) -> list[Vector]:
    """Every command, with a key and a deadline where it changes something."""
    vectors: list[Vector] = []
    for number, (command, result) in enumerate(COMMAND_SAMPLES, 100):
        envelope: Any = {"key": f"k-{number}", "deadline_ms": 10_000} if command.mutates else {}
        frame = encode_request(number, command, **envelope)
        handler.answer = result
        answer = await caller.ask(frame)
        vectors.append({"says": command.method, "request": told(frame), "response": told(answer)})
    return vectors


async def record_errors(caller: Caller, handler: Scripted) -> list[Vector]:
    """Every error code."""
    vectors: list[Vector] = []
    for number, (code, error) in enumerate(ERROR_SAMPLES.items(), 200):
        frame = encode_request(number, RoomGet(room="lobby"))
        handler.answer = error
        answer = await caller.ask(frame)
        vectors.append({"says": code.value, "request": told(frame), "response": told(answer)})
    return vectors


def event_vectors() -> list[Vector]:
    """Every event, numbered from 1."""
    vectors: list[Vector] = []
    for name, bodies in EVENT_SAMPLES.items():
        for body in bodies:
            is_of_daemon = name.split(".")[0] in ("server", "events", "session")
            is_for_room = getattr(body, "migrate_by", None) is not None
            room = "lobby" if is_for_room or not is_of_daemon else None
            number = len(vectors) + 1
            event = Event(epoch=EPOCH, seq=number, at=AT_MS, room=room, body=body)
            vectors.append({"says": name, "event": told(encode_event(event))})
    return vectors


async def record() -> dict[str, str]:
    """The content of each file."""
    handler = Scripted()
    async with server(handler) as running:
        endpoint = await running.start("127.0.0.1:0")
        host, _, port = str(endpoint).rpartition(":")
        caller = Caller(*await asyncio.open_connection(host, int(port)))
        session = await record_session(caller)
        commands = await record_commands(caller, handler)
        errors = await record_errors(caller, handler)
        await caller.close()
    key = {"key_id": KEY.key_id, "secret": {"hex": SECRET.hex()}}
    return {
        "session.json": _text({**key, "vectors": session}),
        "commands.json": _text({"vectors": commands}),
        "errors.json": _text({"vectors": errors}),
        "events.json": _text({"vectors": event_vectors()}),
    }


def _text(content: Vector) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def load(name: str) -> list[Vector]:
    """The vectors of a file."""
    vectors: list[Vector] = json.loads((FOLDER / name).read_text(encoding="utf-8"))["vectors"]
    return vectors


def frames(vectors: Iterable[Vector], part: str) -> list[bytes]:
    """The frames of one part of vectors."""
    return [bytes.fromhex(vector[part]["frame"]) for vector in vectors if part in vector]


def main() -> None:
    """Write the files."""
    for name, content in asyncio.run(record()).items():
        (FOLDER / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
