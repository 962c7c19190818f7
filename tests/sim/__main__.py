"""Run simulated rooms from the command line: repeat a failure, or look for one among many seeds.

python -m tests.sim --scenario flaky_wifi --seed 81734
python -m tests.sim --seeds 0..999
"""

from __future__ import annotations

import argparse
import sys

from tests.sim.scenarios import ALL
from tests.sim.simulation import Simulation


def command_for(name: str, seed: int) -> str:
    """What to type to see one run again."""
    return f"python -m tests.sim --scenario {name} --seed {seed}"


def run_one(name: str, seed: int, *, is_traced: bool) -> bool:
    """Run one scenario with one seed and print one line about it; False when a rule was broken."""
    simulation = Simulation(ALL[name], seed, log=print if is_traced else None)
    try:
        outcome = simulation.run()
    except Exception as error:  # whatever was raised, the line must tell how to see it again
        kind = type(error).__name__
        where = f"after {simulation.world.now:.3f} s"
        print(f"FAILED {command_for(name, seed)}   # {where}: {kind} {error}")
        return False
    print(
        f"ok {name} seed {seed}: {outcome.virtual_s:.1f} s virtual, {outcome.delivered} packets"
        f" delivered, {outcome.events} events, trace {outcome.trace_hash}"
    )
    return True


def seeds_of(text: str) -> range:
    """`A..B`, both included."""
    first, _, last = text.partition("..")
    return range(int(first), int(last or first) + 1)


def main(arguments: list[str]) -> int:
    """Exit status 0 when every rule held."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--scenario", choices=list(ALL), help="one scenario instead of all")
    parser.add_argument("--seed", type=int, help="one seed")
    parser.add_argument("--seeds", type=seeds_of, metavar="A..B", help="a range of seeds")
    parser.add_argument("--trace", action="store_true", help="print all that happens")
    parser.add_argument("--list", action="store_true", help="print the scenarios")
    options = parser.parse_args(arguments)
    names = [options.scenario] if options.scenario else list(ALL)
    if options.list:
        print("\n".join(names))
        return 0
    seeds = options.seeds
    if options.seed is not None:
        seeds = range(options.seed, options.seed + 1)
    failed = 0
    for name in names:
        for seed in seeds if seeds is not None else range(ALL[name].seeds):
            failed += not run_one(name, seed, is_traced=options.trace)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
