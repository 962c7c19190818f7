"""Steady coming and going: whether those who stay hear it, and what the server keeps of it."""

from __future__ import annotations

import asyncio

from bench.joining import Joining
from bench.loads.scene import Measured, Scene
from bench.visiting import Visits


async def run(scene: Scene) -> Measured:
    """`listeners` stay and are measured; visitors join at `churn_rate` and stay for `stay_s`."""
    options = scene.options
    await scene.fill(listeners=options.listeners)
    await scene.settle()
    await scene.begin()
    measured, _ = await visit(scene)
    return measured


async def visit(scene: Scene) -> tuple[Measured, Visits]:
    """Visitors for the whole duration; the window ends when the last one has left."""
    options = scene.options
    joining = Joining(scene.target)
    visits = Visits(scene.target, scene.visitors, joining)
    coming = asyncio.create_task(
        visits.keep_coming(
            scene.rooms,
            rate_per_s=options.churn_rate,
            stay_s=options.stay_s,
            seconds=options.duration_s,
        )
    )
    await scene.unless_broken(coming)
    measured, _, _ = await scene.end(joining)
    # Joins cost, too, so the server's CPU is nothing to divide by packets here.
    for name in ("cpu_us_per_packet", "packets_per_s_per_core"):
        measured.figures.pop(name, None)
    measured.figures["leaves_per_s"] = visits.left / measured.duration_s
    return measured, visits
