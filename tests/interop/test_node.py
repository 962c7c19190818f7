"""A client in another language, written from the reference alone, talks to the real daemon."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop.daemon import Daemon, running
from tests.interop.npm import has_npm, install

SOURCES = Path(__file__).with_name("node_client")
SECRET = "0123456789abcdef0123456789abcdef"

pytestmark = pytest.mark.skipif(not has_npm(), reason="needs node and npm")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client with what its lock file names, in a folder of its own."""
    return install(SOURCES, tmp_path_factory.mktemp("node") / "client")


@pytest.fixture(scope="module")
def keyed() -> Iterator[Daemon]:
    """A daemon that wants a key, which may do everything with the rooms of one club."""
    key = f'[{{id = "club", secret = "{SECRET}", scopes = ["rooms:club/"]}}]'
    with running(f"control.keys={key}") as started:
        yield started


def told(folder: Path, daemon: Daemon, secret: str, room: str) -> list[dict[str, Any]]:
    """What the client prints; it must end well."""
    done = subprocess.run(
        ["node", "client.js", "127.0.0.1", str(daemon.ports.control), "club", secret, room],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_client_in_javascript_joins_the_conversation(installed: Path, keyed: Daemon) -> None:
    """Authenticated by HMAC: commands, an idempotent repeat, a refusal, events in order."""
    lines = told(installed, keyed, SECRET, "club/tea")
    events = [line for line in lines if "event" in line]
    assert [line for line in lines if "event" not in line] == [
        {"scopes": ["rooms:club/"]},
        {"created": "club/tea", "slots": 2, "same": True},
        {"code": "not_found", "detail": {"what": "participant"}},
        {"participants": []},
    ]
    assert [(event["event"], event["room"]) for event in events] == [
        ("room.created", "club/tea"),
        ("room.updated", "club/tea"),
        ("room.closed", "club/tea"),
    ]
    assert events[1]["p"]["state"]["locked"] is True
    assert events[2]["p"] == {"reason": "over"}
    numbers = [event["seq"] for event in events]
    assert numbers == sorted(set(numbers))


def test_a_wrong_secret_gets_nowhere(installed: Path, keyed: Daemon) -> None:
    with pytest.raises(AssertionError, match="mac|unauthenticated|wrong"):
        told(installed, keyed, SECRET[::-1], "club/tea")
