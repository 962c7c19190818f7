"""What goes into the encoders, for tests that judge mixes and not codecs."""

from __future__ import annotations

import pytest

from sfu.mixing import Frame
from sfu.mixing.opus import Pcm
from sfu.mixing.output import Heard, Output


@pytest.fixture
def mixed(monkeypatch: pytest.MonkeyPatch) -> list[Pcm]:
    """What goes into the encoders, tick by tick."""
    blocks: list[Pcm] = []
    add = Output.add

    def noting(self: Output, heard: Heard, at: float) -> Frame | None:
        blocks.append(heard.wide.copy())
        return add(self, heard, at)

    monkeypatch.setattr(Output, "add", noting)
    return blocks
