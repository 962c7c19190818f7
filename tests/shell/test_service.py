"""What systemd is told, as sd_notify(3) has it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from sfu.shell.service import ServiceManager


class Told:
    """Keeps the messages."""

    def __init__(self, **environment: str) -> None:
        self.messages: list[bytes] = []
        self.manager = ServiceManager(environment, self.messages.append)


def test_each_state_is_a_message_of_lines() -> None:
    told = Told()
    told.manager.ready()
    told.manager.reloading(12.5)
    told.manager.stopping(31.0)
    assert told.messages == [
        b"READY=1",
        b"RELOADING=1\nMONOTONIC_USEC=12500000",
        b"STOPPING=1\nEXTEND_TIMEOUT_USEC=31000000\nSTATUS=draining",
    ]


def test_nothing_but_the_watchdog_is_told_after_stopping() -> None:
    told = Told(WATCHDOG_USEC="2000000")
    told.manager.stopping(31.0)
    told.manager.reloading(12.5)
    told.manager.ready()
    told.manager.beat(100.0)
    assert [message.partition(b"\n")[0] for message in told.messages] == [
        b"STOPPING=1",
        b"WATCHDOG=1",
    ]


def test_the_watchdog_is_fed_twice_in_each_of_its_intervals() -> None:
    told = Told(WATCHDOG_USEC="10000000", WATCHDOG_PID=str(os.getpid()))
    for tenths in range(200):
        told.manager.beat(100.0 + tenths / 10)
    assert told.messages == [b"WATCHDOG=1"] * 4


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "x"},
        {"WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"},
    ],
)
def test_a_watchdog_that_is_not_there_or_of_another_process_is_not_fed(
    environment: dict[str, str],
) -> None:
    told = Told(**environment)
    told.manager.beat(100.0)
    assert told.messages == []


def test_messages_go_to_the_socket_of_the_manager_even_an_abstract_one(tmp_path: Path) -> None:
    for address in (str(tmp_path / "notify"), "\0rostrum-test-" + tmp_path.name):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(address)
            told = ServiceManager({"NOTIFY_SOCKET": address.replace("\0", "@")})
            told.ready()
            assert manager.recv(100) == b"READY=1"
            told.close()


def test_a_manager_that_has_gone_or_never_was_costs_nothing(tmp_path: Path) -> None:
    for path in ("", str(tmp_path / "gone")):
        told = ServiceManager({"NOTIFY_SOCKET": path})
        told.ready()
        told.close()
