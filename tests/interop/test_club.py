"""The demo as a newcomer meets it: `python -m deploy.club`, a browser, two bots; and its sound."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from control import Client
from deploy.club import bots
from deploy.club.__main__ import HOST_PHONE, Furnished, furnish
from tests.interop.club_process import club_here, settings_for
from tests.interop.club_tab import WAIT_MS, Tab
from tests.interop.daemon import ROOT, Daemon, Ports, free_port, running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

START_S = 30.0
STOP_S = 10.0
GUEST_PHONE = "+4915120000017"
LISTENING = "You are listening."
# Half a second of silence ends what a track carried, and a jitter buffer plays it later.
ENDS_S = 2.0
# Keeps the page's connections where a test finds them.
KEEP_CONNECTIONS = """
window.connections = [];
const Connection = RTCPeerConnection;
window.RTCPeerConnection = class extends Connection {
  constructor(...values) {
    super(...values);
    window.connections.push(this);
  }
};
"""
# The energy of the sound decoded so far, by m-line.
ENERGIES = """async () => {
  const stats = Array.from((await window.connections.at(-1).getStats()).values());
  const inbound = stats.filter((entry) => entry.type === "inbound-rtp");
  return Object.fromEntries(inbound.map(({ mid, totalAudioEnergy }) => [mid, totalAudioEnergy]));
}"""
SLOT_LINES, MIX_LINE = {"0", "1", "2"}, "3"
# Speech of a bot has some hundredths in a second; what an ending leaves is below a thousandth.
HEARD_ENERGY = 0.001


@dataclass(frozen=True)
class Demo:
    """A running demo and the addresses it printed."""

    process: asyncio.subprocess.Process
    base_url: str
    invitation: str
    room: str

    async def stop(self) -> int:
        """Ctrl-C, then the exit status."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGINT)
        return await asyncio.wait_for(self.process.wait(), STOP_S)


async def start_club(port: int, *arguments: str) -> asyncio.subprocess.Process:
    """`python -m deploy.club` on free ports."""
    ports = Ports.free()
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "deploy.club", "--port", str(port)),
        *("--control-port", str(ports.control), "--http-port", str(ports.http)),
        *("--media-listen", f"127.0.0.1:{ports.media}"),
        *arguments,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


@pytest.fixture
async def demo() -> AsyncIterator[Demo]:
    process = await start_club(free_port(socket.SOCK_STREAM))
    assert process.stdout is not None
    printed = ""
    try:
        async with asyncio.timeout(START_S):
            while "Ctrl-C" not in printed:
                line = await process.stdout.readline()
                assert line, printed
                printed += line.decode()
        addresses = dict(re.findall(r"(Come in|The room)\s+http://[^/]+(\S+)", printed))
        base_url = re.findall(r"Come in\s+(http://[^/]+)", printed)[0]
        yield Demo(process, base_url, addresses["Come in"], addresses["The room"])
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.communicate(), STOP_S)


async def test_a_visit_from_the_invitation_to_the_stage_and_out(
    demo: Demo, browser: Browser
) -> None:
    """Come in, see bots speaking, raise a hand, be called up, talk, be removed."""
    guest = await Tab.open(browser, demo.base_url, "guest")
    await guest.go(demo.invitation)
    await guest.click("sign-in")
    await guest.fill("phone", GUEST_PHONE)
    await guest.click("send")
    await guest.enter_code()
    await guest.introduce("guest 1", "music")
    assert guest.path == "/hall"
    await guest.click("room-card")
    await guest.page.wait_for_url(f"**{demo.room}")
    await expect(guest.page.locator(".is-speaking")).to_contain_text("bot", timeout=WAIT_MS)

    host = await Tab.open(browser, demo.base_url, "host")
    await host.sign_in(HOST_PHONE)
    await host.enter(demo.room)
    await guest.click("hand")
    await host.click("call-up", within=host.hook("hands"))
    unmute = guest.page.locator('[data-test="mute"][data-action="unmute"]')
    await expect(unmute).to_be_visible(timeout=WAIT_MS)
    assert await guest.microphone_requests() == 0
    await guest.unmute()
    assert await guest.microphone_requests() == 1
    on_stage = host.hook("stage").locator("li", has_text="guest 1")
    await expect(on_stage).to_have_class(re.compile("is-speaking"), timeout=WAIT_MS)
    await guest.mute()
    await host.click("remove", within=on_stage)
    await host.click("remove-yes")
    await expect(guest.hook("farewell-text")).to_contain_text("removed", timeout=WAIT_MS)
    assert await demo.stop() == 0


