"""A daemon for each module: its tests use rooms of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.interop.daemon import Daemon, running


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A running daemon with default settings."""
    with running() as started:
        yield started
