"""Every scenario with every seed that it is worth, and that a run can be repeated exactly."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.sim.__main__ import command_for
from tests.sim.scenarios import ALL
from tests.sim.simulation import Outcome, Simulation

RUNS = [(name, seed) for name, scenario in ALL.items() for seed in range(scenario.seeds)]


def run(name: str, seed: int) -> Outcome:
    """One run; a failure says how to see it again."""
    try:
        return Simulation(ALL[name], seed).run()
    except Exception as error:
        error.add_note(command_for(name, seed))
        raise


@pytest.mark.parametrize(("name", "seed"), RUNS, ids=[f"{name}-{seed}" for name, seed in RUNS])
def test_all_rules_hold(name: str, seed: int) -> None:
    outcome = run(name, seed)
    assert outcome.events > 0


def test_the_same_seed_gives_the_same_trace_and_another_seed_does_not() -> None:
    assert run("swizzle", 5) == run("swizzle", 5)
    assert run("swizzle", 5).trace_hash != run("swizzle", 6).trace_hash


def test_hash_randomisation_changes_nothing() -> None:
    command = [sys.executable, "-m", "tests.sim", "--scenario", "flaky_wifi", "--seed", "7"]
    outputs = {
        subprocess.run(
            command,
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    (line,) = outputs
    assert run("flaky_wifi", 7).trace_hash in line
