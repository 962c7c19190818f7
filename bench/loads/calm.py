"""The same room without what a load adds: what is there to compare with."""

from __future__ import annotations

from typing import Final

from bench.loads.scene import Measured, Scene
from bench.results import Verdict
from bench.sampling import Mark

CALM_S: Final = 3.0
# Figures of the calm that are told beside those of the load.
_COMPARED: Final = ("delay_p99_ms", "gap_p99_ms", "gap_max_ms")


async def watch_calm(scene: Scene) -> tuple[Measured, Mark, Mark]:
    """Measure for `CALM_S` while nothing but the conversation goes on."""
    await scene.begin()
    await scene.watch_for(CALM_S)
    return await scene.end()


def tell_calm(measured: Measured, calm: Measured) -> None:
    """Put the calm's figures beside those of the load, as `calm_*`."""
    for name in _COMPARED:
        if name in calm.figures:
            measured.figures[f"calm_{name}"] = calm.figures[name]


def all_of(verdicts: dict[str, Verdict]) -> Verdict:
    """Trustworthy if all are; what was watched is told of the one without a name."""
    reasons = tuple(
        f"{when}: {reason}" if when else reason
        for when, verdict in verdicts.items()
        for reason in verdict.reasons
    )
    return Verdict(not reasons, reasons, verdicts[""].watched)
