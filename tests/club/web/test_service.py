"""`python -m deploy.club.web`: the club as a service of its own, in front of a daemon elsewhere."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.interop.daemon import ROOT, Daemon, free_port, running

KEYS = 'control.keys=[{id="club", secret="0123456789abcdef", scopes=["admin"]}]'


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    with running(KEYS) as started:
        yield started


def arguments(daemon: Daemon, folder: Path, secret: str, port: int) -> list[str]:
    """A command line, with its secrets in `folder`."""
    (folder / "club.secret").write_text(secret + "\n")
    (folder / "club.hashing").write_text("0123456789abcdef0123456789abcdef\n")
    return [
        *(sys.executable, "-m", "deploy.club.web", "--port", str(port)),
        *("--control", daemon.ports.control_endpoint, "--key-id", "club"),
        *("--key-file", str(folder / "club.secret")),
        *("--secret-file", str(folder / "club.hashing")),
        *("--database", f"sqlite+aiosqlite:///{folder / 'club.sqlite'}"),
    ]


@asynccontextmanager
async def web(*words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The process; whatever is left of it is ended."""
    process = await asyncio.create_subprocess_exec(
        *words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_it_serves_pages_and_ends_at_sigterm(daemon: Daemon, tmp_path: Path) -> None:
    port = free_port(socket.SOCK_STREAM)
    async with web(*arguments(daemon, tmp_path, "0123456789abcdef", port)) as process:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"club: serving on 127.0.0.1:%d\n" % port
        async with aiohttp.ClientSession() as session:
            for path in ("/", "/healthz"):
                async with session.get(f"http://127.0.0.1:{port}{path}") as page:
                    assert page.status == 200
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 5.0) == 0


async def test_a_wrong_key_ends_it_with_a_line_that_says_so(daemon: Daemon, tmp_path: Path) -> None:
    port = free_port(socket.SOCK_STREAM)
    async with web(*arguments(daemon, tmp_path, "another secret altogether", port)) as process:
        _, said = await asyncio.wait_for(process.communicate(), 10.0)
        assert process.returncode == 2
        assert said.splitlines()[-1].startswith(b"club: the daemon refuses: ")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--key-id", "club"], "club: --key-id and --key-file go together"),
        (["--control", "127.0.0.1:99999"], "club: --control: "),
        (["--key-id", "club", "--key-file", "/nowhere"], "club: /nowhere: No such file"),
        (["--secret-file", "TMP/short"], "club: the secret must have at least 32 bytes"),
        (["--hosts-file", "TMP/hosts"], "club: TMP/hosts, line 1: That is no telephone number"),
        (["--base-url", "club.example"], "club: not an address of a site's root: club.example"),
        (["--code-gateway", "sms.example"], "club: not an address of a gateway: sms.example"),
        (["--code-gateway-key-file", "TMP/none"], "club: TMP/none: No such file"),
        (["--database", "mysql://x"], "club: the database: "),
        (["--database", "nonsense"], "club: "),
        (["--database", "sqlite+aiosqlite:///TMP/a folder"], "club: the database: "),
    ],
)
def test_options_that_cannot_be_used_are_told_in_one_line(
    words: list[str], complaint: str, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("k" * 32)
    (tmp_path / "hosts").write_text("+49 red\n")
    (tmp_path / "short").write_text("k")
    (tmp_path / "a folder").mkdir()
    words = [word.replace("TMP", str(tmp_path)) for word in words]
    command = [sys.executable, "-m", "deploy.club.web", "--secret-file", str(tmp_path / "key")]
    done = subprocess.run([*command, *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(complaint.replace("TMP", str(tmp_path)))
    assert done.stderr.count("\n") == 1
