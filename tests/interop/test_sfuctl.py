"""`sfuctl` with the real daemon: every command, typed as its users type it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from control import sfuctl
from control.commands import COMMANDS
from tests.interop.daemon import Daemon
from tests.worker.harness import offer

Typed = Callable[[str], str]


@pytest.fixture
def typed(
    daemon: Daemon, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Typed:
    """Type a line; what it printed. It must be done, and complain of nothing."""
    monkeypatch.setenv("SFUCTL_ADDRESS", f"127.0.0.1:{daemon.ports.control}")

    def run(line: str) -> str:
        status = sfuctl.main(line.split())
        out, err = capsys.readouterr()
        assert (status, err) == (0, ""), line
        return out

    return run


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What some commands read."""
    monkeypatch.chdir(tmp_path)
    Path("offer.sdp").write_text(offer(), newline="")
    Path("restart.sdp").write_text(offer(ufrag="efgh", pwd="q" * 24), newline="")
    Path("people.json").write_text(json.dumps([{"participant": "red", "role": "speaker"}]))


LINES = """
server info
server stats
room create lobby --slots 3
room list
room get lobby
room update lobby --max-speakers 5 --if-version 1
participant join lobby red listener offer.sdp --name Red
participant join lobby blue listener offer.sdp
participant list lobby
participant get lobby red
participant update lobby red --name Rouge
participant restart-ice lobby red restart.sdp
hand raise lobby red
hand list lobby
hand lower lobby red
stage invite lobby red --expires-s 30
stage decline lobby red
stage invite lobby red
stage accept lobby red
track unmute lobby red
track set-priority lobby red -6.5
track mute lobby red --lock
track unmute lobby red --lock
room mute-all lobby --except-role moderator
room unmute-all lobby
room lock lobby
room unlock lobby
subscription get lobby red
subscription update lobby red --slots 2 --never blue
room snapshot lobby
room create hall
participant move lobby blue hall
participant set-role hall blue speaker --actor ops
room sync lobby people.json
participant remove hall blue
room close hall
room close lobby
server drain 600
server undrain
"""


def test_every_command_is_done(typed: Typed, files: None) -> None:
    """In an order in which all of them make sense."""
    lines = LINES.strip().splitlines()
    words = {tuple(line.split()[:2]) for line in lines}
    assert words == {tuple(method.replace("_", "-").split(".")) for method in COMMANDS}
    said = {line: typed(line) for line in lines}
    assert all(said.values())
    assert said["track unmute lobby red"] == "red is a speaker, not muted, not connected yet\n"
    assert said["participant restart-ice lobby red restart.sdp"].startswith("v=0")
    assert said["room sync lobby people.json"] == "0 removed, 0 changed\n"


def test_the_daemon_started_just_now(typed: Typed) -> None:
    """Not when the machine did."""
    info = json.loads(typed("server info --json"))
    assert abs(time.time() - info["started_at"] / 1_000) < 60


def test_missed_events_are_told_from_a_position(typed: Typed) -> None:
    """Of one room, of some types, from the oldest that is held."""
    typed("room create kitchen")
    typed("room lock kitchen")
    typed("room close kitchen --reason over")
    told = typed("events kitchen --since 0 --count 3 --type room.*").splitlines()
    sentences = [line.partition("kitchen: ")[2] for line in told]
    assert sentences[0].startswith("created: ") and "locked" in sentences[1]
    assert sentences[2] == "closed (over)"
