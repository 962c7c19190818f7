"""Rooms with talkers and listeners, filled, then measured: the commands `room` and `rooms`."""

from __future__ import annotations

import asyncio
from typing import Final

from bench.ear import Ear, EarCrowd
from bench.joining import Joining, Seat
from bench.loads.calm import all_of
from bench.loads.scene import Measured, Scene
from bench.quantiles import quantile
from bench.results import Figures
from bench.targets.mixing_metrics import MixTotals, mix_figures
from bench.targets.rostrum import AttachedRostrum

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
    return await _measure_mix(scene)


async def _measure_mix(scene: Scene) -> Measured:
    listeners = scene.options.listeners
    few = round(_EARLY * listeners)
    await scene.fill(listeners=few)
    early = await _measure(scene)
    fewer = len(scene.listeners)
    await scene.let_in(listeners - few)
    ear = await _let_ear_in(scene)
    measured = await _measure(scene, ear)
    measured.verdict = all_of({"with few listeners": early.verdict, "": measured.verdict})
    more = len(scene.listeners)
    measured.figures |= listener_figures(early.figures, fewer, measured.figures, more)
    measured.figures.pop("joins_per_s", None)  # the first window lies between them
    return measured


async def _let_ear_in(scene: Scene) -> Ear | None:
    """One more listener, who decodes; None where nobody speaks all the time, as nothing that is
    known could be found again then.
    """
    if scene.options.talk != "always" or not scene.speakers:
        return None
    crowd = EarCrowd(scene.kit)
    scene.add_crowd(crowd)
    joining = Joining(scene.target)
    seat = Seat(scene.rooms[0], "ear", "listener")
    await scene.unless_broken(asyncio.create_task(joining.join(crowd, seat)))
    await scene.unless_broken(asyncio.create_task(joining.settle()))
    return next((ear for ear in crowd.ears if ear.is_open), None)


async def _measure(scene: Scene, ear: Ear | None = None) -> Measured:
    await scene.settle()
    await scene.begin()
    if ear is not None:
        ear.listens = True
    before = await _mix_totals(scene)
    await scene.watch_for(scene.options.duration_s)
    after = await _mix_totals(scene)
    measured, _, _ = await scene.end()
    if before is not None and after is not None:
        measured.figures |= mix_figures(before, after, scene.options.duration_s)
    if ear is not None and (said := scene.said(scene.speakers[0])) is not None:
        measured.figures |= mix_delay_figures(ear.delays_ms(*said))
    return measured


async def _mix_totals(scene: Scene) -> MixTotals | None:
    """Of a server that tells; others mix nothing, or do not tell it apart."""
    target = scene.target
    if scene.options.mode != "mix" or not isinstance(target, AttachedRostrum):
        return None
    return await target.mix_totals()


def mix_delay_figures(delays_ms: list[float]) -> Figures:
    """From the microphone to a decoder, by packet; nothing where no speaker could be found."""
    if not delays_ms:
        return {}
    return {
        "mix_delay_p50_ms": quantile(delays_ms, 0.5),
        "mix_delay_p99_ms": quantile(delays_ms, 0.99),
    }


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
