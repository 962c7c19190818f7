"""All scenarios, by name."""

from __future__ import annotations

from tests.sim.scenario import Scenario
from tests.sim.scenarios import listening, moving, networks, speaking

ALL: dict[str, Scenario] = {
    scenario.name: scenario
    for module in (speaking, networks, moving, listening)
    for scenario in module.SCENARIOS
}
