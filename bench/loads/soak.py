"""A long run of coming and going: whether memory, files and threads return to where they were."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

from bench.loads import churn
from bench.loads.scene import Measured, Scene
from bench.results import Figures, Second
from bench.targets import TargetError
from bench.targets.processes import read_usage

# Visitors come for this share of the run before memory is compared: caches and arenas fill.
WARM_UP = 0.2
# For the last ones' rows and connections to be freed.
REST_S = 2.0


async def run(scene: Scene) -> Measured:
    """Visitors for `duration_s`; memory is judged over all but the first fifth of it."""
    await scene.fill(listeners=scene.options.listeners)
    await scene.settle()
    await scene.begin()
    files, threads = _files(scene), _threads(scene)
    measured, _ = await churn.visit(scene)
    await asyncio.sleep(REST_S)
    if scene.target.pids():
        measured.figures |= {
            "open_files_growth": float(_files(scene) - files),
            "threads_growth": float(_threads(scene) - threads),
        }
    measured.figures |= memory_figures(scene.sampler.series.seconds, measured.duration_s)
    return measured


def memory_figures(seconds: Sequence[Second], duration_s: float) -> Figures:
    """The line that fits memory best (least squares): its slope, and its growth over the run."""
    points = [
        (one.at_s, one.server_rss_kib)
        for one in seconds
        if one.server_rss_kib is not None and WARM_UP * duration_s <= one.at_s <= duration_s
    ]
    if len(points) < 2:
        return {}
    middle_s = sum(at for at, _ in points) / len(points)
    middle_kib = sum(kib for _, kib in points) / len(points)
    spread = sum((at - middle_s) ** 2 for at, _ in points)
    slope = sum((at - middle_s) * (kib - middle_kib) for at, kib in points) / spread
    span_s = points[-1][0] - points[0][0]
    return {
        "rss_growth_kib_per_hour": 3_600 * slope,
        "rss_growth_ratio": slope * span_s / middle_kib,
    }


def _files(scene: Scene) -> int:
    try:
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in scene.target.pids())
    except OSError as error:
        raise TargetError(f"cannot count the server's files: {error.strerror}") from None


def _threads(scene: Scene) -> int:
    pids = scene.target.pids()
    return read_usage(pids).threads if pids else 0
