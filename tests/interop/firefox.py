"""Firefox for tests: Debian's, headless, steered over WebDriver BiDi, with a tab for each peer.

It ignores candidates on loopback, so it runs in a network with another address: a `Wire`. Its Web
Audio runs only where there is a device to play to: PulseAudio with a sink that goes nowhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shutil
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.interop.bidi import Session, Tab, connected
from tests.interop.page_peer import SCRIPT, PagePeer
from tests.interop.polling import until

START_S = 20.0
STOP_S = 5.0
PREFERENCES: dict[str, bool | int] = {
    # Sound plays without a gesture of the user.
    "media.autoplay.default": 0,
    "media.autoplay.blocking_policy": 0,
    # A page without permission for a microphone tells its address all the same.
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    # A page that asks for a microphone gets one that plays a tone, and nobody is asked.
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    # One process for all tabs, and none in store.
    "fission.autostart": False,
    "dom.ipc.processCount": 1,
    "dom.ipc.processPrelaunch.enabled": False,
    # Nothing is fetched and nothing is asked at the first start.
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "app.normandy.enabled": False,
    "media.gmp-manager.updateEnabled": False,
}


def executable() -> str:
    """Where Firefox is; skips the test when it, or what it plays to, is nowhere."""
    if shutil.which("pulseaudio") is None:
        pytest.skip("pulseaudio is not installed (Debian: apt-get install pulseaudio)")
    found = shutil.which("firefox-esr") or shutil.which("firefox")
    if found is None:
        pytest.skip("firefox is not installed (Debian: apt-get install firefox-esr)")
    return found


class FirefoxPeer(PagePeer):
    """A peer in a tab of Firefox."""

    @classmethod
    async def open(cls, session: Session, hz: int) -> FirefoxPeer:
        """A peer with a microphone that plays `hz`."""
        tab = await Tab.open(session)
        # A script of its own, whose names stay in it; it leaves its class in the window.
        await tab.evaluate("text => { new Function(text)(); }", SCRIPT.read_text())
        await tab.evaluate("hz => { window.peer = new BrowserPeer(hz); }", hz)
        return cls(tab, tab.close)


@contextlib.asynccontextmanager
async def launched(folder: Path) -> AsyncIterator[Session]:
    """A browser for the length of an `async with`; its profile and sockets are in `folder`."""
    path = executable()
    async with _null_sink(folder) as sink:
        profile = folder / "profile"
        profile.mkdir()
        lines = [
            f"user_pref({json.dumps(name)}, {json.dumps(value)});\n"
            for name, value in PREFERENCES.items()
        ]
        (profile / "user.js").write_text("".join(lines))
        words = [path, "--headless", "--no-remote", "--profile", str(profile)]
        process = await asyncio.create_subprocess_exec(
            *words,
            "--remote-debugging-port=0",
            env={**os.environ, "HOME": str(folder), "PULSE_SERVER": f"unix:{sink}"},
            stdout=DEVNULL,
            stderr=PIPE,
            limit=1 << 20,
        )
        assert process.stderr is not None
        reading: asyncio.Task[None] | None = None
        try:
            async with asyncio.timeout(START_S):
                address = await _announced(process.stderr)
            # What it says later would fill the pipe.
            reading = asyncio.create_task(_discard(process.stderr))
            async with connected(address) as session:
                yield session
                await session.call("browser.close")
        finally:
            await _ended(process)
            if reading is not None:
                await reading


@contextlib.asynccontextmanager
async def _null_sink(folder: Path) -> AsyncIterator[Path]:
    """A PulseAudio of our own that plays to nowhere; gives the path of its socket."""
    sink = folder / "pulse.sock"
    process = await asyncio.create_subprocess_exec(
        *("pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1"),
        *("-L", f"module-native-protocol-unix socket={sink} auth-anonymous=1"),
        *("-L", "module-null-sink rate=48000"),
        env={**os.environ, "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)},
        stdout=DEVNULL,
        stderr=DEVNULL,
    )
    try:
        await until(lambda: sink.exists() or process.returncode is not None, "PulseAudio starts")
        assert process.returncode is None, "PulseAudio ended"
        yield sink
    finally:
        await _ended(process)


async def _announced(output: asyncio.StreamReader) -> str:
    """The address that Firefox writes once it listens."""
    said = ""
    async for line in output:
        said += line.decode(errors="replace")
        if found := re.search(r"BiDi listening on (ws://\S+)", said):
            return found[1]
    raise AssertionError(f"Firefox ended at its start:\n{said}")


async def _discard(output: asyncio.StreamReader) -> None:
    while await output.read(1 << 16):
        pass


async def _ended(process: Process) -> None:
    """SIGTERM, and SIGKILL when it does not go."""
    if process.returncode is not None:
        return
    try:
        async with asyncio.timeout(STOP_S):
            process.terminate()
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
