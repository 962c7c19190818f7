"""A real daemon for tests: `sfu serve` as a child process, steered over TCP or a Unix socket.

It is ended by its own process id. What it logs goes into a file whose tail is shown when it fails.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from control import Client

READY_TIMEOUT_S = 15.0
STOP_TIMEOUT_S = 5.0
ROOT = Path(__file__).resolve().parents[2]


def free_port(kind: socket.SocketKind, host: str = "127.0.0.1") -> int:
    """A port of this address that nobody holds now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a daemon listens: ports of one address, and maybe a Unix socket for control."""

    control: int
    media: int
    http: int
    host: str = "127.0.0.1"
    control_socket: Path | None = None

    @classmethod
    def free(cls, host: str = "127.0.0.1", control_socket: Path | None = None) -> Ports:
        """Ports that nobody holds now."""
        tcp, udp = socket.SOCK_STREAM, socket.SOCK_DGRAM
        ports = (free_port(tcp, host), free_port(udp, host), free_port(tcp, host))
        return cls(*ports, host, control_socket)

    @property
    def control_endpoint(self) -> str:
        """As `control.listen` and clients take it."""
        if self.control_socket is not None:
            return f"unix:{self.control_socket}"
        return f"{self.host}:{self.control}"


class Daemon:
    """One running daemon. Start it with `running`."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, ports: Ports) -> None:
        self.process = process
        self.log = log
        self.ports = ports

    @classmethod
    def start(cls, *settings: str, ports: Ports | None = None) -> Daemon:
        """Run it with further `section.key=value` settings and wait until it is ready."""
        ports = ports or Ports.free()
        arguments = [sys.executable, "-m", "sfu.shell.cli", "serve"]
        for setting in (
            f"control.listen={ports.control_endpoint}",
            f"media.listen={ports.host}:{ports.media}",
            f"http.listen={ports.host}:{ports.http}",
            "log.format=json",
            *settings,
        ):
            arguments += ["--set", setting]
        descriptor, name = tempfile.mkstemp(prefix="daemon-", suffix=".log")
        process = subprocess.Popen(arguments, cwd=ROOT, stdout=descriptor, stderr=descriptor)
        os.close(descriptor)
        daemon = cls(process, Path(name), ports)
        daemon._wait_ready()
        return daemon

    @property
    def pid(self) -> int:
        """The daemon's process id."""
        return self.process.pid

    def client(self, *, automatic_keys: bool = True) -> Client:
        """A control client, to be used with `async with`."""
        return Client(self.ports.control_endpoint, automatic_keys=automatic_keys)

    def http(self, path: str) -> str:
        """The body of an operators' page."""
        url = f"http://{self.ports.host}:{self.ports.http}{path}"
        with urllib.request.urlopen(url, timeout=5) as response:
            text: str = response.read().decode()
            return text

    def metric(self, name: str) -> float:
        """The value of a metric without labels. KeyError when there is none."""
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.http("/metrics"), re.MULTILINE)
        if found is None:
            raise KeyError(name)
        return float(found.group(1))

    def open_files(self) -> int:
        """How many file descriptors the process holds."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def resident_kib(self) -> int:
        """Resident memory of the process."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
        assert found is not None
        return int(found.group(1))

    def stop(self) -> int:
        """SIGTERM, then its exit status; SIGKILL when it does not go."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.unlink(missing_ok=True)
        return self.process.returncode

    def log_tail(self) -> str:
        """The last lines it logged."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            with contextlib.suppress(urllib.error.URLError, OSError):
                self.http("/readyz")
                return
            time.sleep(0.05)
        tail = self.log_tail()
        self.stop()
        raise RuntimeError(f"the daemon did not become ready:\n{tail}")


@contextlib.contextmanager
def running(*settings: str, ports: Ports | None = None) -> Iterator[Daemon]:
    """A daemon for the length of a `with`; it must end cleanly."""
    daemon = Daemon.start(*settings, ports=ports)
    try:
        yield daemon
    finally:
        tail = daemon.log_tail()
        status = daemon.stop()
    assert status == 0, f"the daemon ended with status {status}:\n{tail}"
