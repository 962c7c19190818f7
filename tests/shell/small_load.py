"""Some speakers and listeners for some seconds, as the load tester's clients are."""

from __future__ import annotations

import asyncio

import uvloop

from bench import report, running
from bench.loads.scene import phrasebook
from bench.options import LoadOptions
from bench.targets.rostrum import AttachedRostrum, Hearing
from tests.shell.process import DaemonProcess


def load(daemon: DaemonProcess, options: LoadOptions) -> None:
    """Load that daemon, unpinned; all have left when it returns."""
    target = AttachedRostrum(
        daemon.listening["control"],
        pids=[daemon.process.pid],
        metrics_url=f"http://{daemon.listening['http']}/metrics",
        hearing=Hearing(options.mode, options.listener_lines, options.limits_kbps),
    )
    with (
        report.live_for("rostrum", quiet=True) as live,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        book = phrasebook(options)
        runner.run(running.run_load(options, target, live, running.Cores(), book))
