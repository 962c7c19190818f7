"""Chromium as a listener for long: nothing is made up, and what waits to be played does not grow.

LISTEN_S=180 make test ARGS='tests/interop/test_listening.py -s'     # three minutes of it
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser

from control import Client
from tests.interop.chromium import BrowserPeer
from tests.interop.floor import Floor, assert_cut_clean, assert_unbroken

LISTEN_S = float(os.environ.get("LISTEN_S", "18"))
TURN_S = 1.0
# One look at the figures; the first and the last third of them are compared.
LOOK_TURNS = 3

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120 + 2 * LISTEN_S)]


@pytest.fixture
async def floor(
    control: Client, browser: Browser, request: pytest.FixtureRequest
) -> AsyncIterator[Floor]:
    listener, beside = [await BrowserPeer.open(browser, 600) for _ in range(2)]
    async with Floor.opened(control, request.node.name, listener, beside) as opened:
        yield opened


async def test_speakers_take_turns_and_the_listener_stays_as_near_as_it_was(floor: Floor) -> None:
    """Another speaker every second on the one slot of the room."""
    looks = [
        await floor.passes_on(LOOK_TURNS, TURN_S)
        for _ in range(round(LISTEN_S / (LOOK_TURNS * TURN_S)))
    ]
    print("Chromium, switching:", *looks, sep="\n  ")
    assert_unbroken(looks)
    state = await floor.listener.state()
    assert (state["signaling"], state["negotiations"]["remote"]) == ("stable", 1)


async def test_mute_and_unmute_leave_the_listener_as_near_as_it_was(floor: Floor) -> None:
    """Silence within moments, the voice again within moments, and no sound of a broken one."""
    before = await floor.listens(1.0)
    muted = await floor.mutes(times=3)
    after = await floor.passes_on(turns=LOOK_TURNS, turn_s=TURN_S)
    print("Chromium, muting:", before, muted, after, sep="\n  ")
    assert_unbroken([before, after])
    assert_cut_clean(muted, times=3)
