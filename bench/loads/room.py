"""Rooms with talkers and listeners, filled, then measured: the commands `room` and `rooms`."""

from __future__ import annotations

from bench.loads.scene import Measured, Scene


async def run(scene: Scene) -> Measured:
    """The window begins when everybody is connected and two seconds have passed."""
    await scene.fill(listeners=scene.options.listeners)
    await scene.settle()
    await scene.begin()
    await scene.watch_for(scene.options.duration_s)
    measured, _, _ = await scene.end()
    return measured
