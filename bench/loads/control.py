"""Commands: how many a second the control connection takes, and how long each one lasts."""

from __future__ import annotations

import asyncio

from bench.commanding import Pipeline, open_pipeline
from bench.loads.calm import all_of, tell_calm, watch_calm
from bench.loads.scene import Measured, Scene
from bench.quantiles import quantile
from bench.results import Figures
from bench.targets import TargetError
from bench.targets.rostrum import AttachedRostrum
from control import ConnectionLost, ControlError
from control.commands import (
    AnyCommand,
    HandLower,
    HandRaise,
    ParticipantGet,
    RoomGet,
    TrackMute,
    TrackUnmute,
)

# How often the count of commands is brought to the progress.
_TELL_S = 0.2


async def run(scene: Scene) -> Measured:
    """Commands on participants who are connected: `rate` a second, or always `pipeline` at once."""
    target = scene.target
    if not isinstance(target, AttachedRostrum):
        raise TargetError("control: only rostrum takes these commands")
    await scene.fill(listeners=scene.options.listeners)
    await scene.settle()
    try:
        pipeline = await open_pipeline(target.client.endpoint, target.key)
        try:
            return await _measure(scene, pipeline)
        finally:
            pipeline.close()
    except (ControlError, ConnectionLost) as error:
        raise TargetError(f"rostrum: {error}") from None


async def _measure(scene: Scene, pipeline: Pipeline) -> Measured:
    options, commands = scene.options, commands_for(scene)
    calm, _, _ = await watch_calm(scene)
    await scene.begin()
    if options.rate:
        work = pipeline.run_at(commands, options.rate, options.duration_s)
    else:
        work = pipeline.run(commands, options.pipeline, options.duration_s)
    running = asyncio.create_task(work)
    telling = asyncio.create_task(_tell(scene, pipeline))
    try:
        await scene.unless_broken(running)
    finally:
        telling.cancel()
    measured, begun, ended = await scene.end()
    tell_calm(measured, calm)
    measured.verdict = all_of({"before the commands": calm.verdict, "": measured.verdict})
    done = len(pipeline.latencies_ms)
    measured.figures |= command_figures(pipeline.latencies_ms, measured.duration_s)
    measured.figures["commands_refused"] = float(pipeline.refused)
    if begun.usage is not None and ended.usage is not None and done:
        cpu_s = ended.usage.cpu_s - begun.usage.cpu_s
        measured.figures["cpu_us_per_command"] = 1e6 * cpu_s / done
    return measured


async def _tell(scene: Scene, pipeline: Pipeline) -> None:
    while True:
        scene.sampler.commands = len(pipeline.latencies_ms)
        await asyncio.sleep(_TELL_S)


def commands_for(scene: Scene) -> list[AnyCommand]:
    """For each listener: what a backend asks and does, leaving everything as it was."""
    commands: list[AnyCommand] = []
    people = [(room, one.name) for room, inside in scene.by_room.items() for one in inside]
    if not people:
        raise TargetError("control: commands are about listeners, so at least one is needed")
    for room, name in people:
        commands += [
            ParticipantGet(room=room, participant=name),
            HandRaise(room=room, participant=name),
            TrackMute(room=room, participant=name),
            RoomGet(room=room),
            TrackUnmute(room=room, participant=name),
            HandLower(room=room, participant=name),
        ]
    return commands


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
