"""Whatever backends and clients do, everybody is sent what it should be.

SIM_OPERATIONS=10000 make test ARGS=tests/sim/test_operations.py
"""

from __future__ import annotations

import os

import pytest

from tests.sim.operations import Operations
from tests.sim.reports import ReportChecker
from tests.sim.scenario import Run, Scenario
from tests.sim.simulation import Simulation

# In one simulation, with a seed of its own: what it keeps for the rules grows with it.
OPERATIONS_EACH = 250
OPERATIONS = int(os.environ.get("SIM_OPERATIONS", "500"))
# Three looks at everything, so that nothing that is wrong at the end goes unseen.
SETTLES_S = 4.0


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(-(-OPERATIONS // OPERATIONS_EACH)))
def test_random_operations_leave_nobody_out(seed: int) -> None:
    """All the rules of the simulation hold on the way, and no breach is found."""
    scenario = Scenario("operations", (Operations(OPERATIONS_EACH), Run(SETTLES_S)))
    simulation = Simulation(scenario, seed)
    # A track that only had a few packets in ten seconds has nothing worth a report.
    simulation.checkers = [one for one in simulation.checkers if not isinstance(one, ReportChecker)]
    simulation.run()
    counters = simulation.worker.counters()
    assert counters["invariant_breaches"] == 0
    assert counters["joins"] > OPERATIONS_EACH // 20
    assert counters["forwarded"] > 10 * OPERATIONS_EACH
