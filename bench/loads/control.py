"""Commands: how many a second the control connection takes, and how long each one lasts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from itertools import cycle

from bench.loads.scene import Measured, Scene
from bench.quantiles import quantile
from bench.results import Figures
from bench.sampling import Sampler
from bench.targets import TargetError
from bench.targets.rostrum import AttachedRostrum
from control import Client, ConnectionLost, ControlError

Command = Callable[[], Awaitable[object]]


async def run(scene: Scene) -> Measured:
    """`pipeline` commands are under way at any time, on participants who are connected."""
    target = scene.target
    if not isinstance(target, AttachedRostrum):
        raise TargetError("control: only rostrum takes these commands")
    await scene.fill(listeners=scene.options.listeners)
    await scene.settle()
    await scene.begin()
    latencies_ms: list[float] = []
    until = asyncio.get_running_loop().time() + scene.options.duration_s
    commands = commands_for(target.client, scene)
    issuing = asyncio.gather(
        *(
            _issue(cycle(commands[first:] + commands[:first]), until, latencies_ms, scene.sampler)
            for first in range(scene.options.pipeline)
        )
    )
    try:
        await scene.unless_broken(asyncio.ensure_future(issuing))
    except (ControlError, ConnectionLost) as error:
        raise TargetError(f"rostrum: {error}") from None
    measured, begun, ended = await scene.end()
    measured.figures |= command_figures(latencies_ms, measured.duration_s)
    if begun.usage is not None and ended.usage is not None and latencies_ms:
        cpu_s = ended.usage.cpu_s - begun.usage.cpu_s
        measured.figures["cpu_us_per_command"] = 1e6 * cpu_s / len(latencies_ms)
    return measured


def commands_for(client: Client, scene: Scene) -> list[Command]:
    """For each listener: what a backend asks and does, leaving everything as it was."""
    commands: list[Command] = []
    people = [(room, one.name) for room, inside in scene.by_room.items() for one in inside]
    for room, participant in people:
        who = {"room": room, "participant": participant}
        commands += [
            lambda who=who: client.participant_get(**who),  # type: ignore[misc]
            lambda who=who: client.hand_raise(**who),  # type: ignore[misc]
            lambda who=who: client.track_mute(**who),  # type: ignore[misc]
            lambda who=who: client.room_get(room=who["room"]),  # type: ignore[misc]
            lambda who=who: client.track_unmute(**who),  # type: ignore[misc]
            lambda who=who: client.hand_lower(**who),  # type: ignore[misc]
        ]
    return commands


async def _issue(
    commands: cycle[Command], until: float, latencies_ms: list[float], sampler: Sampler
) -> None:
    clock = asyncio.get_running_loop().time
    while clock() < until:
        began = time.perf_counter()
        await next(commands)()
        latencies_ms.append((time.perf_counter() - began) * 1e3)
        sampler.commands += 1


def command_figures(latencies_ms: list[float], seconds: float) -> Figures:
    """Rate and latency."""
    if not latencies_ms:
        return {}
    return {
        "commands_per_s": len(latencies_ms) / seconds,
        "command_p50_ms": quantile(latencies_ms, 0.5),
        "command_p99_ms": quantile(latencies_ms, 0.99),
        "command_max_ms": max(latencies_ms),
    }
