"""Chromium behind a wire that the kernel makes bad: what it makes up, and how far behind it is.

The speakers are beside the daemon, so only the way to the listener is bad.

    LISTEN_S=60 make test ARGS='tests/interop/test_wire.py -s'           # longer looks
"""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Browser

from control import Client
from control.types import Role
from tests.interop import wire
from tests.interop.chromium import BrowserPeer, launched
from tests.interop.crowd import Crowd
from tests.interop.daemon import Daemon
from tests.interop.floor import CONCEALMENT_MAX, SETTLE_S, TONES, join
from tests.interop.page_peer import NOTHING, Decoded, Repair
from tests.interop.polling import until_equal
from tests.interop.tones import endless
from tests.interop.wire import Wire

LISTEN_S = float(os.environ.get("LISTEN_S", "5"))
# Long enough for copies that nobody needs any more to be taken away again.
LONG_S = 30.0
RATE_BPS = 100_000
QUEUE_MS = 300
# By then a listener is on what fits, and what waited before is gone.
FITS_WITHIN_S = 6.0
# What the wire's queue holds, and as much again for the jitter that it makes.
BEHIND_S_MAX = 2 * QUEUE_MS / 1000

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120 + 6 * LISTEN_S)]


@pytest.fixture(scope="module")
def way() -> Iterator[Wire]:
    """The browser is at the clients' end of it."""
    wire.need("tc", "nft")
    with Wire.laid() as laid, laid.at_the_clients():
        yield laid


@pytest.fixture(scope="module")
def daemon(way: Wire) -> Iterator[Daemon]:
    with way.daemon() as started:
        yield started


@pytest.fixture
async def browser(way: Wire) -> AsyncIterator[Browser]:
    async with launched() as started:
        yield started


# Concealment at 10 % random loss. A copy leaves what is lost twice in a row, asking again leaves
# what is lost every time: 1 %, and more by chance in a look of some seconds.
REPAIRED_MAX = 0.04
UNREPAIRED_MIN = 0.05
REPAIRS = {
    "nothing": Repair(red=False, nack=False),
    "RED": Repair(red=True, nack=False),
    "NACK": Repair(red=False, nack=True),
    "both": Repair(red=True, nack=True),
}


async def looks(listeners: dict[str, BrowserPeer], seconds: float) -> dict[str, Decoded]:
    """What each decodes in so much time."""
    before = {name: await peer.decoded() for name, peer in listeners.items()}
    await asyncio.sleep(seconds)
    return {name: (await peer.decoded()).since(before[name]) for name, peer in listeners.items()}


async def test_loss_is_repaired_for_who_offered_to_have_it_repaired(
    control: Client, browser: Browser, way: Wire
) -> None:
    """Four listeners behind the same wire, each with other means."""
    async with Crowd(control, "loss", slots=1) as crowd:
        with way.at_the_daemon():
            speaker = await crowd.join("speaker", Role.SPEAKER)
        speaker.talk(endless(TONES[0]), 20)
        listeners: dict[str, BrowserPeer] = {}
        for name, repair in REPAIRS.items():
            listeners[name] = await BrowserPeer.open(browser, 600)
            await join(control, "loss", name, Role.LISTENER, listeners[name], repair)
            await until_equal(functools.partial(listeners[name].tones, TONES), {TONES[0]})
        before = await looks(listeners, 2.0)
        report("no loss", before)
        with way.loss(0.10):
            await copies_come(control)
            at_random = await looks(listeners, LISTEN_S)
            report(f"{way.dropped().ratio:.1%} at random", at_random)
        with way.loss(0.10, burst_ms=60):
            in_bursts = await looks(listeners, LISTEN_S)
            report(f"{way.dropped().ratio:.1%} in bursts of 60 ms", in_bursts)
        if LISTEN_S >= LONG_S:
            await copies_go(control, listeners)
        for name, decoded in before.items():
            assert decoded.concealment <= CONCEALMENT_MAX, name
        assert at_random["nothing"].concealment >= UNREPAIRED_MIN
        for name in ("RED", "NACK", "both"):
            assert at_random[name].concealment <= REPAIRED_MAX, name
        assert in_bursts["both"].concealment < in_bursts["nothing"].concealment


async def copies(control: Client, name: str) -> int:
    """How many earlier packets this listener is sent with each."""
    state = await control.subscription_get(room="loss", participant=name)
    return state.protection


async def copies_come(control: Client) -> None:
    """Wait for the receiver reports that ask for protection: Chromium sends one every 5 s."""

    async def who() -> set[str]:
        return {name for name in REPAIRS if await copies(control, name)}

    await until_equal(who, {"RED", "both"}, timeout_s=20.0, holds=1)


async def copies_go(control: Client, listeners: dict[str, BrowserPeer]) -> None:
    """The line is good again: half a minute of calm takes a copy away, and nobody hears it."""
    before = {name: await peer.decoded() for name, peer in listeners.items()}

    async def protected() -> int:
        return await copies(control, "RED")

    await until_equal(protected, 0, timeout_s=90.0, holds=1)
    calm = {name: (await peer.decoded()).since(before[name]) for name, peer in listeners.items()}
    report("no loss again, until the copies are gone", calm)
    for name, decoded in calm.items():
        assert decoded.concealment <= CONCEALMENT_MAX, name


def report(what: str, decoded: dict[str, Decoded]) -> None:
    """One line for each listener."""
    print(f"{what}:", *(f"{name:8} {one}" for name, one in decoded.items()), sep="\n  ")


async def test_what_a_narrow_wire_cannot_carry_is_not_sent(
    control: Client, browser: Browser, way: Wire
) -> None:
    """100 kbit/s: one voice passes unharmed; two would fill the wire, and are heard in less."""
    async with Crowd(control, "narrow", slots=2) as crowd:
        with way.at_the_daemon():
            speakers = [await crowd.join(f"speaker-{hz}", Role.SPEAKER) for hz in TONES[:2]]
        speakers[0].talk(endless(TONES[0]), 20)
        listener = await BrowserPeer.open(browser, 600)
        await join(control, "narrow", "listener", Role.LISTENER, listener)
        await until_equal(lambda: listener.tones(TONES), {TONES[0]})
        with way.rate(RATE_BPS, QUEUE_MS):
            await looks({"": listener}, SETTLE_S)
            one = (await looks({"": listener}, LISTEN_S / 2))[""]
            print("one voice:", one, way.queue())
            assert one.lost == 0 and one.concealment <= CONCEALMENT_MAX
            speakers[1].talk(endless(TONES[1]), 20)
            await until_equal(lambda: listener.tones(TONES), set(TONES[:2]), timeout_s=10.0)
            await asyncio.sleep(FITS_WITHIN_S)
            dropped, before = way.queue()["drops"], await listener.every_decoded()
            await asyncio.sleep(LISTEN_S)
            after = await listener.every_decoded()
            two = [one.since(before.get(mid, NOTHING)) for mid, one in after.items()]
            print("two voices:", *two, way.queue(), sep="\n  ")
            assert way.queue()["drops"] == dropped
            for part in two:
                assert part.delay_s <= one.delay_s + BEHIND_S_MAX
            assert await listener.tones(TONES) == set(TONES[:2])