@dataclass(frozen=True)
class Lobby:
    """A club with one live room, and a tab of its host in it."""

    daemon: Daemon
    control: Client
    room: str
    tab: Tab


@contextlib.asynccontextmanager
async def lobby(browser: Browser, folder: Path, daemon: Daemon) -> AsyncIterator[Lobby]:
    """The demo's club in this process; its host is in the room."""
    settings = settings_for(f"sqlite+aiosqlite:///{folder / 'club.sqlite'}")
    async with club_here(settings, daemon) as club:
        furnished: Furnished = await furnish(club)
        control = Client("127.0.0.1", daemon.ports.control)
        tab = await Tab.open(browser, settings.base_url, "host")
        await tab.page.add_init_script(KEEP_CONNECTIONS)
        await tab.sign_in(HOST_PHONE)
        await tab.enter(f"/rooms/{furnished.room}")
        async with control:
            yield Lobby(daemon, control, furnished.room, tab)


@contextlib.asynccontextmanager
async def bots_in(daemon: Daemon, room: str) -> AsyncIterator[None]:
    """Two bots that talk in the room."""
    task = asyncio.create_task(bots.run(Client("127.0.0.1", daemon.ports.control), room))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def lines_heard(page: Page) -> set[str]:
    """The m-lines that bring sound; waits while everybody is silent."""
    before = await page.evaluate(ENERGIES)
    async with asyncio.timeout(WAIT_MS / 1000):
        while True:
            await asyncio.sleep(0.5)
            after = await page.evaluate(ENERGIES)
            brought = {mid: energy - before.get(mid, 0.0) for mid, energy in after.items()}
            if max(brought.values(), default=0.0) > HEARD_ENERGY:
                return {mid for mid, energy in brought.items() if energy > HEARD_ENERGY}


async def test_a_page_hears_everybody_on_its_last_m_line_when_that_is_all_it_may_have(
    browser: Browser, tmp_path: Path
) -> None:
    """Then one by one again; and to bots, who hear nobody, nothing is sent at all."""
    with running() as daemon:
        async with lobby(browser, tmp_path, daemon) as club, bots_in(daemon, club.room):
            page, room = club.tab.page, club.room
            await expect(page.locator(".is-speaking")).to_contain_text("bot", timeout=WAIT_MS)
            snapshot = await club.control.room_snapshot(room=room)
            ids = {state.name: state.participant for state in snapshot.participants}
            host = ids.pop("Demo host")
            for bot in ids.values():
                assert (await club.control.subscription_get(room=room, participant=bot)).paused
            assert await lines_heard(page) <= SLOT_LINES
            await club.control.subscription_update(room=room, participant=host, mode="mix")
            await asyncio.sleep(ENDS_S)
            assert await lines_heard(page) == {MIX_LINE}
            await club.control.subscription_update(room=room, participant=host, mode="auto")
            await asyncio.sleep(ENDS_S)
            assert await lines_heard(page) <= SLOT_LINES


async def test_a_page_survives_a_daemon_that_is_started_again(
    browser: Browser, tmp_path: Path
) -> None:
    """It says that the audio server is away, and comes back by itself."""
    ports = Ports.free()
    async with contextlib.AsyncExitStack() as stack:
        with running(ports=ports) as daemon:
            club = await stack.enter_async_context(lobby(browser, tmp_path, daemon))
            standing = club.tab.hook("standing")
            await expect(standing).to_contain_text("on stage", timeout=WAIT_MS)
        await expect(club.tab.hook("banner")).to_contain_text("away", timeout=WAIT_MS)
        with running(ports=ports):
            await expect(club.tab.hook("banner")).to_be_hidden(timeout=WAIT_MS)
            await expect(standing).to_contain_text("on stage", timeout=WAIT_MS)
            snapshot = await club.control.room_snapshot(room=club.room)
            assert [state.name for state in snapshot.participants] == ["Demo host"]


async def test_a_taken_port_is_one_clear_line() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        process = await start_club(port, "--no-bots")
        output, _ = await asyncio.wait_for(process.communicate(), START_S)
    assert process.returncode == 2
    assert re.fullmatch(rf"club: cannot listen on 127.0.0.1:{port}: .*--port\n", output.decode())
