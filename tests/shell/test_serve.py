"""The daemon as a process: it starts, tells, steers, and ends as it should."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from control.auth import Key
from control.client import Client
from control.errors import ControlError
from control.events import ServerDraining
from sfu.shell.metrics import LABELS, NAMESPACE
from tests.shell.process import FREE_PORTS, DaemonProcess, sfu_command

KEYS = 'control.keys=[{id="backend", secret="correct horse battery", scopes=["admin"]}]'


def get(daemon: DaemonProcess, path: str) -> tuple[int, str]:
    """Status and text of a page for operators."""
    try:
        with urllib.request.urlopen(f"http://{daemon.listening['http']}{path}") as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def client_of(daemon: DaemonProcess, key: Key | None = None) -> Client:
    """A backend of this daemon."""
    return Client(daemon.listening["control"], key=key)


def exit_of(*overrides: str) -> tuple[int, str]:
    """Status and standard error of a daemon that cannot start."""
    done = subprocess.run(sfu_command("serve", *overrides), capture_output=True, text=True)
    return done.returncode, done.stderr


async def test_it_is_ready_is_steered_and_leaves_in_time() -> None:
    """Also: a backend that follows events hears that the daemon is going."""
    with DaemonProcess() as daemon:
        assert get(daemon, "/readyz")[0] == get(daemon, "/livez")[0] == 200
        async with client_of(daemon) as client, client.events() as events:
            created = await client.room_create(room="lobby")
            assert created.room == "lobby"
            assert (await anext(events)).body.method == "room.created"
            assert "rostrum_rooms 1.0" in get(daemon, "/metrics")[1]
            daemon.signal(signal.SIGTERM)
            asked = time.monotonic()
            draining = (await anext(events)).body
            assert isinstance(draining, ServerDraining)
            assert draining.deadline_ms <= 2_000
            assert (await anext(events)).body.method == "room.closed"
            assert await asyncio.to_thread(daemon.process.wait, 5) == 0
            assert time.monotonic() - asked < 2.0
            await client.close()  # before it looks for the daemon again
        assert daemon.read_until("stopping")["signal"] == "SIGTERM"
        daemon.read_until("stopped")
        assert daemon.process.stderr is not None
        assert daemon.process.stderr.read() == ""


def test_a_second_signal_ends_it_on_the_spot() -> None:
    with DaemonProcess() as daemon:
        asked = time.monotonic()
        daemon.signal(signal.SIGTERM, signal.SIGINT)
        assert daemon.process.wait(5) in (128 + signal.SIGTERM, 128 + signal.SIGINT)
        assert time.monotonic() - asked < 1.0


def test_metrics_have_known_names_and_labels_only() -> None:
    with DaemonProcess() as daemon:
        families = list(text_string_to_metric_families(get(daemon, "/metrics")[1]))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    assert all(name.startswith(f"{NAMESPACE}_") for name in names)
    samples = [sample for family in families for sample in family.samples]
    assert {label for sample in samples for label in sample.labels} <= LABELS
    assert len(samples) < 1_000
    expected = {"rooms", "participants", "forwarded", "dropped", "bugs", "loop_lag_seconds"}
    expected |= {"join_seconds", "forwarding_seconds", "room_people", "line_loss_ratio"}
    expected |= {"line_jitter_seconds", "line_rtt_seconds", "certificate_not_after_seconds"}
    expected |= {"udp_kernel_drops", "udp_dropped", "control_connections_open"}
    assert {f"{NAMESPACE}_{name}" for name in expected} <= set(names)


def test_the_effective_configuration_tells_candidates_and_no_secrets() -> None:
    with DaemonProcess(KEYS, 'media.announce=["203.0.113.7:443"]') as daemon:
        status, text = get(daemon, "/config/effective")
        assert status == 200
        assert "correct horse" not in text
        told = json.loads(text)["candidates"]
        assert [(one["host"], one["port"]) for one in told] == [("203.0.113.7", 443)]


async def test_keys_are_asked_for() -> None:
    with DaemonProcess(KEYS) as daemon:
        async with client_of(daemon, Key("backend", b"correct horse battery")) as client:
            assert (await client.room_create(room="lobby")).room == "lobby"
        with pytest.raises(ControlError):
            async with client_of(daemon, Key("backend", b"wrong")) as client:
                await client.room_list()


def test_a_short_secret_is_warned_about() -> None:
    with DaemonProcess('control.keys=[{id="a", secret="short", scopes=["read"]}]') as daemon:
        assert [line["key"] for line in daemon.before if line["event"] == "short_secret"] == ["a"]


async def test_a_unix_socket_is_listened_on_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "sfu.sock"
    with DaemonProcess(f"control.listen=unix:{path}") as daemon:
        assert daemon.listening["control"] == f"unix:{path}"
        async with client_of(daemon) as client:
            await client.room_create(room="lobby")
        daemon.signal(signal.SIGINT)
        assert daemon.process.wait(5) == 0
    assert not path.exists()


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("media.listen", socket.SOCK_DGRAM),
        ("control.listen", socket.SOCK_STREAM),
        ("http.listen", socket.SOCK_STREAM),
    ],
)
def test_a_port_in_use_is_one_line_and_worth_another_try(key: str, kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            other.listen()
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        status, errors = exit_of(*FREE_PORTS, f"{key}={taken}")
    expected = f"sfu: {key}: cannot listen on {taken}: another program listens there already\n"
    assert (status, errors) == (os.EX_TEMPFAIL, expected)


@pytest.mark.parametrize("key", ["media.listen", "control.listen", "http.listen"])
def test_an_address_that_no_interface_has_yet_is_worth_another_try(key: str) -> None:
    status, errors = exit_of(*FREE_PORTS, KEYS, f"{key}=203.0.113.7:7")
    expected = f"sfu: {key}: cannot listen on 203.0.113.7:7: no interface of this machine has that"
    assert (status, errors) == (os.EX_TEMPFAIL, f"{expected} address\n")


def test_an_announced_name_that_is_not_known_yet_is_worth_another_try() -> None:
    status, errors = exit_of(*FREE_PORTS, 'media.announce=["media.invalid"]')
    assert status == os.EX_TEMPFAIL
    assert errors.startswith("sfu: media.announce: cannot resolve media.invalid: ")
    assert errors.count("\n") == 1


@pytest.mark.parametrize("command", ["serve", "check-config"])
def test_a_bad_configuration_is_one_line_and_status_2(command: str) -> None:
    arguments = sfu_command(command, "media.anounce=x")
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "sfu: media.anounce: no such key; did you mean media.announce?\n"
    assert done.stdout == ""


def test_a_missing_file_is_one_line_and_status_2(tmp_path: Path) -> None:
    arguments = [*sfu_command("serve"), "--config", str(tmp_path / "none.toml")]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == f"sfu: {tmp_path}/none.toml: No such file or directory\n"


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ("sfu.fast._forward", "build it with `make setup`"),
        ("structlog", "pip install 'rostrum[server]'"),
    ],
)
def test_a_missing_extension_or_library_is_one_line_and_status_2(
    missing: str, expected: str
) -> None:
    """Whatever is None in sys.modules cannot be imported."""
    program = (
        f"import sys; sys.modules[{missing!r}] = None;"
        " from sfu.shell.cli import main; sys.exit(main(['serve', '--set', 'http.listen=[::1]:0']))"
    )
    command = sfu_command("")[:1] + ["-c", program]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("sfu: ")
    assert done.stderr.count("\n") == 1
    assert expected in done.stderr


def test_check_config_prints_everything_and_the_candidates() -> None:
    done = subprocess.run(
        sfu_command("check-config", KEYS, "limits.max_rooms=7"), capture_output=True, text=True
    )
    assert done.returncode == 0
    told = json.loads(done.stdout)
    assert told["limits"]["max_rooms"] == 7
    assert told["control"]["keys"][0]["secret"] == "***"
    assert [(one["host"], one["port"]) for one in told["candidates"]] == [("127.0.0.1", 7800)]
