"""RED and profiles with a real browser on either side: told by what Chromium decoded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.async_api import Browser

from control.commands import ParticipantJoin, RoomCreate
from control.types import Profile, Role
from tests.interop.chromium import BrowserPeer
from tests.interop.house import House, Loss, nothing
from tests.interop.polling import until_equal

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

HZ, LEFT, RIGHT, LISTENER = 740, 440, 1_130, 1_480
OPUS, RED = 111, 63
SLOTS = 3
HEARD_DB = -45.0
# Of what was played. Unrepaired, the least of the losses below makes a tenth; a busy machine that
# runs browsers and server at once makes up one or two in a hundred by being late.
CONCEALED_MAX = 0.04
BROKEN_MIN = 0.07
# A copy comes one or two frames later than what it replaces. Browsers on a line as even as loopback
# do not wait for it: their jitter buffers hold 20 to 40 ms.
HOLD_BACK = "holdBack(peer, 80)"
NO_RED = "offerNoRed()"
SETTLE_S = 1.0
# What a phase of a test lasts: fifty packets a second.
PHASE_S = 2.0
SCRIPT = Path(__file__).parent / "codec_page.js"
ADD_SCRIPT = """source => {
  const script = document.createElement("script");
  script.textContent = source;
  document.head.append(script);
}"""


class Streams(NamedTuple):
    """What a browser says of the track that it hears and of the one it sends, so far or since."""

    samples: float
    concealed: float
    energy: float
    discarded: float
    lost: float
    packets: float
    sent: float
    sentBytes: float  # noqa: N815  # as the page calls it


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with House() as opened:
        await opened.run(RoomCreate(room="r", slots=SLOTS))
        yield opened


async def page_of(browser: Browser, hz: int, *calls: str) -> BrowserPeer:
    """A page that has called these of codec_page.js."""
    peer = await BrowserPeer.open(browser, hz)
    await peer.page.evaluate(ADD_SCRIPT, SCRIPT.read_text())
    for call in calls:
        await peer.page.evaluate(f"() => {{ {call}; }}")
    return peer


async def join(house: House, peer: BrowserPeer, role: Role, profile: Profile = "voice") -> str:
    """Into the room, under its role's name; the answer."""
    command = ParticipantJoin(
        room="r",
        participant=role.value,
        role=role,
        offer=await peer.offer(speaks=role is Role.SPEAKER),
        profile=profile,
    )
    answer: str = (await house.run(command)).answer
    await peer.accept(answer)
    return answer


async def streams(peer: BrowserPeer) -> Streams:
    """As of now."""
    return Streams(**await peer.page.evaluate("() => streams(peer)"))


async def phase(peer: BrowserPeer) -> Streams:
    """What was added in the length of a phase, once its decoder has settled."""
    await asyncio.sleep(SETTLE_S)
    before = await streams(peer)
    await asyncio.sleep(PHASE_S)
    after = await streams(peer)
    return Streams(*(now - then for now, then in zip(after, before, strict=True)))


async def until_heard(peer: BrowserPeer) -> None:
    """The speaker's tone is there, and stays."""

    async def heard() -> set[int]:
        return await peer.tones([HZ])

    await until_equal(heard, {HZ}, holds=5)


def check_whole(heard: Streams) -> None:
    """Decoded without a break: samples of all the time, sound in them, hardly any made up."""
    assert heard.samples > 0.9 * PHASE_S * 48_000
    # A sine of 0.3 has 0.045 of full scale squared, per second.
    assert heard.energy > 0.5 * 0.045 * PHASE_S
    assert heard.concealed / heard.samples < CONCEALED_MAX, heard


def singles(place: int) -> bool:
    """One packet in ten."""
    return place % 10 == 0


def pairs(place: int) -> bool:
    """Two in ten, one after the other."""
    return place % 10 < 2


