"""Listeners behind lines of given speeds: where each one settles, and how soon it is back when its
line opens.
"""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass
from typing import Final

from bench.bottleneck import Bottleneck
from bench.clients import Client
from bench.joining import Joining, Seat
from bench.loads.scene import Measured, Scene
from bench.narrow import NarrowCrowd
from bench.results import Figures
from bench.targets import TargetError
from bench.targets.rostrum import AttachedRostrum
from bench.tiers import TierLog, settled_ns, whole_again_ns
from control import ConnectionLost, ControlError

_LOOK_EVERY_S: Final = 0.2
# The end of the window, over which it is told what a line carried.
_CARRIED_S: Final = 5.0
# Less than any tier with sound in it: consent and reports alone.
_SILENT_KBPS: Final = 3.0


@dataclass
class Narrow:
    """One listener, its line, and what it came to."""

    kbps: int
    client: Client
    line: Bottleneck
    tier: str = ""  # before the line opened
    carried_kbps: float = 0.0
    settle_s: float = math.inf  # from connected on; infinite: never
    drops: int = 0  # by the line, after it had settled
    changes_in_10s: float = 0.0  # on average
    climb_s: float = math.inf  # from when the line opened

    def sentence(self) -> str:
        """For the notes of a report."""
        settled = f"{self.settle_s:.1f} s" if self.settle_s < math.inf else "never settled"
        climbed = f"{self.climb_s:.1f} s" if self.climb_s < math.inf else "not back"
        return (
            f"{self.kbps} kbit/s: {self.tier or 'no tier'} with {self.carried_kbps:.1f} kbit/s; "
            f"settled: {settled}, dropped after that: {self.drops}, whole again: {climbed}"
            f", {self.changes_in_10s:.2f} changes in 10 s"
        )


async def run(scene: Scene) -> Measured:
    """`listeners` have wide lines; one more joins behind each of `lines`."""
    target = scene.target
    if not isinstance(target, AttachedRostrum):
        raise TargetError("ladder: only rostrum tells its tiers")
    await scene.fill(listeners=scene.options.listeners)
    await scene.settle()
    log = TierLog()
    events = target.client.events(rooms=scene.rooms, types=["quality.changed"])
    try:
        async with events:
            following = asyncio.create_task(log.follow(events))
            try:
                return await _climb(scene, target, log)
            finally:
                following.cancel()
    except (ControlError, ConnectionLost) as error:
        raise TargetError(f"rostrum: {error}") from None


async def _climb(scene: Scene, target: AttachedRostrum, log: TierLog) -> Measured:
    options = scene.options
    await scene.begin()
    narrow = await _let_in(scene, target, log)
    carried_s = min(_CARRIED_S, options.duration_s / 2)
    await _watch_narrow(scene, narrow, options.duration_s - carried_s)
    passed = [one.line.passed_bytes for one in narrow]
    await scene.watch_for(carried_s)
    opened_ns = time.time_ns()
    for one, before in zip(narrow, passed, strict=True):
        one.carried_kbps = 8e-3 * (one.line.passed_bytes - before) / carried_s
        one.tier = log.tier(one.client.name)
        _judge(one, log, opened_ns)
        one.line.open()
    await _watch_climbing(scene, narrow, log, opened_ns)
    measured, _, _ = await scene.end()
    told = figures_of(narrow)
    if options.flap_s:  # nobody is to settle then
        told = {name: told[name] for name in ("tier_changes_in_10s", "silent_lines")}
    measured.figures |= told
    names = {one.client.name for one in narrow}
    others = [len(found) for name, found in log.changes.items() if name not in names]
    measured.figures["other_tier_changes"] = float(sum(others))
    measured.notes += [one.sentence() for one in narrow]
    return measured


