"""Chromium is sent slots, then a mix, then slots again: no word of SDP, and nothing that is heard.

LISTEN_S=60 make test ARGS='tests/interop/test_tiers.py -s'
"""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser

from control import Client
from control.types import Role, SubscriptionMode
from tests.interop.chromium import BrowserPeer
from tests.interop.crowd import Crowd
from tests.interop.floor import LOUD, SETTLE_S, TONES, join
from tests.interop.page_peer import NOTHING, Decoded, PagePeer
from tests.interop.polling import until_equal
from tests.interop.tones import endless

LISTEN_S = float(os.environ.get("LISTEN_S", "6"))
ROOM = "tiers"
SLOT_LINES, MIX_LINE = ("0", "1", "2"), "3"
# A tone of -10 dBFS arrives at 0.3; in the mix all are as loud as speech, and three at that.
SILENT_PEAK = 0.02
SILENCE_S_MAX = 0.100
CONCEALMENT_MAX = 0.02
# After silence what a decoder repeats is silence too, though it is counted: 50 ms, more on a busy
# machine. A voice that is cut off takes 430 ms.
ENDED_S_MAX = 0.25
# For each tier by choice: the most that it may cost, and its name.
CAPS = {"B1": 70, "B2": 45, "B3": 28, "B4": 20, "B5": 14}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120 + 8 * LISTEN_S)]


@pytest.fixture
async def listener(control: Client, browser: Browser) -> AsyncIterator[PagePeer]:
    """It hears three voices, one on each of its m-lines, and offered one more for the mix."""
    async with Crowd(control, ROOM) as crowd:
        for hz in TONES:
            guest = await crowd.join(f"voice-{hz}", Role.SPEAKER)
            guest.talk(endless(hz), LOUD)
        peer = await BrowserPeer.open(browser, 600)
        await join(control, ROOM, "listener", Role.LISTENER, peer, mix=True)
        await until_equal(functools.partial(peer.tones, TONES), set(TONES), holds=3)
        await peer.call_silent(SILENT_PEAK)
        await asyncio.sleep(SETTLE_S)
        yield peer


async def tier(control: Client) -> str:
    """What the browser is sent."""
    return (await control.subscription_get(room=ROOM, participant="listener")).tier


async def change(control: Client, listener: PagePeer, to: str) -> dict[str, Decoded]:
    """Go to this tier, and listen: what each m-line decoded from before the change on."""
    before = await listener.every_decoded()
    await listener.silences()
    mode: SubscriptionMode = "mix" if to in CAPS else "auto"
    cap = CAPS.get(to)
    await control.subscription_update(room=ROOM, participant="listener", mode=mode, max_kbps=cap)
    await until_equal(functools.partial(tier, control), to, holds=1)
    await asyncio.sleep(LISTEN_S)
    silences = await listener.silences()
    after = await listener.every_decoded()
    decoded = {mid: one.since(before.get(mid, NOTHING)) for mid, one in after.items()}
    print(f"to {to}: silent for {silences.longest_s:.3f} s at most")
    print(*(f"  {mid}: {one}" for mid, one in decoded.items()), sep="\n")
    assert silences.longest_s <= SILENCE_S_MAX
    await until_equal(functools.partial(listener.tones, TONES), set(TONES), holds=1)
    return decoded


def carrying(decoded: dict[str, Decoded], *lines: str) -> list[Decoded]:
    """Those that got something on these m-lines."""
    return [decoded[line] for line in lines if line in decoded and decoded[line].packets]


@pytest.mark.parametrize("mixed", ["B2", "B1"])
async def test_nothing_is_heard_of_a_change_from_slots_to_a_mix_and_back(
    control: Client, listener: PagePeer, mixed: str
) -> None:
    assert await tier(control) == "A1"
    down = await change(control, listener, mixed)
    (mix,) = carrying(down, MIX_LINE)
    assert mix.concealment <= CONCEALMENT_MAX
    up = await change(control, listener, "A1")
    slots = carrying(up, *SLOT_LINES)
    assert len(slots) == len(TONES)
    assert all(one.concealment <= CONCEALMENT_MAX for one in slots)
    for ended in (*carrying(down, *SLOT_LINES), *carrying(up, MIX_LINE)):
        assert ended.concealed - ended.silent <= ENDED_S_MAX * 48_000
    state = await listener.state()
    assert (state["signaling"], state["negotiations"]["remote"]) == ("stable", 1)


async def test_everybody_is_in_the_mix_on_each_tier(control: Client, listener: PagePeer) -> None:
    """Down to the narrowest, from one mix to the next on the same m-line."""
    for to in CAPS:
        (mix,) = carrying(await change(control, listener, to), MIX_LINE)
        assert mix.lost == 0 and mix.concealment <= CONCEALMENT_MAX, to
