"""`sfuctl` as its users see it: output, exit status, one line for each refusal."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from msgspec import to_builtins

from control import sfuctl
from control.auth import Key
from control.commands import (
    COMMANDS,
    AnyCommand,
    RoomSync,
    SubscriptionUpdate,
    SyncedParticipant,
)
from control.events import EVENTS, Event, EventBody, HandLowered
from control.server import Server
from control.sfuctl.arguments import parser
from control.sfuctl.lines import event_line
from control.sfuctl.results import as_json, as_text
from control.types import Role
from tests.control.authority import Authority
from tests.control.fake_daemon import FakeDaemon
from tests.control.samples import AT_MS, COMMAND_SAMPLES, EVENT_SAMPLES

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
def running(*keys: Key, tls: ssl.SSLContext | None = None) -> Iterator[Running]:
    """Serve a fake daemon until the block ends."""
    loop = asyncio.new_event_loop()
    daemon = FakeDaemon()
    server = Server(daemon, epoch="e1", keys=keys, tls=tls, wall_ms=lambda: 1_700_000_000_000)
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


def fields(text: str) -> dict[str, str]:
    """Names and values of a list of fields, which stand two or more spaces apart."""
    rows = (re.split(r" {2,}", line, maxsplit=1) for line in text.splitlines())
    return {row[0]: row[1] for row in rows if len(row) == 2}


def leaves(
    parser: argparse.ArgumentParser, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """Every parser that does something, by the words that lead there."""
    below = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    for action in below:
        for name, one in action.choices.items():
            yield from leaves(one, (*words, name))
    if not below:
        yield words, parser


def test_every_command_can_be_typed_with_every_parameter() -> None:
    """`room.mute_all` as `room mute-all`; options are named as the fields are."""
    typed = {
        one.get_default("command"): (words, {action.dest for action in one._actions})
        for words, one in leaves(parser({}))
        if one.get_default("command") is not None
    }
    assert {kind.method for kind in typed} == set(COMMANDS)
    for kind, (words, options) in typed.items():
        group, _, name = kind.method.partition(".")
        assert words == (group, name.replace("_", "-"))
        assert set(kind.__struct_fields__) <= options


@pytest.mark.parametrize(("command", "result"), COMMAND_SAMPLES)
def test_every_result_is_shown_as_text(command: AnyCommand, result: Any) -> None:
    """No field names with underscores, no Python, nothing empty; JSON holds it all."""
    shown = as_text(command, result, AT_MS + 90_000)
    assert shown and shown == shown.rstrip()
    assert not re.search(r"[{\[(]\w+=|None|\bTrue\b|\bFalse\b|<", shown)
    assert json.loads(as_json(result)) == to_builtins(result)


def test_every_command_has_a_sample() -> None:
    """Else the test above would say little."""
    assert {command.method for command, _ in COMMAND_SAMPLES} == set(COMMANDS)
    assert set(EVENT_SAMPLES) == set(EVENTS)


@pytest.mark.parametrize("method", sorted(EVENTS))
def test_every_event_is_one_line_that_says_who_and_where(method: str) -> None:
    """As a sentence, not as fields."""
    for body in EVENT_SAMPLES[method]:
        event = Event(epoch="e1", seq=7, at=AT_MS, room="lobby", body=body)
        line = event_line(event)
        assert line.startswith("2026-01-01T00:00:00Z #7 lobby: ") and "\n" not in line
        assert getattr(body, "participant", "") in line
        assert not re.search(r"\w+=|None|[{<]\w", line)


def test_rooms_are_tables(run: Sfuctl) -> None:
    """Aligned under a heading."""
    run("room", "create", "lobby", "--slots", "2")
    run("room", "create", "a-long-room-name")
    heading, lobby, other = run("room", "list").out.splitlines()
    assert heading.split()[:3] == ["ROOM", "PEOPLE", "ON"]
    assert lobby.split()[:6] == ["lobby", "0/100", "0/20", "2", "open", "open"]
    assert heading.index("PEOPLE") == lobby.index("0/100") == other.index("0/100")


def test_a_room_is_a_list_of_fields(run: Sfuctl) -> None:
    """With everything that was set."""
    created = run("room", "create", "lobby", "--slots", "2", "--metadata", '{"a": 1}')
    assert created.status == 0 and created.err == ""
    shown = fields(run("room", "get", "lobby").out)
    assert (shown["room"], shown["slots"], shown["metadata"]) == ("lobby", "2", '{"a":1}')
    assert shown["created"].startswith("2023-11-14T22:13:20Z, ")


def test_json_is_the_result_on_the_wire(run: Sfuctl) -> None:
    """Parseable, complete, and asked for before the verb or behind it."""
    run("room", "create", "lobby", "--metadata", '{"a": 1}')
    assert json.loads(run("--json", "room", "get", "lobby").out)["room"]["metadata"] == {"a": 1}
    listed = json.loads(run("room", "list", "--json").out)["rooms"]
    assert [one["room"] for one in listed] == ["lobby"]
    assert json.loads(run("--json", "room", "close", "lobby").out) == {}


def test_the_life_of_a_participant(run: Sfuctl, tmp_path: Path, server: Running) -> None:
    """Verbs on people, hands, stage and tracks, told in sentences and tables."""
    offer = tmp_path / "offer.sdp"
    offer.write_text("v=0")
    who = ("lobby", "ann")
    run("room", "create", "lobby")
    joined = run("participant", "join", *who, "speaker", str(offer), "--name", "Ann")
    assert joined.out == "answer to v=0\n"
    row = ["ann", "Ann", "speaker", "new", "no", "-", "A1"]
    assert lines(run("participant", "list", "lobby", "--role", "speaker").out)[1][:7] == row
    shown = fields(run("participant", "get", *who).out)
    assert shown["name"] == "Ann" and "profile" not in shown
    run("participant", "join", "lobby", "bob", "speaker", str(offer), "--profile", "music")
    assert fields(run("participant", "get", "lobby", "bob").out)["profile"] == "music"
    run("participant", "remove", "lobby", "bob")
    told = run("participant", "set-role", *who, "listener").out
    assert told == "ann is a listener, not muted, not connected yet\n"
    assert "muted and locked" in run("track", "mute", *who, "--lock").out
    run("track", "unmute", *who, "--lock")
    assert lines(run("hand", "raise", *who).out)[1][:2] == ["1", "ann"]
    snapshot = run("room", "snapshot", "lobby").out
    assert "ann" in snapshot and "RAISED" in snapshot and "as of event e1:0" in snapshot
    assert run("hand", "lower", *who).out == "no hand is raised\n"
    assert run("track", "set-priority", *who, "-6.5").out == "ann counts with -6.5 dB\n"
    restarted = run("participant", "restart-ice", *who, str(offer)).out
    assert restarted == "restarted by v=0\n"
    removed = run("participant", "remove", *who, "--ban-s", "5").out
    assert removed == "ann is sent away and kept out for 5s\n"
    assert server.daemon.people["lobby"] == {}


def test_a_list_for_sync_is_read_from_a_file(run: Sfuctl, tmp_path: Path, server: Running) -> None:
    """As JSON; whoever of it is not there is named."""
    run("room", "create", "lobby")
    wanted = tmp_path / "people.json"
    wanted.write_text('[{"participant": "ann", "role": "speaker", "locked": true}]')
    done = run("room", "sync", "lobby", str(wanted))
    assert done == Done(0, "0 removed, 0 changed; not here: ann\n", "")
    assert server.daemon.done[-1] == RoomSync(
        room="lobby",
        participants=[SyncedParticipant(participant="ann", role=Role.SPEAKER, locked=True)],
    )


def test_choices_of_a_subscription_may_be_ended(run: Sfuctl, server: Running) -> None:
    """`--always` without anybody is the empty list, `--no-paused` is false, the rest is absent."""
    run("room", "create", "lobby")
    run("subscription", "update", "lobby", "ann", "--always", "--never", "a", "b", "--no-paused")
    assert server.daemon.done[-1] == SubscriptionUpdate(
        room="lobby", participant="ann", always=[], never=["a", "b"], paused=False
    )


def test_info_shows_what_is_used_of_each_limit(run: Sfuctl) -> None:
    """And stats are counters."""
    info = run("server", "info").out
    assert ["rooms", "0", "10"] in lines(info)
    assert fields(info)["load"] == "25% of what it can carry"
    assert lines(run("server", "stats").out) == [["COUNTER", "VALUE"], ["done", "2"]]


def test_a_refusal_is_one_line_and_status_1(run: Sfuctl) -> None:
    """With code, message and detail."""
    assert run("room", "get", "nowhere") == Done(
        1, "", "sfuctl: not_found: no such room: nowhere\n"
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
        ("room", "sync", "x", "/no/such/file"),
        ("events", "--type", "hand.rised"),
        ("events", "--since", "b71c"),
        ("participant", "set-role", "x", "p", "king"),
        ("participant", "join", "x", "p", "speaker", "/no/such/file"),
        ("--key-id", "ops", "server", "info"),
        ("--key-id", "ops", "--key-file", "/no/such/file", "server", "info"),
        ("--address", "127.0.0.1:x", "server", "info"),
        ("--tls-ca", "/no/such/file", "server", "info"),
        ("--tls-certificate", "/no/such/file", "server", "info"),
        ("--address", "unix:/no/such/socket", "server", "info"),
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
    assert done == Done(0, "2023-11-14T22:13:20Z #2 lobby: p q's hand is down\n", "")


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
    right.write_bytes((KEY.secret or b"") + b"\n")
    wrong.write_bytes(b"guess")
    with running(KEY) as server:
        monkeypatch.setenv("SFUCTL_ADDRESS", server.address)
        assert sfuctl.main(["server", "info"]) == 1
        assert "wants a key" in capsys.readouterr().err
        monkeypatch.setenv("SFUCTL_KEY_ID", "ops")
        monkeypatch.setenv("SFUCTL_KEY_FILE", str(right))
        assert sfuctl.main(["server", "info"]) == 0
        assert sfuctl.main(["--key-file", str(wrong), "server", "info"]) == 1
        assert "unauthenticated" in capsys.readouterr().err


def test_a_certificate_proves_a_key(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over TLS; without trust in the daemon's own there is no connection."""
    authority = Authority(tmp_path)
    with running(KEY, tls=authority.server(authority.issue_for_localhost())) as server:
        monkeypatch.setenv("SFUCTL_ADDRESS", server.address)
        assert sfuctl.main(["--tls", "server", "info"]) == 2
        assert "certificate verify failed" in capsys.readouterr().err
        monkeypatch.setenv("SFUCTL_TLS_CA", str(authority.certificate))
        assert sfuctl.main(["server", "info"]) == 1
        assert "wants a key" in capsys.readouterr().err
        own = str(authority.issue(KEY.key_id))
        assert sfuctl.main(["--tls-certificate", own, "server", "info"]) == 0
