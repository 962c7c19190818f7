"""coturn as deploy/turn has it, for the length of a test: its file, its ports, its credentials."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deploy.manifests import DEPLOY

SECRET = "not-a-secret-outside-of-tests"
TCP_PORT, TLS_PORT = 3478, 443
START_S = 10.0


@dataclass(frozen=True)
class Turn:
    """A running relay at `host`; `authority` is the file of who signed its certificate."""

    host: str
    authority: Path

    def credentials(self, name: str, lasts_s: int = 3_600) -> tuple[str, str]:
        """User name and password that a backend would give to a visitor."""
        user = f"{int(time.time()) + lasts_s}:{name}"
        return user, password_of(SECRET.encode(), user)


def password_of(secret: bytes, user: str) -> str:
    """As coturn computes it from the secret that it shares with the backend."""
    return base64.b64encode(hmac.digest(secret, user.encode(), hashlib.sha1)).decode()


def need_coturn() -> str:
    """The program; the test skips where there is none."""
    found = shutil.which("turnserver")
    if found is None or shutil.which("openssl") is None:
        pytest.skip("coturn is not installed (Debian: apt-get install coturn openssl)")
    return found


@contextlib.contextmanager
def running(host: str, folder: Path) -> Iterator[Turn]:
    """coturn in the namespace of this thread, relaying to `host` alone."""
    program = need_coturn()
    _certificate(host, folder)
    text = (DEPLOY / "turn" / "turnserver.conf").read_text().replace("CHANGE-ME", SECRET)
    (folder / "turnserver.conf").write_text(re.sub("/run/secrets/", f"{folder}/", text))
    log = folder / "turn.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(program, "-c", folder / "turnserver.conf", "--pidfile", folder / "turn.pid"),
                *(f"--external-ip={host}", f"--allowed-peer-ip={host}", f"--listening-ip={host}"),
            ],
            stdout=output,
            stderr=output,
            cwd=folder,
        )
    try:
        for port in (TCP_PORT, TLS_PORT):
            _wait(host, port, process, log)
        yield Turn(host, folder / "turn.pem")
    finally:
        process.terminate()
        try:
            process.wait(5.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _certificate(host: str, folder: Path) -> None:
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "1", "-subj", "/CN=turn", "-addext", f"subjectAltName=IP:{host}"),
            *("-keyout", folder / "turn.key", "-out", folder / "turn.pem"),
        ],
        check=True,
        capture_output=True,
    )


def _wait(host: str, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1.0):
            return
        time.sleep(0.05)
    raise RuntimeError(f"coturn does not listen on {port}:\n{log.read_text(errors='replace')}")
