"""A storm of joins onto a live room: what it takes, and whether those already in hear it."""

from __future__ import annotations

import asyncio

from bench.joining import Joining, Seat
from bench.loads.scene import Measured, Scene
from bench.results import Figures
from bench.sampling import Mark

# The same room without a storm, for what a packet costs and how it is spaced there.
BEFORE_S = 3.0
# The last newcomers' first packets, and the queues that the storm has left.
AFTER_S = 1.0


async def run(scene: Scene) -> Measured:
    """`listeners` are in and measured; `joins` newcomers come within `within_s`."""
    options = scene.options
    await scene.fill(listeners=options.listeners)
    await scene.settle()
    await scene.begin()
    await scene.watch_for(BEFORE_S)
    before, *calm = await scene.end()
    storm = Joining(scene.target)
    rooms = scene.rooms
    seats = [
        Seat(rooms[number % len(rooms)], f"newcomer-{number}", "listener")
        for number in range(options.joins)
    ]
    await scene.begin()
    scene.sampler.phase(f"{options.joins} more join", scene.insiders.connected + options.joins)
    joining = asyncio.create_task(
        storm.join_all(scene.visitors, seats, options.joins / options.within_s)
    )
    await scene.unless_broken(joining)
    await scene.watch_for(AFTER_S)
    measured, *stormy = await scene.end(storm)
    for name in ("delay_p99_ms", "gap_p99_ms", "gap_max_ms"):
        if name in before.figures:
            measured.figures[f"calm_{name}"] = before.figures[name]
    measured.figures |= _cost(calm, stormy, measured.joins.connected)
    return measured


def _cost(calm: list[Mark], stormy: list[Mark], joins: int) -> Figures:
    """CPU per join: what is left of the storm's when its packets cost what they cost before it.

    Newcomers' packets count as packets, whether measured or not: only the server's own counter
    knows them. A server without one has no such figure.
    """
    calm_s, calm_packets = _used(calm)
    storm_s, storm_packets = _used(stormy)
    if not joins or not calm_packets or not storm_s:
        return {}
    return {"cpu_ms_per_join": 1e3 * (storm_s - calm_s / calm_packets * storm_packets) / joins}


def _used(marks: list[Mark]) -> tuple[float, int]:
    begun, ended = marks
    if begun.usage is None or ended.usage is None:
        return 0.0, 0
    packets = ended.counters.get("forwarded", 0) - begun.counters.get("forwarded", 0)
    return ended.usage.cpu_s - begun.usage.cpu_s, packets
