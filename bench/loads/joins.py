"""A storm of joins onto a live room: what it takes, and whether those already in hear it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bench.joining import Joining, Seat
from bench.loads.calm import all_of, tell_calm, watch_calm
from bench.loads.scene import Measured, Scene
from bench.results import Figures
from bench.sampling import Mark

_OF_PACKETS = ("cpu_us_per_packet", "packets_per_s_per_core")

Marks = tuple[Mark, Mark]


async def run(scene: Scene) -> Measured:
    """`listeners` are in and measured; `joins` newcomers come within `within_s`."""
    await scene.fill(listeners=scene.options.listeners)
    await scene.settle()
    calm, *before = await watch_calm(scene)
    storm = Joining(scene.target)
    await scene.begin()
    measured, *during = await _storm(scene, storm)
    distributions = scene.distributions
    calm_again, *after = await watch_calm(scene)
    measured.verdict = all_of(
        {"before the storm": calm.verdict, "": measured.verdict, "after it": calm_again.verdict}
    )
    scene.sampler.distributions = distributions
    tell_calm(measured, calm)
    for name in _OF_PACKETS:
        measured.figures.pop(name, None)
    spans = [_span(marks) for marks in (before, during, after)]
    measured.figures |= join_cost(spans, measured.joins.connected)
    return measured


async def _storm(scene: Scene, storm: Joining) -> tuple[Measured, Mark, Mark]:
    options, rooms = scene.options, scene.rooms
    seats = [
        Seat(rooms[number % len(rooms)], f"newcomer-{number}", "listener")
        for number in range(options.joins)
    ]
    scene.sampler.phase(f"{options.joins} more join", scene.insiders.connected + options.joins)
    joining = asyncio.create_task(
        storm.join_all(scene.visitors, seats, options.joins / options.within_s)
    )
    await scene.unless_broken(joining)
    return await scene.end(storm)


def _span(marks: list[Mark]) -> tuple[float, float, float]:
    """Seconds, the server's CPU seconds, and packets that anybody received."""
    begun, ended = marks
    cpu_s = ended.usage.cpu_s - begun.usage.cpu_s if begun.usage and ended.usage else 0.0
    return ended.at_s - begun.at_s, cpu_s, ended.received - begun.received


def join_cost(spans: Sequence[tuple[float, float, float]], joins: int) -> Figures:
    """CPU per join: what is left of the storm's when its packets cost what they cost in the calm.

    `spans` are before, during and after the storm. Before it there are few packets and after it
    many, so the straight line between the two tells what any rate of them costs.
    """
    if not joins or not all(cpu_s for _, cpu_s, _ in spans):
        return {}
    before, during, after = spans
    low, high = (cpu_s / span_s for span_s, cpu_s, _ in (before, after))
    low_rate, high_rate = (packets / span_s for span_s, _, packets in (before, after))
    rate = during[2] / during[0]
    share = (rate - low_rate) / (high_rate - low_rate) if high_rate > low_rate else 0.5
    expected_s = (low + share * (high - low)) * during[0]
    return {"cpu_ms_per_join": 1e3 * (during[1] - expected_s) / joins}
