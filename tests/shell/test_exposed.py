"""What a running daemon says of itself to whoever watches it."""

from __future__ import annotations

from control import Client
from tests.shell.process import DaemonProcess
from tests.shell.test_serve import get


def gauge(daemon: DaemonProcess, name: str) -> float:
    """The value of a metric without labels."""
    lines = dict(line.rsplit(" ", 1) for line in get(daemon, "/metrics")[1].splitlines())
    return float(lines[name])


async def test_a_daemon_that_is_drained_shows_it_until_it_is_not() -> None:
    with DaemonProcess() as daemon:
        host, port = daemon.listening["control"].rsplit(":", 1)
        async with Client(host, int(port)) as client:
            assert gauge(daemon, "rostrum_draining") == 0
            await client.server_drain(deadline_s=60)
            assert gauge(daemon, "rostrum_draining") == 1
            await client.server_undrain()
            assert gauge(daemon, "rostrum_draining") == 0


def test_the_number_of_clamped_buffers_is_shown() -> None:
    with DaemonProcess() as daemon:
        warned = [line for line in daemon.before if "buffer" in line["event"]]
        assert gauge(daemon, "rostrum_udp_buffers_clamped") == len(warned)
