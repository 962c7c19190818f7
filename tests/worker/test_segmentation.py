"""When packets are held back to leave together."""

from __future__ import annotations

import pytest

from sfu.worker.segmentation import DWELL_S, OFF_BELOW, ON_ABOVE, Segmentation
from tests.worker.harness import Bench


def test_it_follows_the_load_with_room_between_on_and_off() -> None:
    segmentation = Segmentation("auto")
    assert not segmentation.observe(ON_ABOVE - 0.01, 0.0)
    assert segmentation.observe(ON_ABOVE + 0.01, 1.0) and segmentation.is_on
    # The load it brought down by itself must not switch it off again.
    assert not segmentation.observe(ON_ABOVE / 2, 1.0 + DWELL_S)
    assert segmentation.observe(OFF_BELOW - 0.01, 2.0 + DWELL_S) and not segmentation.is_on


def test_it_dwells() -> None:
    segmentation = Segmentation("auto")
    assert segmentation.observe(0.9, 0.0)
    assert not segmentation.observe(0.0, DWELL_S - 0.1)
    assert segmentation.observe(0.0, DWELL_S)


@pytest.mark.parametrize("mode", ["on", "off"])
def test_a_fixed_mode_ignores_the_load(mode: str) -> None:
    segmentation = Segmentation(mode)  # type: ignore[arg-type]
    for load in (0.0, 1.0):
        assert not segmentation.observe(load, 100.0)
        assert segmentation.is_on == (mode == "on")


def test_rooms_of_a_busy_worker_hold_back_and_new_ones_too() -> None:
    bench = Bench()
    bench.room("a")
    bench.worker.observe_load(0.9, bench.now)
    bench.drain()
    bench.room("b")
    assert bench.worker.sizes()["rooms_segmented"] == 2
    bench.worker.observe_load(0.0, bench.now + DWELL_S)
    bench.drain()
    assert bench.worker.sizes()["rooms_segmented"] == 0
