"""A daemon for each module, whose tests use rooms of their own; who steers it, and a browser."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Browser

from control import Client
from tests.interop.chromium import launched
from tests.interop.daemon import Daemon, running


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A running daemon with default settings."""
    with running() as started:
        yield started


@pytest.fixture
async def control(daemon: Daemon) -> AsyncIterator[Client]:
    """A backend of the daemon that the module has, its own or the one above."""
    async with daemon.client() as client:
        yield client


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Chromium; without it the test skips."""
    async with launched() as started:
        yield started
