"""What the direct tests of the compiled core share."""

from __future__ import annotations

import pytest

from tests.fast.stage import Stage


@pytest.fixture
def stage() -> Stage:
    """A forwarder with a small room."""
    return Stage()
