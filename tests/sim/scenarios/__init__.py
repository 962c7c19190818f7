"""All scenarios, by name."""

from __future__ import annotations

from tests.sim.scenario import Scenario
from tests.sim.scenarios import (
    lasting,
    listening,
    mixed,
    moving,
    narrow,
    networks,
    protecting,
    repairing,
    speaking,
    travelling,
)

ALL: dict[str, Scenario] = {
    scenario.name: scenario
    for module in (
        speaking,
        networks,
        moving,
        listening,
        repairing,
        protecting,
        travelling,
        lasting,
        mixed,
        narrow,
    )
    for scenario in module.SCENARIOS
}
