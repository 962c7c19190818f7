"""The demo as a newcomer meets it: `python -m deploy.club`, two tabs of a browser, two bots."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, Page, expect

from control import Client
from deploy.club import bots
from deploy.club.app import create_app
from deploy.club.club import Club
from tests.interop.daemon import ROOT, Ports, free_port, running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

START_S = 30.0
STOP_S = 10.0
WAIT_MS = 15_000
LISTENING = "You are listening."
# Half a second of silence ends what a track carried, and a jitter buffer plays it later.
ENDS_S = 2.0
# Counts from the first script on how often the page asked for the microphone.
COUNT_REQUESTS = """
window.microphoneRequests = 0;
const original = MediaDevices.prototype.getUserMedia;
MediaDevices.prototype.getUserMedia = function (...values) {
  window.microphoneRequests += 1;
  return original.apply(this, values);
};
"""


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
    listen: str
    moderate: str

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
            while "Moderate" not in printed:
                line = await process.stdout.readline()
                assert line, printed
                printed += line.decode()
        addresses = dict(re.findall(r"(Listen|Moderate)\s+(\S+)", printed))
        demo = Demo(process, addresses["Listen"], addresses["Moderate"])
        yield demo
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.communicate(), STOP_S)


async def enter(browser: Browser, address: str, name: str) -> Page:
    """A tab that joined the room under `name`. A fault in the page's code fails the test."""
    context = await browser.new_context(permissions=["microphone"])
    context.set_default_timeout(WAIT_MS)
    page = await context.new_page()
    page.on("pageerror", lambda error: pytest.fail(f"{name}: {error}"))
    await page.add_init_script(COUNT_REQUESTS)
    await page.add_init_script(KEEP_CONNECTIONS)
    await page.goto(address)
    await page.get_by_label("Your name").fill(name)
    await page.get_by_role("button", name=re.compile("Join")).click()
    await expect(page.get_by_role("button", name="Leave")).to_be_visible(timeout=WAIT_MS)
    return page


async def asked_for_microphone(page: Page) -> bool:
    """Whether the page has asked for the microphone so far."""
    asked: bool = await page.evaluate("() => window.microphoneRequests > 0")
    return asked


async def test_a_visit_from_the_door_to_the_stage_and_out(demo: Demo, browser: Browser) -> None:
    """Join, see bots speaking, raise a hand, be called up, talk, be seen talking, be removed."""
    moderator = await enter(browser, demo.moderate, "Mo")
    visitor = await enter(browser, demo.listen, "Visitor")

    await expect(visitor.locator("#stage .speaking .name")).to_contain_text("bot", timeout=WAIT_MS)
    await expect(visitor.locator("#announcement")).to_contain_text("is speaking", timeout=WAIT_MS)

    await visitor.get_by_role("button", name="Raise hand").click()
    await moderator.get_by_role("button", name="Call up: Visitor").first.click()
    unmute = visitor.get_by_role("button", name="Unmute")
    await expect(unmute).to_be_visible(timeout=WAIT_MS)
    assert not await asked_for_microphone(visitor)

    await unmute.click()
    await expect(visitor.locator("#standing")).to_contain_text("on air", timeout=WAIT_MS)
    assert await asked_for_microphone(visitor)
    speaking = moderator.locator("#stage .speaking", has_text="Visitor")
    await expect(speaking).to_be_visible(timeout=WAIT_MS)

    await visitor.get_by_role("button", name="Mute", exact=True).click()
    await expect(visitor.locator("#standing")).to_contain_text("muted", timeout=WAIT_MS)
    await expect(speaking).to_have_count(0, timeout=WAIT_MS)

    await moderator.get_by_role("button", name="Remove: Visitor").click()
    await expect(visitor.get_by_role("alert")).to_have_text(
        "You were removed from the room (by Mo).", timeout=WAIT_MS
    )
    await moderator.get_by_role("button", name="Leave").click()
    await expect(moderator.get_by_label("Your name")).to_be_visible(timeout=WAIT_MS)
    assert await demo.stop() == 0


@contextlib.asynccontextmanager
async def bots_in(ports: Ports) -> AsyncIterator[None]:
    """Two bots that talk in the lobby."""
    task = asyncio.create_task(bots.run(Client("127.0.0.1", ports.control), "lobby"))
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
    browser: Browser,
) -> None:
    """Then one by one again; and to bots, who hear nobody, nothing is sent at all."""
    ports = Ports.free()
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(running(ports=ports))
        control = await stack.enter_async_context(Client("127.0.0.1", ports.control))
        app = create_app(Club(control, moderator_key="key"))
        server = await stack.enter_async_context(TestServer(app))
        await stack.enter_async_context(bots_in(ports))
        page = await enter(browser, str(server.make_url("/")), "Visitor")
        await expect(page.locator("#stage .speaking .name")).to_contain_text("bot", timeout=WAIT_MS)
        snapshot = await control.room_snapshot(room="lobby")
        ids = {state.name: state.participant for state in snapshot.participants}
        visitor = ids.pop("Visitor")
        for bot in ids.values():
            assert (await control.subscription_get(room="lobby", participant=bot)).paused

        assert await lines_heard(page) <= SLOT_LINES
        await control.subscription_update(room="lobby", participant=visitor, mode="mix")
        await asyncio.sleep(ENDS_S)
        assert await lines_heard(page) == {MIX_LINE}
        await control.subscription_update(room="lobby", participant=visitor, mode="auto")
        await asyncio.sleep(ENDS_S)
        assert await lines_heard(page) <= SLOT_LINES


async def test_a_page_survives_a_daemon_that_is_started_again(browser: Browser) -> None:
    """It says that the audio server is away, and comes back listening by itself."""
    ports = Ports.free()
    async with contextlib.AsyncExitStack() as stack:
        with running(ports=ports):
            control = await stack.enter_async_context(Client("127.0.0.1", ports.control))
            app = create_app(Club(control, moderator_key="key"))
            server = await stack.enter_async_context(TestServer(app))
            page = await enter(browser, str(server.make_url("/")), "Visitor")
            await expect(page.locator("#standing")).to_have_text(LISTENING, timeout=WAIT_MS)
        await expect(page.get_by_role("alert")).to_contain_text("away", timeout=WAIT_MS)
        with running(ports=ports):
            await expect(page.locator("#banner")).to_be_hidden(timeout=WAIT_MS)
            await expect(page.locator("#standing")).to_have_text(LISTENING, timeout=WAIT_MS)
            snapshot = await control.room_snapshot(room="lobby")
            assert [state.name for state in snapshot.participants] == ["Visitor"]


async def test_a_taken_port_is_one_clear_line() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        process = await start_club(port, "--no-bots")
        output, _ = await asyncio.wait_for(process.communicate(), START_S)
    assert process.returncode == 2
    assert re.fullmatch(rf"club: cannot listen on 127.0.0.1:{port}: .*--port\n", output.decode())
