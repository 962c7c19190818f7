"""Chromium for tests: Debian's, headless, without network of its own, with a page for each peer."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator, Collection
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

PEER_SCRIPT = Path(__file__).parent / "browser_peer.js"
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Pages that are not in front must keep their timers and their sound.
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
)
# A tone of -10 dBFS arrives near -20 dB in its bin; what leaks from other tones is below -80.
HEARD_DB = -45.0


def executable() -> str:
    """Where Chromium is; skips the test when it is nowhere."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("chromium is not installed (Debian: apt-get install chromium)")
    return found


@contextlib.asynccontextmanager
async def launched() -> AsyncIterator[Browser]:
    """A browser for the length of an `async with`."""
    path = executable()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=path, headless=True, args=list(FLAGS)
        )
        try:
            yield browser
        finally:
            await browser.close()


class Silences(NamedTuple):
    """Seconds of decoded sound: the longest silence, the one at the end, what the decoder made up
    for packets that did not come, and all of it.
    """

    longest_s: float
    present_s: float
    made_up_s: float
    heard_s: float

    @property
    def gone_s(self) -> float:
        """How long there was no sound of the speaker, whatever was played instead."""
        return max(self.longest_s, self.made_up_s)


class BrowserPeer:
    """A page with one `BrowserPeer` of browser_peer.js in it."""

    def __init__(self, page: Page, context: BrowserContext) -> None:
        self.page = page
        self._context = context

    @classmethod
    async def open(cls, browser: Browser, hz: int) -> BrowserPeer:
        """A peer with a microphone that plays `hz`, in a context of its own."""
        context = await browser.new_context()
        page = await context.new_page()
        await page.goto("about:blank")
        await page.add_script_tag(content=PEER_SCRIPT.read_text())
        await page.evaluate("hz => { window.peer = new BrowserPeer(hz); }", hz)
        return cls(page, context)

    async def offer(self, *, speaks: bool) -> str:
        """The one SDP offer; with a microphone from the start, or with an empty sender."""
        sdp: str = await self.page.evaluate("speaks => peer.offer(speaks)", speaks)
        return sdp

    async def accept(self, answer: str) -> None:
        """The one SDP answer."""
        await self.page.evaluate("answer => peer.accept(answer)", answer)

    async def restart(self) -> str:
        """The offer of an ICE restart."""
        sdp: str = await self.page.evaluate("() => peer.restart()")
        return sdp

    async def silences(self) -> Silences:
        """How long the decoded sound was gone since the last call."""
        return Silences(*await self.page.evaluate("() => peer.silences()"))

    async def attach_microphone(self) -> None:
        """replaceTrack on m-line 0."""
        await self.page.evaluate("() => peer.attachMicrophone()")

    async def tones(self, among: Collection[int]) -> set[int]:
        """Which of these tones are in the decoded sound now."""
        frequencies = sorted(among)
        levels = await self.page.evaluate("hz => peer.levels(hz)", frequencies)
        return {hz for hz, level in zip(frequencies, levels, strict=True) if level > HEARD_DB}

    async def state(self) -> dict[str, Any]:
        """Connection and negotiation as the browser sees them."""
        state: dict[str, Any] = await self.page.evaluate("() => peer.state()")
        return state

    async def close(self) -> None:
        """Close the tab."""
        await self._context.close()
