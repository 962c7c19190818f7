"""Rooms with talkers and listeners, filled, then measured: the commands `room` and `rooms`."""

from __future__ import annotations

from typing import Final

from bench.loads.calm import all_of
from bench.loads.scene import Measured, Scene
from bench.results import Figures

# Where a mix is measured: the share of the listeners who are in first. What the others add is what
# a listener costs; what is left is the mixing.
_EARLY: Final = 0.25


async def run(scene: Scene) -> Measured:
    """The window begins when everybody is connected and two seconds have passed.

    For a mix there is a window like it before, with a few of the listeners.
    """
    options = scene.options
    if options.mode != "mix":
        await scene.fill(listeners=options.listeners)
        return await _measure(scene)
    few = round(_EARLY * options.listeners)
    await scene.fill(listeners=few)
    early = await _measure(scene)
    fewer = len(scene.listeners)
    await scene.let_in(options.listeners - few)
    measured = await _measure(scene)
    measured.verdict = all_of({"with few listeners": early.verdict, "": measured.verdict})
    more = len(scene.listeners)
    measured.figures |= listener_figures(early.figures, fewer, measured.figures, more)
    measured.figures.pop("joins_per_s", None)  # the first window lies between them
    return measured


async def _measure(scene: Scene) -> Measured:
    await scene.settle()
    await scene.begin()
    await scene.watch_for(scene.options.duration_s)
    measured, _, _ = await scene.end()
    return measured


def listener_figures(few: Figures, fewer: int, many: Figures, more: int) -> Figures:
    """What the server spends on a listener: all of it divided by them, and what each further one
    adds. `few` are the figures with `fewer` listeners, `many` with `more`.
    """
    if "server_cpu_percent" not in few or "server_cpu_percent" not in many or not more > fewer:
        return {}
    early, late = (10 * one["server_cpu_percent"] for one in (few, many))  # ms a second
    return {
        "cpu_ms_per_s_per_listener": late / more,
        "cpu_ms_per_s_per_further_listener": (late - early) / (more - fewer),
    }
