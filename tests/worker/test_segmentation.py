"""When packets are held back to leave together."""

from __future__ import annotations

import pytest

from control.commands import ServerInfo
from control.errors import ControlError, ErrorCode
from sfu.worker.segmentation import (
    DWELL_S,
    OFF_BELOW,
    ON_ABOVE,
    SUSTAINED_S,
    Segmentation,
)
from tests.worker.harness import Bench


def changes(segmentation: Segmentation, load: float, begin: float, end: float) -> list[float]:
    """When it changes while the load stays the same, looked at once a second."""
    return [
        at
        for at in (begin + step for step in range(int(end - begin)))
        if segmentation.observe(load, at)
    ]


def test_it_follows_the_load_with_room_between_on_and_off() -> None:
    segmentation = Segmentation("auto")
    assert changes(segmentation, ON_ABOVE - 0.01, 0.0, 20.0) == []
    assert changes(segmentation, ON_ABOVE + 0.01, 20.0, 40.0) == [20.0 + SUSTAINED_S]
    # The load that it brought down by itself must not switch it off again.
    assert changes(segmentation, ON_ABOVE / 2, 40.0, 60.0) == []
    assert changes(segmentation, OFF_BELOW - 0.01, 60.0, 80.0) == [60.0 + SUSTAINED_S]


def test_a_rush_does_not_switch_it() -> None:
    segmentation = Segmentation("auto")
    for second in range(60):
        assert not segmentation.observe(0.0 if second % 3 == 2 else 1.0, float(second))


def test_it_dwells() -> None:
    segmentation = Segmentation("auto")
    (on,) = changes(segmentation, 0.9, 0.0, 5.0)
    assert changes(segmentation, 0.0, on + 1.0, on + 30.0) == [on + DWELL_S]


@pytest.mark.parametrize("mode", ["on", "off"])
def test_a_fixed_mode_ignores_the_load(mode: str) -> None:
    segmentation = Segmentation(mode)  # type: ignore[arg-type]
    for load in (0.0, 1.0):
        assert not segmentation.observe(load, 100.0)
        assert segmentation.is_on == (mode == "on")


def test_rooms_of_a_busy_worker_hold_back_and_new_ones_too() -> None:
    bench = Bench()
    bench.room("a")
    for _ in range(5):
        bench.worker.observe_load(0.9, bench.now)
        bench.drain()
        bench.now += 1.0
    bench.room("b")
    assert bench.worker.sizes()["rooms_segmented"] == 2
    for _ in range(12):
        bench.worker.observe_load(0.0, bench.now)
        bench.drain()
        bench.now += 1.0
    assert bench.worker.sizes()["rooms_segmented"] == 0


def test_a_full_worker_takes_nobody_new_but_those_inside_may_come_back() -> None:
    bench = Bench(max_load=0.9)
    bench.room("r")
    bench.join("p")
    for _ in range(20):
        bench.worker.observe_load(1.0, bench.now)
        bench.drain()
        bench.now += 1.0
    with pytest.raises(ControlError) as refused:
        bench.join("q")
    assert refused.value.code is ErrorCode.RESOURCE_EXHAUSTED
    assert refused.value.detail == {"limit": "load"}
    assert refused.value.retry_after_ms
    assert bench.join("p").participant.generation == 2
    assert bench.run(ServerInfo()).load > 0.9
    for _ in range(5):
        bench.worker.observe_load(0.2, bench.now)
        bench.drain()
        bench.now += 1.0
    bench.join("q")


def test_one_busy_second_refuses_nobody() -> None:
    bench = Bench()
    bench.room("r")
    bench.worker.observe_load(1.0, bench.now)
    bench.drain()
    bench.join("p")
