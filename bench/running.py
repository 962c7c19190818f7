"""One load against one target, from start to the `Run` that reports are made of."""

from __future__ import annotations

import datetime
import os
import platform
import resource
import shlex
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bench import machine
from bench.loads import churn, control, joins, ladder, room, soak
from bench.loads.scene import Measured, Scene
from bench.options import LoadOptions
from bench.report import Live
from bench.results import Meta, Run
from bench.talking import Phrasebook
from bench.targets import Target

LOADS: dict[str, Callable[[Scene], Awaitable[Measured]]] = {
    "room": room.run,
    "rooms": room.run,
    "joins": joins.run,
    "churn": churn.run,
    "control": control.run,
    "soak": soak.run,
    "ladder": ladder.run,
}


@dataclass(frozen=True)
class Cores:
    """Where server and load are kept, so that neither takes the other's time; empty: anywhere."""

    server: tuple[int, ...] = ()
    load: tuple[int, ...] = ()


def choose_cores() -> Cores:
    """The first core that this process may use for the server, the second for the load."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        return Cores()
    return Cores((allowed[0],), (allowed[1],))


async def run_load(
    options: LoadOptions, target: Target, live: Live, cores: Cores, book: Phrasebook
) -> Run:
    """Start the target, load it, stop it. Raises TargetError."""
    started = datetime.datetime.now(tz=datetime.UTC)
    raise_file_limit()
    if cores.load:
        os.sched_setaffinity(0, cores.load)
    live.phase("starting")
    async with target:
        async with Scene(options, target, live, book) as scene:
            measured = await LOADS[options.load](scene)
        notes = tuple(measured.notes)
        if not cores.server:
            notes += ("server and load were not kept on cores of their own",)
        return Run(
            meta=_meta(options, target, cores, started, measured.duration_s, notes),
            target=target.name,
            options=options.as_values(),
            figures=measured.figures,
            series=scene.sampler.series,
            joins=measured.joins,
            distributions=scene.distributions,
            verdict=measured.verdict,
            counters=measured.counters,
        )


def raise_file_limit() -> None:
    """A socket for each client: as many files as this process may open at all."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _meta(
    options: LoadOptions,
    target: Target,
    cores: Cores,
    started: datetime.datetime,
    duration_s: float,
    notes: tuple[str, ...],
) -> Meta:
    return Meta(
        load=options.load,
        command=shlex.join(["sfu-bench", *sys.argv[1:]]),
        started_at=started.isoformat(timespec="seconds"),
        duration_s=round(duration_s, 3),
        version=target.version,
        commit=machine.commit(),
        machine=machine.processor(),
        cpus=os.cpu_count() or 0,
        kernel=platform.release(),
        python=platform.python_version(),
        server_cpus=cores.server,
        load_cpus=cores.load,
        notes=notes,
    )
