"""Every scenario with every seed that it is worth, and that a run can be repeated exactly.

The runs are spread over all processors; each is a function of its scenario and seed alone.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import cast

import pytest

from tests.sim.__main__ import command_for
from tests.sim.scenarios import ALL
from tests.sim.simulation import Outcome, Simulation

RUNS = [(name, seed) for name, scenario in ALL.items() for seed in range(scenario.seeds)]
# Below this a process of its own costs more than it saves.
ALONE_MAX = 8

Run = tuple[str, int]


def attempt(run: Run) -> Outcome | str:
    """One run; a failure as text, because not every exception can be sent to another process."""
    try:
        return Simulation(ALL[run[0]], run[1]).run()
    except Exception:
        return f"{traceback.format_exc()}\n{command_for(*run)}"


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest) -> Iterator[dict[Run, Future[Outcome | str]]]:
    """The runs that were asked for, all under way."""
    wanted = [run for item in request.session.items for run in _runs_of(item)]
    if len(wanted) <= ALONE_MAX:
        yield {}
        return
    context = multiprocessing.get_context("spawn")
    # A run keeps all that it saw; looking for garbage in it costs a tenth of its time.
    with ProcessPoolExecutor(
        os.cpu_count(), mp_context=context, initializer=gc.set_threshold, initargs=(100_000, 50, 50)
    ) as pool:
        yield {run: pool.submit(attempt, run) for run in wanted}
        pool.shutdown(cancel_futures=True)


def _runs_of(item: pytest.Item) -> list[Run]:
    if isinstance(item, pytest.Function) and item.originalname == "test_all_rules_hold":
        return [cast(Run, item.callspec.params["run"])]
    return []


@pytest.mark.parametrize("run", RUNS, ids=[f"{name}-{seed}" for name, seed in RUNS])
def test_all_rules_hold(run: Run, outcomes: dict[Run, Future[Outcome | str]]) -> None:
    outcome = outcomes[run].result() if run in outcomes else attempt(run)
    if isinstance(outcome, str):
        pytest.fail(outcome, pytrace=False)
    assert outcome.events > 0


def outcome_of(name: str, seed: int) -> Outcome:
    """One run in this process."""
    return Simulation(ALL[name], seed).run()


def test_the_same_seed_gives_the_same_trace_and_another_seed_does_not() -> None:
    assert outcome_of("swizzle", 5) == outcome_of("swizzle", 5)
    assert outcome_of("swizzle", 5).trace_hash != outcome_of("swizzle", 6).trace_hash


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
    assert outcome_of("flaky_wifi", 7).trace_hash in line
