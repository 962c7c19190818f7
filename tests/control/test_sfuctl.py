"""`sfuctl` as its users see it: output, exit status, one line for each refusal."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from control import sfuctl
from control.auth import Key
from control.events import EventBody, HandLowered
from control.server import Server
from tests.control.fake_daemon import FakeDaemon

KEY = Key("ops", b"0123456789abcdef", ("admin",))
# Control characters and right-to-left overrides are what a hostile name would hold.
HOSTILE = "\N{RIGHT-TO-LEFT OVERRIDE}evil\x1b[2J"


class Running(NamedTuple):
    """A server on a thread of its own, since sfuctl brings its own loop."""

    address: str
    daemon: FakeDaemon
    publish: Callable[[str | None, EventBody], None]
    wait_until_subscribed: Callable[[], None]


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5.0
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Done(NamedTuple):
    """What one run of sfuctl gave."""

    status: int
    out: str
    err: str


@contextlib.contextmanager
def running(*keys: Key) -> Iterator[Running]:
    """Serve a fake daemon until the block ends."""
    loop = asyncio.new_event_loop()
    daemon = FakeDaemon()
    server = Server(daemon, epoch="e1", keys=keys, wall_ms=lambda: 1_700_000_000_000)
    endpoint = loop.run_until_complete(server.start("127.0.0.1:0"))
    thread = threading.Thread(target=loop.run_forever)

    def publish(room: str | None, body: EventBody) -> None:
        loop.call_soon_threadsafe(server.publish, room, body)

    thread.start()
    try:
        yield Running(
            str(endpoint),
            daemon,
            publish,
            lambda: _wait_until(lambda: server.counters().get("responses_ok", 0) >= 2),
        )
    finally:
        asyncio.run_coroutine_threadsafe(server.close(within_s=0.2), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture
def server() -> Iterator[Running]:
    """A server without keys."""
    with running() as one:
        yield one


Sfuctl = Callable[..., Done]


@pytest.fixture
def run(
    server: Running, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Sfuctl:
    """Run sfuctl against the server, as from a shell with SFUCTL_ADDRESS set."""
    monkeypatch.setenv("SFUCTL_ADDRESS", server.address)

    def call(*arguments: str) -> Done:
        try:
            status = sfuctl.main(arguments)
        except SystemExit as exit_:
            status = int(exit_.code or 0)
        return Done(status, *capsys.readouterr())

    return call


def lines(text: str) -> list[list[str]]:
    """The words of each line."""
    return [line.split() for line in text.splitlines()]


def test_rooms_are_tables(run: Sfuctl) -> None:
    """Aligned, with the same heading for one and for many."""
    created = run("room", "create", "lobby", "--slots", "2", "--metadata", '{"a": 1}')
    run("room", "create", "a-long-room-name")
    listed = run("room", "list")
    assert created.status == listed.status == 0 and created.err == listed.err == ""
    heading, lobby, other = listed.out.splitlines()
    assert heading.split()[:3] == ["ROOM", "PEOPLE", "ON"]
    assert lobby.split() == ["lobby", "0/100", "0/20", "2", "open", "-", "2023-11-14T22:13:20Z"]
    assert heading.index("PEOPLE") == lobby.index("0/100") == other.index("0/100")
    assert lines(created.out)[1] == lobby.split()
    assert lines(run("room", "get", "lobby").out)[1] == lobby.split()


def test_json_is_the_result_on_the_wire(run: Sfuctl) -> None:
    """Parseable, and complete."""
    run("room", "create", "lobby", "--metadata", '{"a": 1}')
    assert json.loads(run("--json", "room", "get", "lobby").out)["room"]["metadata"] == {"a": 1}
    assert [one["room"] for one in json.loads(run("--json", "room", "list").out)["rooms"]] == [
        "lobby"
    ]
    assert json.loads(run("--json", "room", "close", "lobby").out) == {}


def test_the_life_of_a_participant(run: Sfuctl, tmp_path: Path, server: Running) -> None:
    """Every verb on people, hands and tracks."""
    offer = tmp_path / "offer.sdp"
    offer.write_text("v=0")
    who = ("lobby", "ann")
    run("room", "create", "lobby")
    assert run("participant", "join", *who, "speaker", str(offer), "--name", "Ann").out == (
        "answer to v=0\n"
    )
    row = ["ann", "1", "speaker", "new", "no", "-", "A1", "2023-11-14T22:13:20Z"]
    assert lines(run("participant", "list", "lobby", "--role", "speaker").out)[1] == row
    assert lines(run("participant", "get", *who).out)[1] == row
    assert lines(run("participant", "set-role", *who, "listener").out)[1][2] == "listener"
    assert lines(run("track", "mute", *who, "--lock").out)[1][4] == "locked"
    run("track", "unmute", *who, "--lock")
    assert lines(run("hand", "raise", *who).out)[1] == ["ann", "2023-11-14T22:13:20Z"]
    assert len(lines(run("hand", "list", "lobby").out)) == 2
    snapshot = run("room", "snapshot", "lobby").out
    assert "ann" in snapshot and "RAISED" in snapshot and "at event 0 of epoch e1" in snapshot
    assert len(lines(run("hand", "lower", *who).out)) == 1
    assert run("participant", "remove", *who, "--ban-s", "5").out == "done\n"
    assert server.daemon.people["lobby"] == {}


def test_info_and_stats_are_pairs(run: Sfuctl) -> None:
    """Maps are spelled out."""
    assert ["limits.rooms", "10"] in lines(run("info").out)
    assert lines(run("stats").out) == [["NAME", "VALUE"], ["done", "2"]]


def test_a_refusal_is_one_line_and_status_1(run: Sfuctl) -> None:
    """With code, message and detail."""
    assert run("room", "get", "nowhere") == Done(
        1, "", "sfuctl: not_found: no such room: nowhere (what=room)\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("room",),
        ("room", "explode", "x"),
        ("room", "create"),
        ("room", "create", "x", "--slots", "nine"),
        ("room", "create", "x", "--slots", "9"),
        ("room", "create", "x", "--metadata", "[1]"),
        ("participant", "set-role", "x", "p", "king"),
        ("participant", "join", "x", "p", "speaker", "/no/such/file"),
        ("--key-id", "ops", "info"),
        ("--key-id", "ops", "--key-file", "/no/such/file", "info"),
        ("--address", "127.0.0.1:x", "info"),
        ("--address", "unix:/no/such/socket", "info"),
    ],
)
def test_wrong_usage_and_no_connection_are_status_2(
    run: Sfuctl, server: Running, arguments: tuple[str, ...]
) -> None:
    """With a reason, without a traceback, and nothing done."""
    done = run(*arguments)
    assert done.status == 2 and done.out == ""
    assert done.err and "Traceback" not in done.err
    assert server.daemon.done == []


def test_names_cannot_move_the_cursor(run: Sfuctl, server: Running) -> None:
    """In tables, and in what is complained about."""
    run("room", "create", "lobby")
    room = server.daemon.rooms.pop("lobby")
    server.daemon.rooms[HOSTILE] = type(room)(
        **{name: getattr(room, name) for name in room.__struct_fields__} | {"room": HOSTILE}
    )
    listed = run("room", "list").out
    refused = run("room", "get", "\N{RIGHT-TO-LEFT OVERRIDE}evil").err
    for text in (listed, refused):
        assert "evil" in text
        assert "\x1b" not in text and "\N{RIGHT-TO-LEFT OVERRIDE}" not in text


def test_events_are_followed(run: Sfuctl, server: Running) -> None:
    """One line each, or one JSON object each; `--count` ends it."""

    def publish() -> None:
        server.wait_until_subscribed()
        server.publish("other", HandLowered(participant="q"))
        server.publish("lobby", HandLowered(participant="p q"))

    thread = threading.Thread(target=publish)
    thread.start()
    done = run("events", "lobby", "--count", "1")
    thread.join()
    assert done == Done(0, "2023-11-14T22:13:20Z #2 hand.lowered lobby participant=p q\n", "")


def test_events_as_json(run: Sfuctl, server: Running) -> None:
    """In the shape of the wire."""

    def publish() -> None:
        server.wait_until_subscribed()
        server.publish("lobby", HandLowered(participant="p"))

    thread = threading.Thread(target=publish)
    thread.start()
    event = json.loads(run("--json", "events", "--count", "1").out)
    thread.join()
    assert (event["seq"], event["m"], event["p"]) == (1, "hand.lowered", {"participant": "p"})


def test_a_key_is_read_from_a_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """White space around the secret is no part of it; the environment may name both."""
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_bytes(KEY.secret + b"\n")
    wrong.write_bytes(b"guess")
    with running(KEY) as server:
        monkeypatch.setenv("SFUCTL_ADDRESS", server.address)
        assert sfuctl.main(["info"]) == 1
        assert "wants a key" in capsys.readouterr().err
        monkeypatch.setenv("SFUCTL_KEY_ID", "ops")
        monkeypatch.setenv("SFUCTL_KEY_FILE", str(right))
        assert sfuctl.main(["info"]) == 0
        assert sfuctl.main(["--key-file", str(wrong), "info"]) == 1
        assert "unauthenticated" in capsys.readouterr().err