@pytest.mark.parametrize("listener_takes_red", [False, True])
async def test_a_browser_that_prefers_red_saves_its_voice_for_everybody(
    browser: Browser, house: House, listener_takes_red: bool
) -> None:
    """One packet in ten is lost on its way up, and nobody notices, with RED or without."""
    speaker = await page_of(browser, HZ, "preferRed()")
    listener = await page_of(browser, LISTENER, HOLD_BACK, "" if listener_takes_red else NO_RED)
    await join(house, speaker, Role.SPEAKER)
    await join(house, listener, Role.LISTENER)
    await until_heard(listener)

    house.port.up.loses = singles
    recovered = house.forwarder.counters()["recovered"]
    house.port.up.payload_types.clear()
    check_whole(await phase(listener))
    assert set(house.port.up.payload_types) == {RED}
    assert set(house.port.down.payload_types) == {OPUS}
    assert house.forwarder.counters()["recovered"] - recovered >= PHASE_S * 50 / 10 * 0.8
    await until_heard(listener)


async def test_a_browser_that_is_not_asked_sends_opus_alone(browser: Browser, house: House) -> None:
    """RED stands behind Opus in the answer then, as in the offer: protection has its price."""
    speaker, listener = [await page_of(browser, hz) for hz in (HZ, LISTENER)]
    assert "red/48000/2" in await join(house, speaker, Role.SPEAKER)
    await join(house, listener, Role.LISTENER)
    await until_heard(listener)
    assert set(house.port.up.payload_types) == {OPUS}


# How many copies, what is lost, and whether so many make it good.
PHASES: list[tuple[int, Loss, bool]] = [
    (0, nothing, True),
    (0, singles, False),
    (1, singles, True),
    (2, pairs, True),
    (1, nothing, True),
    (0, nothing, True),
]


async def test_a_browser_hears_on_while_red_goes_on_and_off(browser: Browser, house: House) -> None:
    """What so many copies repair is not noticed, nor is that they come and go; without them it is.

    Copies of what came already are discarded: so they were read.
    """
    speaker, listener = await page_of(browser, HZ), await page_of(browser, LISTENER, HOLD_BACK)
    await join(house, speaker, Role.SPEAKER)
    await join(house, listener, Role.LISTENER)
    await until_heard(listener)
    house.port.up.loses_reports = True
    for copies, loses, is_repaired in PHASES:
        house.protect("r", Role.LISTENER.value, copies)
        house.port.down.loses = loses
        house.port.down.payload_types.clear()
        heard = await phase(listener)
        if is_repaired:
            check_whole(heard)
        else:
            assert heard.concealed / heard.samples > BROKEN_MIN
        assert set(house.port.down.payload_types) == {RED if copies else OPUS}
        assert (heard.discarded >= 0.5 * heard.packets) is (copies > 0)
    await until_heard(listener)


async def channels(peer: BrowserPeer) -> list[set[int]]:
    """Which tones are left and right."""
    among = [LEFT, RIGHT]
    levels: list[list[float]] = await peer.page.evaluate("hz => channelLevels(peer, hz)", among)
    return [
        {hz for hz, level in zip(among, channel, strict=True) if level > HEARD_DB}
        for channel in levels
    ]


BOTH = {LEFT, RIGHT}


@pytest.mark.parametrize(
    ("profile", "asks", "expected"),
    [
        ("music", "askForStereo()", [{LEFT}, {RIGHT}]),
        ("music", "", [BOTH, BOTH]),
        ("voice", "askForStereo()", [BOTH, BOTH]),
    ],
)
async def test_music_is_stereo_for_whoever_asks_for_it_and_a_voice_is_mono(
    browser: Browser, house: House, profile: Profile, asks: str, expected: list[set[int]]
) -> None:
    musician = await page_of(browser, HZ, f"playStereo(peer, {LEFT}, {RIGHT})")
    listener = await page_of(browser, LISTENER, asks, "splitChannels(peer)")
    await join(house, musician, Role.SPEAKER, profile)
    await join(house, listener, Role.LISTENER)

    async def heard() -> Any:
        return await channels(listener)

    await until_equal(heard, expected, holds=5)
