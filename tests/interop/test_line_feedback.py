"""Chromium tells what became of numbered packets, and sends as if there were no numbers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser

from control.commands import ParticipantJoin, RoomCreate
from control.types import Profile, Role
from tests.interop.chromium import BrowserPeer
from tests.interop.house import House
from tests.interop.polling import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

# An estimate that nothing is told to has fallen as far as it does by then.
UNANSWERED_S = 12.0
MEASURED_S = 4.0
# Its encoder follows the estimate only then.
ADAPTIVE = """async () => {
  const parameters = peer.uplink.sender.getParameters();
  parameters.encodings[0].adaptivePtime = true;
  await peer.uplink.sender.setParameters(parameters);
}"""
SENT = """async () => {
  const report = Array.from((await peer.pc.getStats()).values());
  const { bytesSent, packetsSent } = report.find((entry) => entry.type === "outbound-rtp");
  return [bytesSent, packetsSent];
}"""


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with House() as opened:
        await opened.run(RoomCreate(room="r", slots=3))
        yield opened


async def join(house: House, browser: Browser, name: str, hz: int, profile: Profile) -> BrowserPeer:
    """A page on stage."""
    peer = await BrowserPeer.open(browser, hz)
    command = ParticipantJoin(
        room="r",
        participant=name,
        role=Role.SPEAKER,
        offer=await peer.offer(speaks=True),
        profile=profile,
    )
    answer = (await house.run(command)).answer
    assert "a=rtcp-fb:111 transport-cc" in answer
    await peer.accept(answer)
    return peer


async def sent_kbps(peer: BrowserPeer) -> float:
    """Of RTP payload."""
    before = await peer.page.evaluate(SENT)
    await asyncio.sleep(MEASURED_S)
    bytes_sent, packets = [
        now - then for now, then in zip(await peer.page.evaluate(SENT), before, strict=True)
    ]
    assert packets >= MEASURED_S * 40
    return 8e-3 * float(bytes_sent) / MEASURED_S


async def test_what_the_browser_tells_of_newcomers_packets_is_understood(
    house: House, browser: Browser
) -> None:
    peers = [await join(house, browser, name, hz, "voice") for name, hz in (("a", 440), ("b", 740))]

    def told() -> int:
        counters = house.forwarder.counters()
        return counters["stamped_arrived"] + counters["stamped_lost"]

    await until(lambda: told() >= 300, "300 packets told of", timeout_s=15.0)
    counters = house.forwarder.counters()
    assert counters["stamped_lost"] <= 0.05 * told()
    assert counters["stamped"] - told() <= 100, "no more than half a second is on its way"
    assert counters["feedback_malformed"] == 0
    for peer in peers:
        await peer.close()


@pytest.mark.parametrize(
    ("profile", "kbps", "setting"), [("voice", 32.0, ADAPTIVE), ("music", 128.0, "")]
)
async def test_a_browser_sends_as_much_as_ever_although_nobody_tells_it_what_came(
    house: House, browser: Browser, profile: Profile, kbps: float, setting: str
) -> None:
    """Were its packets numbered, the first of these would send 6 kbit/s by then."""
    peers = [await join(house, browser, name, hz, profile) for name, hz in (("a", 440), ("b", 740))]
    if setting:
        for peer in peers:
            await peer.page.evaluate(setting)
    await asyncio.sleep(UNANSWERED_S)
    for sent in await asyncio.gather(*(sent_kbps(peer) for peer in peers)):
        assert sent == pytest.approx(kbps, rel=0.1)
    for peer in peers:
        await peer.close()
