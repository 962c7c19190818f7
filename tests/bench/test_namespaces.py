"""Two namespaces and the link between them: usable at once, and gone however we end."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench import namespaces
from bench.namespaces import NamespaceError, inside, joined_namespaces
from tests.bench import needs

OWNER = """
import sys
from bench.namespaces import joined_namespaces
with joined_namespaces() as pair:
    print(pair.server, pair.load, flush=True)
    sys.stdin.read()
"""
ROOT = Path(__file__).parents[2]


def namespace() -> str:
    return os.readlink("/proc/thread-self/ns/net")


def named() -> set[str]:
    return {path.name for path in Path("/run/netns").glob("*")}


@needs.namespaces
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_datagrams_go_from_one_to_the_other_at_once(family: socket.AddressFamily) -> None:
    with joined_namespaces() as pair:
        host = pair.server_ipv4 if family is socket.AF_INET else pair.server_ipv6
        with inside(pair.server):
            server = socket.socket(family, socket.SOCK_DGRAM)
        with inside(pair.load):
            client = socket.socket(family, socket.SOCK_DGRAM)
        with server, client:
            server.settimeout(5)
            server.bind((host, 0))
            client.sendto(b"hello", server.getsockname()[:2])
            data, sender = server.recvfrom(100)
        assert data == b"hello"
        assert sender[0] == (pair.load_ipv4 if family is socket.AF_INET else pair.load_ipv6)


@needs.namespaces
def test_the_thread_returns_and_the_names_are_gone_after_an_error() -> None:
    before = namespace()
    with pytest.raises(ZeroDivisionError), joined_namespaces() as pair, inside(pair.load):
        names = {pair.server, pair.load}
        assert names <= named()
        assert namespace() != before
        raise ZeroDivisionError
    assert namespace() == before
    assert not names & named()


@needs.namespaces
def test_two_at_a_time_do_not_meet() -> None:
    with joined_namespaces() as one, joined_namespaces() as other:
        assert len({one.server, one.load, other.server, other.load} & named()) == 4


@needs.namespaces
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_names_are_gone_when_the_owner_is_killed(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        names = set(owner.stdout.readline().decode().split())
        assert len(names & named()) == 2
        owner.send_signal(number)
    deadline = time.monotonic() + 10
    while names & named():
        assert time.monotonic() < deadline, "still there"
        time.sleep(0.02)


def test_without_root_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(NamespaceError, match="^network namespaces need root: .*$"):
        with joined_namespaces():
            pass


@needs.namespaces
def test_a_refusal_of_the_kernel_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespaces, "_INTERFACE", "a-name-that-is-too-long")
    with pytest.raises(NamespaceError) as caught, joined_namespaces() as pair:
        assert pair
    assert re.fullmatch(r"cannot make network namespaces: ip .*a-name-that-is.*", str(caught.value))