async def _let_in(scene: Scene, target: AttachedRostrum, log: TierLog) -> list[Narrow]:
    """One listener for each line; those who cannot get in by it end the load."""
    options, room = scene.options, scene.rooms[0]
    kbps = {f"line-{index}-{rate}": rate for index, rate in enumerate(options.line_rates_kbps)}
    lines = {name: Bottleneck(1e3 * rate, options.queue_ms / 1e3) for name, rate in kbps.items()}
    crowd = NarrowCrowd(scene.kit, lines)
    scene.add_crowd(crowd)
    joining = Joining(target)
    seats = [Seat(room, name, "listener") for name in lines]
    joined = await scene.unless_broken(
        asyncio.create_task(joining.join_all(crowd, seats, options.join_rate))
    )
    if len(joined) < len(lines):
        raise TargetError(f"ladder: not everybody could join: {joining.result().failures}")
    for seat, _ in joined:
        if not log.changes.get(seat.name):
            state = await target.client.subscription_get(room=room, participant=seat.name)
            log.note(seat.name, state.tier, state.cause or "join")
    return [Narrow(kbps[seat.name], client, lines[seat.name]) for seat, client in joined]


async def _watch_narrow(scene: Scene, narrow: list[Narrow], seconds: float) -> None:
    """So long; with `flap_s` the lines open and narrow again meanwhile, and end narrow."""
    flap_s, is_open = scene.options.flap_s or seconds, False
    while seconds > 0:
        span_s = min(flap_s, seconds)
        await scene.watch_for(span_s)
        seconds -= span_s
        is_open = not is_open and seconds > 0
        for one in narrow:
            if is_open:
                one.line.open()
            else:
                one.line.narrow()


def _judge(one: Narrow, log: TierLog, ended_ns: int) -> None:
    """Where the time behind the line led to."""
    begun_ns = one.client.times.dtls
    changes = log.changes.get(one.client.name, [])
    # The first is the tier that it had from the beginning.
    one.changes_in_10s = 1e10 * max(0, len(changes) - 1) / (ended_ns - begun_ns)
    one.drops = len(one.line.drops_ns)
    if not one.client.is_open:
        one.tier = f"gone ({one.client.failure})"
        return
    settled = settled_ns(changes, one.line.drops_ns, begun_ns, ended_ns)
    if settled is not None:
        one.settle_s = (settled - begun_ns) / 1e9
        one.drops = sum(settled < at_ns for at_ns in one.line.drops_ns)


async def _watch_climbing(scene: Scene, narrow: list[Narrow], log: TierLog, opened_ns: int) -> None:
    """Until all are whole again, or the time for it is over."""
    scene.sampler.phase("the lines are open")
    until_ns = opened_ns + round(scene.options.open_s * 1e9)
    while time.time_ns() < until_ns and any(math.isinf(one.climb_s) for one in narrow):
        await scene.watch_for(_LOOK_EVERY_S)
        for one in narrow:
            back_ns = whole_again_ns(log.changes.get(one.client.name, []), opened_ns)
            is_back = back_ns is not None and one.client.is_open
            one.climb_s = (back_ns - opened_ns) / 1e9 if is_back and back_ns else math.inf


def figures_of(narrow: list[Narrow]) -> Figures:
    """The worst of all, and line by line; of several lines of one speed the worst."""
    figures: Figures = {}

    def worst(name: str, value: float) -> None:
        figures[name] = max(value, figures.get(name, 0.0))

    for one in narrow:
        worst("settle_max_s", one.settle_s)
        worst("climb_max_s", one.climb_s)
        worst("tier_changes_in_10s", one.changes_in_10s)
        worst(f"line_{one.kbps}_settle_s", one.settle_s)
        worst(f"line_{one.kbps}_climb_s", one.climb_s)
        worst(f"line_{one.kbps}_carried_kbps", one.carried_kbps)
        figures["tail_drops"] = figures.get("tail_drops", 0.0) + one.drops
    figures["silent_lines"] = float(sum(one.carried_kbps < _SILENT_KBPS for one in narrow))
    return figures
