"""Chromium for tests: Debian's, headless, without network of its own, with a page for each peer."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, async_playwright

from tests.interop.page_peer import SCRIPT, PagePeer

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


class BrowserPeer(PagePeer):
    """A peer in a tab of Chromium."""

    page: Page

    @classmethod
    async def open(cls, browser: Browser, hz: int) -> BrowserPeer:
        """A peer with a microphone that plays `hz`, in a context of its own."""
        context = await browser.new_context()
        page = await context.new_page()
        await page.goto("about:blank")
        await page.add_script_tag(content=SCRIPT.read_text())
        await page.evaluate("hz => { window.peer = new BrowserPeer(hz); }", hz)
        return cls(page, context.close)
